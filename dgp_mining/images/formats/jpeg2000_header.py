"""What the boxes of a JPEG 2000 file and the main header of its codestream say.

JP2 (ITU-T T.800, annexes A and I), JPX (T.801, annex M), JPH (T.814) and bare codestreams.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from ..limits import ImageError, ends_early
from .iso_boxes import Box, boxes, content, file_end

CODESTREAM = b"\xff\x4f\xff\x51"
"""Start of a codestream: SOC, then its SIZ segment."""

_MAX_COMPONENTS = 64  # the standard's 16384 would be bands that nobody here reads


@dataclass(frozen=True)
class Component:
    """A component of the codestream (T.800, A.5.1)."""

    bits: int
    signed: bool
    dx: int
    """Columns of the image's grid for each of its own."""
    dy: int
    """Rows of the image's grid for each of its own."""
    height: int
    width: int


@dataclass(frozen=True)
class Siz:
    """The image and its components, as the SIZ segment says."""

    components: tuple[Component, ...]
    odd_offset: bool
    """Whether the image starts at an odd column or row of the grid."""


@dataclass(frozen=True)
class Palette:
    """A palette box, pclr (T.800, I.5.3.4)."""

    bits: tuple[int, ...]
    """Of each column."""
    signed: bool
    columns: tuple[tuple[int, ...], ...]
    """The entries of each column."""


@dataclass(frozen=True)
class Mapped:
    """What a channel is: a component, or a palette's column looked up by a component (T.800, I.5.3.5)."""

    component: int
    column: int | None


@dataclass(frozen=True)
class Colour:
    """A colour specification box, colr (T.800, I.5.3.3)."""

    method: int
    enumerated: int
    """EnumCS, if the method is 1."""
    rest: bytes
    """The ICC profile, or the parameters of the enumerated colour space."""


@dataclass(frozen=True)
class Definition:
    """What a channel is for (T.800, I.5.3.6)."""

    kind: int
    """0 colour, 1 opacity, 2 premultiplied opacity, 65535 unspecified."""
    association: int
    """0 the whole image, else the number of a colour, from 1; 65535 none."""


@dataclass(frozen=True)
class Header:
    """All that is said before the pixels."""

    siz: Siz
    codestream: Box
    """Where the codestream lies."""
    images: int = 1
    """Number of codestreams."""
    colours: tuple[Colour, ...] = ()
    palette: Palette | None = None
    mapping: tuple[Mapped, ...] = ()
    definitions: tuple[tuple[int, Definition], ...] = ()
    """(channel, what it is for)."""
    dpi: tuple[float, float] | None = None
    uuids: tuple[tuple[bytes, Box], ...] = ()
    """(identifier, content) of the UUID boxes."""
    texts: tuple[Box, ...] = ()
    """The XML boxes."""


def read_header(path: Path) -> Header:
    """Read the header of a JPEG 2000 file. Raises ImageError, ValueError, struct.error and OSError."""
    with path.open("rb") as file:
        end = file_end(file)
        file.seek(0)
        if file.read(4) == CODESTREAM:
            return Header(_siz(file, 0), Box(b"jp2c", 0, end))
        return _boxed(path, file, end)


def _boxed(path: Path, file: BinaryIO, end: int) -> Header:
    outer = list(boxes(file, 0, end))
    codestreams = [box for box in outer if box.kind == b"jp2c"]
    if not codestreams:
        kinds = {box.kind for box in outer}
        what = "is Motion JPEG 2000" if b"moov" in kinds else "has no JPEG 2000 codestream of its own"
        raise ImageError(f"{path} {what}, which is not read: convert it.")
    if codestreams[0].cut:
        raise ends_early(path)
    said: dict[bytes, bytes] = {}  # the first box of each kind counts
    colours: list[bytes] = []
    # The default header first, then those of the first codestream and layer (T.801, M.11.5 and M.11.6).
    for kind in (b"jp2h", b"jpch", b"jplh"):
        for box in [box for box in outer if box.kind == kind][:1]:
            for inner in _flat(file, box):
                if inner.kind == b"colr":
                    colours.append(content(file, inner))
                elif inner.kind in (b"pclr", b"cmap", b"cdef", b"resc", b"resd"):
                    said.setdefault(inner.kind, content(file, inner))
    uuids = []
    for box in outer:
        if box.kind == b"uuid" and box.end - box.start >= 16:
            file.seek(box.start)
            uuids.append((file.read(16), Box(b"uuid", box.start + 16, box.end, box.cut)))
    palette = _palette(said[b"pclr"]) if b"pclr" in said else None
    return Header(
        siz=_siz(file, codestreams[0].start),
        codestream=codestreams[0],
        images=len(codestreams),
        colours=tuple(_colour(box) for box in colours),
        palette=palette,
        mapping=_mapping(said.get(b"cmap", b"")) if palette else (),
        definitions=_definitions(said.get(b"cdef", b"")),
        dpi=_dpi(said.get(b"resc") or said.get(b"resd") or b""),
        uuids=tuple(uuids),
        texts=tuple(box for box in outer if box.kind == b"xml "),
    )


