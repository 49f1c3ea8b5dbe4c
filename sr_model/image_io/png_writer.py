"""Writing PNG row by row, so that an image need not fit into memory (PNG specification, second edition)."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from .metadata import Metadata

_COLOUR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}  # by channels: grey, grey + alpha, RGB, RGBA
_PAETH = 4
_METRES_PER_INCH = 0.0254
_CHUNK = 1 << 20


def write_png(
    path: Path,
    bands: Iterator[np.ndarray],  # each [rows, W, C]
    shape: tuple[int, int, int],
    dtype: np.dtype,
    metadata: Metadata,
) -> None:
    """Write a PNG from bands of rows, uint8 or uint16, grey or RGB with or without alpha. Raises OSError."""
    height, width, channels = shape
    depth = 8 * np.dtype(dtype).itemsize
    with path.open("wb") as file:

        def chunk(name: bytes, content: bytes) -> None:
            check = zlib.crc32(name + content)
            file.write(struct.pack(">I", len(content)) + name + content + struct.pack(">I", check))

        file.write(b"\x89PNG\r\n\x1a\n")
        chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, _COLOUR_TYPES[channels], 0, 0, 0))
        if metadata.profile:
            chunk(b"iCCP", b"ICC profile\0\0" + zlib.compress(metadata.profile))
        if metadata.dpi:
            x, y = (round(dots / _METRES_PER_INCH) for dots in metadata.dpi)
            chunk(b"pHYs", struct.pack(">IIB", x, y, 1))
        if exif := metadata.sized_exif(width, height):
            chunk(b"eXIf", exif.tobytes().removeprefix(b"Exif\0\0"))
        deflate = zlib.compressobj(6)
        above = np.zeros((1, width * channels * depth // 8), np.uint8)
        for band in bands:
            rows = (
                np.ascontiguousarray(band, band.dtype.newbyteorder(">")).view(np.uint8).reshape(len(band), -1)
            )
            content = deflate.compress(paeth_filter(rows, above, channels * depth // 8).tobytes())
            for start in range(0, len(content), _CHUNK):
                chunk(b"IDAT", content[start : start + _CHUNK])
            above = rows[-1:]
        chunk(b"IDAT", deflate.flush())
        chunk(b"IEND", b"")


def paeth_filter(rows: np.ndarray, above: np.ndarray, step: int) -> np.ndarray:
    """Apply PNG's filter 4 (Paeth), the best one for photographs, to rows of bytes: [R, n] to [R, 1 + n].

    `above` is the row above the first, [1, n]; `step` is the number of bytes of a pixel.
    """
    up = np.concatenate([above, rows[:-1]]).astype(np.int16)
    left, corner = (np.pad(part[:, :-step], ((0, 0), (step, 0))).astype(np.int16) for part in (rows, up))
    to_left, to_up, to_corner = abs(up - corner), abs(left - corner), abs(left + up - 2 * corner)
    nearest_up = np.where(to_up <= to_corner, up, corner)
    predicted = np.where((to_left <= to_up) & (to_left <= to_corner), left, nearest_up)
    out = np.empty((len(rows), rows.shape[1] + 1), np.uint8)
    out[:, 0] = _PAETH
    out[:, 1:] = rows - predicted.astype(np.uint8)
    return out
