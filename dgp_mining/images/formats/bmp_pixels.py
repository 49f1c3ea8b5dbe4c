"""Decoding the pixels of BMP and DIB files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..image_file import Samples
from ..limits import ends_early


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
        pixels, meaningless = _raw(path, layout)
        if meaningless:
            notes.append("its fourth bytes, to which its header gives no meaning, are left out")
        if len(layout.masks) == 4 and not pixels[..., 3].any():
            pixels[..., 3] = (1 << layout.masks[3].bit_count()) - 1
            notes.append("its alpha is 0 everywhere and counts as opaque")
    if not layout.top_down:
        pixels = pixels[::-1]
    if layout.palette is not None:
        if pixels.max() >= len(layout.palette):
            notes.append("pixels that name a colour beyond its palette are black")
        colours = np.zeros((1 << layout.bits, layout.palette.shape[1]), np.uint8)
        colours[: len(layout.palette)] = layout.palette
        pixels = colours[pixels[..., 0]]
    return Samples(np.ascontiguousarray(pixels), tuple(notes))


def _raw(path: Path, layout: Layout) -> tuple[np.ndarray, bool]:
    """The pixels [H, W, C], rows as in the file, and whether a fourth byte without meaning varies."""
    stride = (layout.width * layout.bits + 31) // 32 * 4
    needed = stride * (layout.height - 1) + (layout.width * layout.bits + 7) // 8
    with path.open("rb") as file:
        file.seek(layout.offset)
        content = file.read(stride * layout.height)
    if len(content) < needed:
        raise ends_early(path)
    rows = np.frombuffer(content.ljust(stride * layout.height, b"\0"), np.uint8).reshape(-1, stride)
    if layout.bits <= 8:
        bits = np.unpackbits(rows, axis=1).reshape(layout.height, -1, layout.bits)[:, : layout.width]
        return np.packbits(bits, axis=2) >> (8 - layout.bits), False
    if layout.masks[2::-1] == (0xFF, 0xFF00, 0xFF0000) and len(layout.masks) == 3:
        size = layout.bits // 8
        pixels = rows[:, : layout.width * size].reshape(layout.height, layout.width, size)
        return pixels[..., 2::-1], size == 4 and bool(np.ptp(pixels[..., 3]))
    if layout.bits == 24:
        triples = rows[:, : layout.width * 3].reshape(layout.height, layout.width, 3)
        words = np.zeros((layout.height, layout.width, 4), np.uint8)
        words[..., :3] = triples
        numbers = words.view("<u4")[..., 0]
    else:
        numbers = rows.view(f"<u{layout.bits // 8}")[:, : layout.width]
    return np.stack([_masked(numbers, mask) for mask in layout.masks], 2), False


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
    four = layout.bits == 4
    height, length = layout.height, layout.width * size
    if height * layout.width > 128 * len(content):  # two bytes set 255 pixels at most
        raise ends_early(path)
    rows: list[bytes] = []
    row = bytearray()
    whole = True
    at = 0
    while len(rows) < height:
        if at + 2 > len(content):
            if len(rows) < height - 1 or len(row) < length:
                raise ends_early(path)
            break
        count, code = content[at], content[at + 1]
        at += 2
        if count:
            if four:
                run = bytes((code >> 4, code & 15)) * ((count + 1) // 2)
                row += run[:count]
            elif size == 1:
                row += content[at - 1 : at] * count
            else:
                row += content[at - 1 : at + 2] * count
                at += 2
        elif code > 2:  # so many numbers one by one, which end on an even byte
            taken = (code + 1) // 2 if four else code * size
            numbers = content[at : at + taken]
            if four:
                numbers = bytes(half for byte in numbers for half in (byte >> 4, byte & 15))[:code]
            row += numbers
            at += taken + taken % 2
        elif code == 2:  # a jump to the right and up
            right, up = content[at], content[at + 1]
            at += 2
            whole = whole and not (right or up)
            x = len(row) + right * size
            if up:
                rows += [bytes(row), *[b""] * (up - 1)]
                row = bytearray()
            row += bytes(x - len(row))
        else:
            whole = whole and len(row) >= length
            rows.append(bytes(row))
            row = bytearray()
            if code == 1:
                break
        del row[length:]
    whole = whole and len(rows) + bool(row) >= height
    content = b"".join(line[:length].ljust(length, b"\0") for line in [*rows, bytes(row)][:height])
    pixels = np.frombuffer(content.ljust(height * length, b"\0"), np.uint8)
    pixels = pixels.reshape(height, layout.width, size)
    # Of 24 bits, blue, green, red.
    return (pixels[..., ::-1] if size == 3 else pixels), whole