def _flat(file: BinaryIO, outer: Box) -> list[Box]:
    """The boxes of a header, with those of its colour group and resolution boxes."""
    found = []
    for box in boxes(file, outer.start, outer.end):
        found += list(boxes(file, box.start, box.end)) if box.kind in (b"cgrp", b"res ") else [box]
    return found


def _siz(file: BinaryIO, start: int) -> Siz:
    file.seek(start)
    head = file.read(42)
    if len(head) < 42 or head[:4] != CODESTREAM:
        raise ValueError("its codestream has no header")
    x1, y1, x0, y0 = struct.unpack(">4I", head[8:24])
    count = int.from_bytes(head[40:42])
    if not 1 <= count <= _MAX_COMPONENTS:
        raise ValueError(f"it has {count} components")
    described = file.read(3 * count)
    if len(described) < 3 * count or 0 in described[1::3] or 0 in described[2::3]:
        raise ValueError("its codestream's header is damaged")
    components = []
    for index in range(count):
        depth, dx, dy = described[3 * index : 3 * index + 3]
        height, width = -(-y1 // dy) - -(-y0 // dy), -(-x1 // dx) - -(-x0 // dx)
        components.append(Component((depth & 0x7F) + 1, bool(depth & 0x80), dx, dy, height, width))
    return Siz(tuple(components), bool(x0 % 2 or y0 % 2))


def _colour(box: bytes) -> Colour:
    enumerated = int.from_bytes(box[3:7]) if box[0] == 1 else -1
    return Colour(box[0], enumerated, box[7:] if box[0] == 1 else box[3:])


def _palette(box: bytes) -> Palette:
    entries, columns = struct.unpack_from(">HB", box)
    depths = box[3 : 3 + columns]
    bits = tuple((depth & 0x7F) + 1 for depth in depths)
    sizes = [(depth + 7) // 8 for depth in bits]
    if not 1 <= entries <= 1024 or len(depths) < columns or len(box) < 3 + columns + entries * sum(sizes):
        raise ValueError("its palette is damaged")
    signed = {bool(depth & 0x80) for depth in depths}
    if len(signed) != 1:
        raise ValueError("its palette has both signed and unsigned columns")
    table: list[list[int]] = [[] for _ in bits]
    offset = 3 + columns
    for _ in range(entries):
        for column, size in zip(table, sizes, strict=True):
            column.append(int.from_bytes(box[offset : offset + size], signed=True in signed))
            offset += size
    return Palette(bits, True in signed, tuple(map(tuple, table)))


def _mapping(box: bytes) -> tuple[Mapped, ...]:
    if len(box) > 4 * _MAX_COMPONENTS:
        raise ValueError("its component mapping is too long")
    return tuple(
        Mapped(component, column if kind == 1 else None)
        for component, kind, column in struct.iter_unpack(">HBB", box[: len(box) // 4 * 4])
    )


def _definitions(box: bytes) -> tuple[tuple[int, Definition], ...]:
    if len(box) < 2:
        return ()
    count = min(int.from_bytes(box[:2]), (len(box) - 2) // 6)
    return tuple(
        (channel, Definition(kind, association))
        for channel, kind, association in struct.iter_unpack(">HHH", box[2 : 2 + 6 * count])
    )


def _dpi(box: bytes) -> tuple[float, float] | None:
    """Dots per inch (x, y) from points per metre (T.800, I.5.3.7)."""
    if len(box) < 10:
        return None
    up, down, across, by, up_power, across_power = struct.unpack_from(">4H2b", box)
    if not down or not by or not up or not across:
        return None
    return (across / by * 10.0**across_power * 0.0254, up / down * 10.0**up_power * 0.0254)
