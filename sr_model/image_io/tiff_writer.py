"""Writing TIFF tile by tile, BigTIFF beyond 4 GB, so that an image need not fit into memory."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO

import numpy as np
import tifffile
from PIL import ExifTags, Image

from dgp_mining.images.attachments import GeoReference

from .metadata import Metadata, directory_bytes

SIDE = 256
"""Side of a tile in pixels; bands whose height is a multiple of it are cut without copies."""
_WAITING = 1 << 25
"""Bytes of tiles that are compressed at a time, by several threads."""
_CLASSIC_BYTES = (1 << 32) - (1 << 25)
_DIRECTORIES = {ExifTags.IFD.Exif: "ExifTag", ExifTags.IFD.GPSInfo: "GPSTag"}
"""tifffile's names of the EXIF directories; it does not write them by number."""
_BYTE, _UNDEFINED = 1, 7  # types of values, TIFF 6.0, section 2
ExtraTag = tuple[int | str, int | str, int, Any, bool]
"""A tag as tifffile takes it: number or name, type, count, value, whether it is written to one page only."""


def write_tiff(
    file: BinaryIO,
    bands: Iterator[np.ndarray],  # each [rows, W, C]
    shape: tuple[int, int, int],
    dtype: np.dtype,
    metadata: Metadata,
    profile: bytes | None,
) -> None:
    """Write a tiled, deflate-compressed TIFF from bands of rows, uint8, uint16 or float32. Raises OSError.

    `file` is empty and can also be read. `profile` is the ICC profile of the pixels; that of `metadata` is
    not looked at.
    """
    height, width, channels = shape
    big = height * width * channels * np.dtype(dtype).itemsize > _CLASSIC_BYTES
    exif = metadata.sized_exif(width, height) or Image.Exif()
    directories = [tag for tag in _DIRECTORIES if exif.get_ifd(tag)]
    with tifffile.TiffWriter(file, bigtiff=big, byteorder="<") as tiff:
        tiff.write(
            tiles(bands, width),
            shape=shape if channels > 1 else shape[:2],
            dtype=dtype,
            photometric="rgb" if channels >= 3 else "minisblack",
            planarconfig="contig" if channels > 1 else None,
            extrasamples=["unassalpha"] if channels in (2, 4) else None,
            tile=(SIDE, SIDE),
            compression="zlib",
            predictor=width > 1,  # tifffile takes the differences of a single column along it
            buffersize=_WAITING,
            iccprofile=profile,
            resolution=metadata.dpi,
            resolutionunit="inch" if metadata.dpi else None,
            software=False,
            metadata=None,
            extratags=[
                *_texts(exif),
                *_packets(metadata, width, height),
                *_georeference(metadata.geo),
                *(
                    (_DIRECTORIES[tag], "Q" if big else "I", 1, 0, True) for tag in directories
                ),  # filled in below
            ],
        )
    for tag in directories:
        directory = dict(exif.get_ifd(tag))
        if ExifTags.IFD.Interop in directory:  # so far an offset in the old file
            directory[ExifTags.IFD.Interop] = dict(exif.get_ifd(ExifTags.IFD.Interop))
        _append_directory(file, int(tag), directory, big)


def tiles(bands: Iterator[np.ndarray], width: int) -> Iterator[np.ndarray]:
    """Cut bands of any number of rows into tiles, in row-major order; tiles at the edges are smaller."""
    waiting: list[np.ndarray] = []
    for band in bands:
        waiting.append(band)
        if sum(map(len, waiting)) >= SIDE:
            rows = waiting[0] if len(waiting) == 1 else np.concatenate(waiting)
            whole = len(rows) // SIDE * SIDE
            yield from _cut(rows[:whole], width)
            waiting = [rows[whole:]]
    yield from _cut(np.concatenate(waiting), width)


def _cut(rows: np.ndarray, width: int) -> Iterator[np.ndarray]:
    for top in range(0, len(rows), SIDE):
        for left in range(0, width, SIDE):
            tile = rows[top : top + SIDE, left : left + SIDE]
            yield np.ascontiguousarray(tile if tile.shape[2] > 1 else tile[..., 0])


def _texts(exif: Image.Exif) -> Iterator[ExtraTag]:
    """The text tags of EXIF's main directory (camera, author, date)."""
    for tag, value in exif.items():
        if isinstance(value, str):
            yield tag, "s", 0, value.encode(), True
        elif isinstance(value, bytes) and value:  # the texts of Windows, in UTF-16
            yield tag, _BYTE, len(value), value, True


def _packets(metadata: Metadata, width: int, height: int) -> Iterator[ExtraTag]:
    """XMP (part 3, 1.1.4.3) and IPTC (TIFF/EP)."""
    if xmp := metadata.sized_xmp(width, height):
        yield 700, _BYTE, len(xmp), xmp, True
    if metadata.iptc:
        yield 33723, _UNDEFINED, len(metadata.iptc), metadata.iptc, True


def _georeference(geo: GeoReference | None) -> Iterator[ExtraTag]:
    """The tags of GeoTIFF 1.1, 7.1 and 7.2."""
    if geo is None:
        return
    for tag, kind, values in (
        (33550, "d", geo.scale),
        (33922, "d", geo.tiepoints),
        (34264, "d", geo.transform),
        (34735, "H", geo.keys),
        (34736, "d", geo.doubles),
    ):
        if values:
            yield tag, kind, len(values), values, True
    if geo.ascii:
        yield 34737, "s", 0, geo.ascii.encode(), True


def _append_directory(file: BinaryIO, tag: int, directory: Mapping[int, Any], big: bool) -> None:
    """Append an EXIF directory to a little-endian TIFF file and make its `tag` point to it."""
    first, counter, length, value = (8, "<Q", 20, "<Q") if big else (4, "<H", 12, "<I")
    offset = file.seek(0, io.SEEK_END)
    offset += file.write(bytes(-offset % 8))
    file.write(directory_bytes(directory, offset, big=big))
    file.seek(first)
    (main,) = struct.unpack(value, file.read(struct.calcsize(value)))
    file.seek(main)
    (entries,) = struct.unpack(counter, file.read(struct.calcsize(counter)))
    start = file.tell()
    tags = [struct.unpack_from("<H", file.read(length))[0] for _ in range(entries)]
    file.seek(start + length * (tags.index(tag) + 1) - struct.calcsize(value))
    file.write(struct.pack(value, offset))
