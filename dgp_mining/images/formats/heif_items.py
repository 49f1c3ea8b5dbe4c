"""The items of AVIF and HEIF files and their properties (ISO/IEC 23008-12; AV1 Image File Format 1.1)."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO

import numpy as np

from ..limits import ImageError
from .iso_boxes import MAX_BOXES, MAX_CONTENT, Box, boxes, content, file_end

_ALPHA = (
    b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha",
    b"urn:mpeg:hevc:2015:auxid:1",
    b"urn:mpeg:avc:2015:auxid:1",
)
_NO_PICTURES = frozenset({b"Exif", b"mime", b"uri ", b"tmap"})
# Turning by so many quarters anticlockwise and then exchanging top and bottom (0) or left and right (1), as
# an EXIF orientation (6.5.10 and 6.5.12).
_ORIENTATIONS = {
    (0, None): 1, (1, None): 8, (2, None): 3, (3, None): 6,
    (0, 0): 4, (1, 0): 5, (2, 0): 2, (3, 0): 7,
    (0, 1): 2, (1, 1): 7, (2, 1): 4, (3, 1): 5,
}  # fmt: skip


@dataclass(frozen=True)
class Window:
    """The part of a decoded picture that is the image: a clean aperture (6.5.9)."""

    top: int
    left: int
    height: int
    width: int


@dataclass(frozen=True)
class Picture:
    """The primary picture of a file."""

    window: Window
    """What of the decoded pixels is the image; all, in most files."""
    orientation: int
    """EXIF orientation, 1 to 8, that stands for its rotation and mirroring."""
    bits: int
    grey: bool
    alpha: bool
    premultiplied: bool
    profile: bytes | None
    """ICC profile."""
    codes: tuple[int, int, int, int] | None
    """Primaries, transfer, matrix and full-range flag (ITU-T H.273)."""
    pictures: int
    """Number of pictures in the file."""
    gain_map: bool
    exif: tuple[Box, ...]
    """Where its EXIF lies, in parts."""
    xmp: tuple[Box, ...]


@dataclass(frozen=True)
class _Meta:
    """The parts of a meta box that say what the items are."""

    primary: int
    kinds: dict[int, bytes]
    hidden: frozenset[int]
    properties: dict[int, list[tuple[bytes, bytes]]]
    """Of each item: (kind, content) in the order in which they apply."""
    references: list[tuple[bytes, int, tuple[int, ...]]]
    """(kind, from, to)."""
    places: dict[int, tuple[Box, ...]]
    xmp: frozenset[int]


def read_picture(path: Path) -> Picture | None:
    """Read what a file says about its primary picture; None if it has none, but only a sequence.

    Raises ImageError, ValueError, struct.error and OSError.
    """
    with path.open("rb") as file:
        outer = list(boxes(file, 0, file_end(file)))
        meta = next((box for box in outer if box.kind == b"meta"), None)
        if meta is None and all(box.kind != b"moov" for box in outer):
            raise ValueError("it holds neither a picture nor a film")
        if meta is None:
            return None
        return _picture(path, _read_meta(file, meta))


def cropped(pixels: np.ndarray, window: Window) -> np.ndarray:
    """Return the window of decoded pixels [H, W, C]."""
    return pixels[window.top : window.top + window.height, window.left : window.left + window.width]


def read_parts(path: Path, parts: Sequence[Box]) -> bytes:
    """Read and join the parts of an item. Raises ValueError and OSError."""
    if sum(part.end - part.start for part in parts) > MAX_CONTENT:
        raise ValueError("its metadata are unreasonably long")
    with path.open("rb") as file:
        return b"".join(content(file, part) for part in parts)


def exif_of(item: bytes) -> bytes | None:
    """Return the TIFF structure in an Exif item, which starts with its offset (annex A.2.1)."""
    start = 4 + int.from_bytes(item[:4])
    return item[start:].removeprefix(b"Exif\0\0") or None


def _picture(path: Path, meta: _Meta) -> Picture:
    primary = meta.primary
    own = dict(reversed(meta.properties.get(primary, [])))  # the first of a kind counts
    if b"ispe" not in own:
        raise ValueError("its primary picture has no size")
    width, height = struct.unpack(">II", own[b"ispe"][4:12])
    tiles = [to for kind, start, to in meta.references if kind == b"dimg" and start == primary]
    tile = dict(meta.properties.get(tiles[0][0], [])) if tiles and tiles[0] else {}
    bits, grey = _depth({**tile, **own})
    window, orientation = _transformed(path, height, width, meta.properties[primary])
    alphas = [start for kind, start, to in meta.references if kind == b"auxl" and primary in to]
    alphas = [item for item in alphas if _is_alpha(meta.properties.get(item, []))]
    premultiplied = any(kind == b"prem" and start == primary for kind, start, _ in meta.references)
    profile, codes = _colours(
        meta.properties[primary] + meta.properties.get(tiles[0][0] if tiles else -1, [])
    )
    about = [start for kind, start, to in meta.references if kind == b"cdsc" and primary in to]
    exif = [item for item, kind in meta.kinds.items() if kind == b"Exif" and (item in about or not about)]
    xmp = [item for item in sorted(meta.xmp) if item in about or not about]
    return Picture(
        window=window,
        orientation=orientation,
        bits=bits,
        grey=grey,
        alpha=bool(alphas),
        premultiplied=premultiplied and bool(alphas),
        profile=profile,
        codes=codes,
        pictures=_count(meta),
        gain_map=b"tmap" in meta.kinds.values(),
        exif=meta.places.get(exif[0], ()) if exif else (),
        xmp=meta.places.get(xmp[0], ()) if xmp else (),
    )


def _depth(properties: dict[bytes, bytes]) -> tuple[int, bool]:
    """(bits, whether grey) by the configuration of the codec, else by the pixi property."""
    if b"av1C" in properties:  # AV1 ISOBMFF, 2.3.3
        flags = properties[b"av1C"][2]
        return (12 if flags & 0x20 else 10) if flags & 0x40 else 8, bool(flags & 0x10)
    if b"hvcC" in properties:  # ISO/IEC 14496-15, 8.3.2.1
        setup = properties[b"hvcC"]
        return (setup[17] & 7) + 8, setup[16] & 3 == 0
    if b"pixi" in properties:
        depths = properties[b"pixi"]
        return depths[5], depths[4] < 3
    raise ValueError("it does not say how many bits it has")


def _transformed(
    path: Path, height: int, width: int, properties: list[tuple[bytes, bytes]]
) -> tuple[Window, int]:
    """The window and orientation that the transformations of a picture stand for, in their order."""
    window, quarters, mirror = Window(0, 0, height, width), 0, None
    for kind, value in properties:
        if kind == b"clap":
            if quarters or mirror is not None:
                raise ImageError(f"{path} is cropped after it is turned, which is not read: convert it.")
            window = _clean_aperture(path, value, height, width)
        elif kind == b"irot":
            # A rotation after mirroring is the opposite one before it.
            quarters = (quarters + (value[0] & 3) * (1 if mirror is None else -1)) % 4
        elif kind == b"imir":
            if mirror is not None:
                raise ImageError(f"{path} is mirrored twice, which is not read: convert it.")
            mirror = value[0] & 1
    return window, _ORIENTATIONS[quarters, mirror]


def _clean_aperture(path: Path, box: bytes, height: int, width: int) -> Window:
    """The window of a clap property: its size and the offset of its centre (ISO/IEC 14496-12, 12.1.4)."""
    numbers = struct.unpack(">IIIIiIiI", box[:32])
    if 0 in numbers[1::2]:
        raise ValueError("the size of its crop is divided by 0")
    inner_width, inner_height, right, down = (
        Fraction(up, below) for up, below in zip(numbers[::2], numbers[1::2], strict=True)
    )
    left = right + (width - inner_width) / 2
    top = down + (height - inner_height) / 2
    if any(edge.denominator != 1 for edge in (left, top, inner_width, inner_height)):
        raise ImageError(f"{path} is cropped between pixels, which is not read: convert it.")
    window = Window(int(top), int(left), int(inner_height), int(inner_width))
    if min(left, top) < 0 or left + inner_width > width or top + inner_height > height:
        raise ValueError("it is cropped to more than it has")
    return window


def _colours(properties: list[tuple[bytes, bytes]]) -> tuple[bytes | None, tuple[int, int, int, int] | None]:
    profile, codes = None, None
    for kind, value in properties:
        if kind != b"colr":
            continue
        if value[:4] in (b"prof", b"rICC") and profile is None:
            profile = value[4:]
        elif value[:4] == b"nclx" and codes is None and len(value) >= 11:
            codes = (*struct.unpack(">HHH", value[4:10]), value[10] >> 7)
    return profile, codes


def _is_alpha(properties: list[tuple[bytes, bytes]]) -> bool:
    return any(kind == b"auxC" and value[4:].split(b"\0")[0] in _ALPHA for kind, value in properties)


def _count(meta: _Meta) -> int:
    """The number of pictures that are for themselves: no thumbnails, tiles, masks or gain maps."""
    parts = {start for kind, start, _ in meta.references if kind in (b"thmb", b"auxl")}
    parts |= {
        item for kind, _, to in meta.references if kind == b"dimg" for item in to if item != meta.primary
    }
    whole = [item for item, kind in meta.kinds.items() if kind not in _NO_PICTURES and item not in parts]
    return len([item for item in whole if item not in meta.hidden or item == meta.primary])


def _read_meta(file: BinaryIO, meta: Box) -> _Meta:
    inner = {box.kind: box for box in boxes(file, meta.start + 4, meta.end)}
    said = {
        kind: content(file, inner[kind]) for kind in (b"pitm", b"iinf", b"iref", b"iloc") if kind in inner
    }
    if b"pitm" not in said or b"iprp" not in inner:
        raise ValueError("it does not say which of its pictures is the primary one")
    wide = 4 if said[b"pitm"][0] else 2
    kinds, hidden, xmp = _kinds(file, inner[b"iinf"]) if b"iinf" in inner else ({}, frozenset(), frozenset())
    return _Meta(
        primary=int.from_bytes(said[b"pitm"][4 : 4 + wide]),
        kinds=kinds,
        hidden=hidden,
        properties=_properties(file, inner[b"iprp"]),
        references=list(_references(file, inner[b"iref"])) if b"iref" in inner else [],
        places=_places(said.get(b"iloc", b""), inner.get(b"idat"), file_end(file)),
        xmp=xmp,
    )


def _kinds(file: BinaryIO, iinf: Box) -> tuple[dict[int, bytes], frozenset[int], frozenset[int]]:
    file.seek(iinf.start)
    count_size = 4 if file.read(4)[0] else 2
    kinds, hidden, xmp = {}, set(), set()
    for box in boxes(file, iinf.start + 4 + count_size, iinf.end):
        entry = content(file, box)
        if box.kind != b"infe" or entry[0] < 2:
            continue
        wide = 2 if entry[0] == 2 else 4
        item, kind = int.from_bytes(entry[4 : 4 + wide]), entry[6 + wide : 10 + wide]
        kinds[item] = kind
        if entry[3] & 1:
            hidden.add(item)
        if kind == b"mime" and b"application/rdf+xml" in entry:
            xmp.add(item)
    return kinds, frozenset(hidden), frozenset(xmp)


def _properties(file: BinaryIO, iprp: Box) -> dict[int, list[tuple[bytes, bytes]]]:
    held: list[tuple[bytes, bytes]] = []
    of_items: dict[int, list[tuple[bytes, bytes]]] = {}
    for box in boxes(file, iprp.start, iprp.end):
        if box.kind == b"ipco":
            held = [(inner.kind, content(file, inner)) for inner in boxes(file, box.start, box.end)]
    for box in boxes(file, iprp.start, iprp.end):
        if box.kind != b"ipma":
            continue
        table = content(file, box)
        wide, large, at = 4 if table[0] else 2, bool(table[3] & 1), 8
        for _ in range(min(int.from_bytes(table[4:8]), len(table))):
            item, count = int.from_bytes(table[at : at + wide]), table[at + wide]
            at += wide + 1
            for _ in range(count):
                index = int.from_bytes(table[at : at + 2]) & 0x7FFF if large else table[at] & 0x7F
                at += 2 if large else 1
                if 0 < index <= len(held):
                    of_items.setdefault(item, []).append(held[index - 1])
    return of_items


def _references(file: BinaryIO, iref: Box) -> Iterator[tuple[bytes, int, tuple[int, ...]]]:
    file.seek(iref.start)
    form = "I" if file.read(4)[0] else "H"
    for box in boxes(file, iref.start + 4, iref.end):
        packed = content(file, box)
        start, count = struct.unpack_from(f">{form}H", packed)
        yield box.kind, start, struct.unpack_from(f">{count}{form}", packed, struct.calcsize(f">{form}H"))


def _places(iloc: bytes, idat: Box | None, end: int) -> dict[int, tuple[Box, ...]]:
    """Where the items lie (ISO/IEC 14496-12, 8.11.3); those built from others are left out."""
    if not iloc:
        return {}
    version, sizes = iloc[0], iloc[4:6]
    offset_size, length_size, base_size = sizes[0] >> 4, sizes[0] & 15, sizes[1] >> 4
    index_size = sizes[1] & 15 if version else 0
    wide, at = 4 if version == 2 else 2, 6

    def number(size: int) -> int:
        nonlocal at
        at += size
        if at > len(iloc):
            raise ValueError("its table of items is damaged")
        return int.from_bytes(iloc[at - size : at])

    places, seen = {}, 0
    for _ in range(number(wide)):
        item = number(wide)
        method = number(2) & 15 if version else 0
        number(2)  # which file it lies in
        base = number(base_size)
        parts = []
        count = number(2)
        seen += 1 + count
        if seen > MAX_BOXES:
            raise ValueError("it has too many items")
        for _ in range(count):
            number(index_size)
            start, length = base + number(offset_size), number(length_size)
            if method == 1 and idat is not None:
                start += idat.start
            parts.append(Box(b"item", start, start + length, start + length > end))
        if method <= 1:
            places[item] = tuple(parts)
    return places
