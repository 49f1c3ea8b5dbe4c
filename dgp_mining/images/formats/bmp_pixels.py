"""Decoding the pixels of BMP and DIB files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..image_file import Samples
from ..limits import ImageError


@dataclass(frozen=True, eq=False, kw_only=True)
class Layout:
    """Where and how the pixels of a BMP are stored."""

    height: int
    width: int
    bits: int
    """Bits of a pixel: 1, 2, 4 or 8 (numbers of colours in the palette), 16, 24 or 32."""
    kind: str
    """"raw", or "rle" (run lengths)."""
    top_down: bool
    """Whether the first row is the highest."""
    offset: int
    """Where in the file they start."""
    palette: np.ndarray | None = None
    """[N, 1 or 3] uint8: grey, or R, G, B."""
    masks: tuple[int, ...] = ()
    """The bits of red, green, blue and perhaps alpha in pixels of 16 bits and more."""


def decode(path: Path, layout: Layout) -> Samples:
    """Decode the pixels [H, W, channels]: colours of the palette, or the numbers in each mask."""
    notes = []
    if layout.kind == "rle":
        with path.open("rb") as file:
            file.seek(layout.offset)
            pixels, whole = _run_lengths(path, layout, file.read())
        if not whole:
            notes.append("pixels that its run lengths leave out take the number 0")
    else:
        pixels = _raw(path, layout)
    if not layout.top_down:
        pixels = pixels[::-1]
    if layout.palette is not None:
        if pixels.max() >= len(layout.palette):
            notes.append("pixels that name a colour beyond its palette are black")
        colours = np.zeros((1 << layout.bits, layout.palette.shape[1]), np.uint8)
        colours[: len(layout.palette)] = layout.palette
        pixels = colours[pixels[..., 0]]
    return Samples(np.ascontiguousarray(pixels), tuple(notes))


def _raw(path: Path, layout: Layout) -> np.ndarray:  # [H, W, C], rows in the order of the file
    stride = (layout.width * layout.bits + 31) // 32 * 4
    needed = stride * (layout.height - 1) + (layout.width * layout.bits + 7) // 8
    with path.open("rb") as file:
        file.seek(layout.offset)
        content = file.read(stride * layout.height)
    if len(content) < needed:
        raise ImageError(f"{path} ends before its pixels do: replace or remove it.")
    rows = np.frombuffer(content.ljust(stride * layout.height, b"\0"), np.uint8).reshape(-1, stride)
    if layout.bits <= 8:
        bits = np.unpackbits(rows, axis=1).reshape(layout.height, -1, layout.bits)[:, : layout.width]
        return np.packbits(bits, axis=2) >> (8 - layout.bits)
    if layout.masks[2::-1] == (0xFF, 0xFF00, 0xFF0000) and len(layout.masks) == 3:
        size = layout.bits // 8
        return rows[:, : layout.width * size].reshape(layout.height, layout.width, size)[..., 2::-1]
    if layout.bits == 24:
        triples = rows[:, : layout.width * 3].reshape(layout.height, layout.width, 3)
        words = np.zeros((layout.height, layout.width, 4), np.uint8)
        words[..., :3] = triples
        numbers = words.view("<u4")[..., 0]
    else:
        numbers = rows.view(f"<u{layout.bits // 8}")[:, : layout.width]
    return np.stack([_masked(numbers, mask) for mask in layout.masks], 2)


def _masked(numbers: np.ndarray, mask: int) -> np.ndarray:
    shift = (mask & -mask).bit_length() - 1 if mask else 0
    values = (numbers & mask) >> shift
    width = mask.bit_count()
    return values.astype(np.uint8 if width <= 8 else np.uint16 if width <= 16 else np.uint32)


def _run_lengths(path: Path, layout: Layout, content: bytes) -> tuple[np.ndarray, bool]:
    """Decode run lengths of 4, 8 or 24 bits; also whether every pixel is set.

    What lies beyond the end of a row is left out, as all readers do.
    """
    size = 3 if layout.bits == 24 else 1
    height, width = layout.height, layout.width
    pixels = np.zeros((height, width, size), np.uint8)
    known = np.zeros((height, width), bool)
    x = y = at = 0

    def put(values: np.ndarray) -> None:
        nonlocal x
        count = min(len(values), width - x)
        if count > 0:
            pixels[y, x : x + count] = values[:count]
            known[y, x : x + count] = True
        x += len(values)

    while y < height:
        count, code, *_ = content[at : at + 2].ljust(2, b"\0") + b"\0"
        if at + 2 > len(content):
            if known.all():
                break
            raise ImageError(f"{path} ends before its pixels do: replace or remove it.")
        at += 2
        if count:
            if layout.bits == 24:
                run = content[at - 1 : at + 2]
                at += 2
            else:
                run = bytes([code >> 4, code & 15]) if layout.bits == 4 else bytes([code])
            unit = np.frombuffer(run, np.uint8).reshape(-1, size)
            put(np.resize(unit, (count, size)))
        elif code == 0:
            x, y = 0, y + 1
        elif code == 1:
            break
        elif code == 2:
            x, y = x + content[at], y + content[at + 1]
            at += 2
        else:
            length = (code + 1) // 2 if layout.bits == 4 else code * size
            literal = np.frombuffer(content[at : at + length], np.uint8)
            if layout.bits == 4:
                literal = np.stack([literal >> 4, literal & 15], 1).reshape(-1)[:code]
            put(literal[: len(literal) // size * size].reshape(-1, size))
            at += length + length % 2  # a row of numbers ends on an even byte
    # Of a palette's runs, sizes of 1 byte are numbers; of 24 bits, blue, green, red.
    return (pixels[..., ::-1] if size == 3 else pixels), bool(known.all())
