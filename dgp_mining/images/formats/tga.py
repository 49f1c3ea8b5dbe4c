"""TGA (Truevision TGA File Format Specification, version 2.0)."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from ..image_file import Alpha, ImageFile, Levels, Model, Samples, full_range
from ..limits import ImageError, check_size, ends_early
from ..reading import Reading

_MAPPED, _COLOUR, _GREY = 1, 2, 3  # image types (table 2); 8 more: run lengths
_FOOTER = b"TRUEVISION-XFILE.\0"
_EXTENSION = 495  # bytes of the extension area
_GAMMA, _ATTRIBUTES = 478, 494  # offsets in it of the gamma and the attributes type (fields 21 and 24)


@dataclass(frozen=True)
class _Header:
    """The fields of the header (table 1)."""

    kind: int  # without the 8 of run lengths
    packed: bool
    first: int  # number of the first colour of the colour map
    colours: int
    entry: int  # bits of a colour
    width: int
    height: int
    depth: int
    attributes: int  # bits of alpha in a pixel
    right_to_left: bool
    top_down: bool
    start: int  # offset of the colour map


def open_file(path: Path, reading: Reading) -> ImageFile:
    """Describe a TGA file. Raises ImageError."""
    with path.open("rb") as file:
        header = _header(path, file.read(18))
        attributes, gamma = _extension(file.seek(0, 2), path)
    check_size(path, header.height, header.width)
    bits = header.entry if header.kind == _MAPPED else header.depth
    alpha = header.attributes > 0 and attributes not in (0, 1)
    notes = []
    if header.attributes > 0 and not alpha:
        notes.append("its extension says that its alpha channel has no meaning, and it is left out")
    if gamma not in (0, 1):
        notes.append(f"its gamma value {gamma:.3g} is not applied")
    grey = header.kind == _GREY
    small = bits in (15, 16) and not grey  # 5 bits for each colour and 1 for alpha
    levels = full_range(8)
    if small:
        levels = Levels(0, (31.0, 31.0, 31.0, 1.0) if alpha else 31.0)
    return ImageFile(
        path=path,
        format="TGA",
        height=header.height,
        width=header.width,
        model=Model.GREY if grey else Model.RGB,
        channels=1 if grey else 3,
        alpha=Alpha.NONE if not alpha else Alpha.ASSOCIATED if attributes == 4 else Alpha.STRAIGHT,
        bits=5 if small else 8,
        levels=levels,
        notes=tuple(notes),
        decode=partial(_decode, path, header, alpha),
    )


def _header(path: Path, head: bytes) -> _Header:
    identity, mapped, kind, first, colours, entry, _, _, width, height, depth, descriptor = struct.unpack(
        "<BBBHHBHHHHBB", head
    )
    packed, kind = kind >= 8, kind & ~8
    if kind not in (_MAPPED, _COLOUR, _GREY):
        raise ImageError(f"{path} is a TGA of the image type {head[2]}, which is not read: convert it.")
    if descriptor & 0xC0:
        raise ImageError(f"{path} is an interleaved TGA, which is not read: convert it.")
    if kind == _MAPPED and not (mapped and colours):
        raise ValueError("its colour map is missing")
    attributes = descriptor & 15
    depths = {_MAPPED: (8, 16), _COLOUR: (15, 16, 24, 32), _GREY: (8, 16) if attributes == 8 else (8,)}
    if depth not in depths[kind] or (kind == _MAPPED and entry not in (15, 16, 24, 32)):
        bits = f"{depth} bits per pixel" + (f" and {entry} per colour" if kind == _MAPPED else "")
        raise ImageError(f"{path} is a TGA of {bits}, which is not read: convert it.")
    with_alpha = depth == 16 if kind == _GREY else (entry if kind == _MAPPED else depth) in (16, 32)
    return _Header(
        kind=kind,
        packed=packed,
        first=first,
        colours=colours if mapped else 0,
        entry=entry,
        width=width,
        height=height,
        depth=depth,
        attributes=attributes if with_alpha else 0,
        right_to_left=bool(descriptor & 16),
        top_down=bool(descriptor & 32),
        start=18 + identity,
    )


def _extension(size: int, path: Path) -> tuple[int | None, float]:
    """The attributes type (None: nothing says) and the gamma (0: nothing says) of the extension area."""
    with path.open("rb") as file:
        file.seek(max(size - 26, 0))
        footer = file.read(26)
        offset = int.from_bytes(footer[:4], "little")
        if footer[8:] != _FOOTER or not 0 < offset <= size - _EXTENSION:
            return None, 0
        file.seek(offset)
        area = file.read(_EXTENSION)
    above, below = struct.unpack_from("<HH", area, _GAMMA)
    return area[_ATTRIBUTES], above / below if below else 0


def _decode(path: Path, header: _Header, alpha: bool) -> Samples:
    entry, depth = (header.entry + 7) // 8, (header.depth + 7) // 8
    count = header.height * header.width
    with path.open("rb") as file:
        file.seek(header.start)
        table = file.read(header.colours * entry)
        content = file.read() if header.packed else file.read(count * depth)
    pixels = _unpacked(content, count, depth) if header.packed else np.frombuffer(content, np.uint8)
    if len(pixels) < count * depth or len(table) < header.colours * entry:
        raise ends_early(path)
    pixels = pixels[: count * depth].reshape(header.height, header.width, depth)
    if header.kind == _MAPPED:
        numbers = pixels.view("<u2" if depth == 2 else "u1")[..., 0].astype(np.int64) - header.first
        if numbers.min() < 0 or numbers.max() >= header.colours:
            raise ValueError("a pixel names a colour beyond its colour map")
        pixels = np.frombuffer(table, np.uint8).reshape(-1, entry)[numbers]
    notes = []
    if pixels.shape[2] == 4 and not header.attributes and np.ptp(pixels[..., 3]):
        notes.append("its fourth bytes, to which its header gives no meaning, are left out")
    if header.kind == _GREY:
        pixels = pixels if alpha else pixels[..., :1]
    else:
        pixels = _colours(np.ascontiguousarray(pixels), alpha)
    if alpha and not pixels[..., -1].any():
        notes.append("its alpha is 0 everywhere and counts as opaque")
        pixels = pixels.copy()
        pixels[..., -1] = 1 if entry == 2 or (depth == 2 and header.kind == _COLOUR) else 255
    if not header.top_down:
        pixels = pixels[::-1]
    if header.right_to_left:
        pixels = pixels[:, ::-1]
    return Samples(np.ascontiguousarray(pixels), tuple(notes))


def _colours(pixels: np.ndarray, alpha: bool) -> np.ndarray:  # [H, W, bytes] -> [H, W, 3 or 4]
    if pixels.shape[2] == 2:
        words = pixels.view("<u2")[..., 0]
        parts = [words >> 10 & 31, words >> 5 & 31, words & 31, words >> 15]
        return np.stack(parts[: 3 + alpha], 2).astype(np.uint8)
    return pixels[..., [2, 1, 0, 3] if alpha else [2, 1, 0]]


def _unpacked(content: bytes, count: int, depth: int) -> np.ndarray:
    """Decode run lengths; they may go on from one row to the next, as version 1 allowed."""
    parts: list[bytes] = []
    at = done = 0
    while done < count and at < len(content):
        length = (content[at] & 127) + 1
        if content[at] & 128:
            parts.append(content[at + 1 : at + 1 + depth] * length)
            at += 1 + depth
        else:
            parts.append(content[at + 1 : at + 1 + length * depth])
            at += 1 + length * depth
        done += length
    return np.frombuffer(b"".join(parts), np.uint8)
