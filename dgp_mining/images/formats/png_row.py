"""The first rows of a PNG file, decoded without the others: a cheap hint that two files are the same picture.

Programs compress the same pixels to different bytes, so that only decoded ones can be compared.
"""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import BinaryIO

import numpy as np

from .png_chunks import CHANNELS, chunks_of

MOST_ROWS = 32
"""Rows that are looked at; scans have borders of one colour."""


def first_row(path: Path) -> bytes:
    """Return the first row of a PNG file that has more than one colour, what is above, and its meaning.

    Nothing for other files, interlaced and damaged ones, and if there is no such row among MOST_ROWS. Raises
    OSError if it cannot be read.
    """
    with path.open("rb") as file:
        if not file.read(8).startswith(b"\x89PNG"):
            return b""
        header = palette = b""
        for kind, offset, length in chunks_of(file):
            file.seek(offset)
            if kind == b"IHDR":
                header = file.read(min(length, 13))
            elif kind == b"PLTE":
                palette = file.read(min(length, 768))
            elif kind == b"IDAT":
                break
        else:
            return b""
        if len(header) != 13 or header[9] not in CHANNELS or header[12]:
            return b""
        bits = header[8] * CHANNELS[header[9]]
        width, height = int.from_bytes(header[:4]), int.from_bytes(header[4:8])
        length, step = 1 + -(-width * bits // 8), max(1, bits // 8)
        meaning = header[:10] + palette
        for rows in (1, min(height, MOST_ROWS)):  # mostly one is enough
            if row := _first_of_several_colours(_inflated(file, rows * length), length, step):
                return meaning + row
    return b""


def _first_of_several_colours(filtered: bytes, length: int, step: int) -> bytes:
    """Return the first row that has several colours, and the colours of those above it; b"" if there is none.

    `length` is that of a filtered row, `step` the bytes of a pixel.
    """
    colour, seen = bytes(step), b""
    for start in range(0, len(filtered), length):
        row = _unfiltered(filtered[start : start + length], step, colour)
        if not row:  # damaged
            return b""
        seen += row[:step]
        if row[:-step] != row[step:]:
            return seen + row
        colour = row[:step]
    return b""


def _inflated(file: BinaryIO, size: int) -> bytes:
    """Return the first bytes of the filtered pixels; fewer if the file is damaged."""
    inflater, found = zlib.decompressobj(), b""
    for kind, offset, length in chunks_of(file):
        if kind != b"IDAT":
            continue
        end = offset + length
        while offset < end and len(found) < size:
            file.seek(offset)
            block = file.read(min(4096, end - offset))
            offset += len(block)
            try:
                found += inflater.decompress(block, size - len(found))
            except zlib.error:
                return b""
            if not block:
                return b""
        if len(found) >= size:
            break
    return found if len(found) == size else b""


def _unfiltered(filtered: bytes, step: int, above: bytes) -> bytes:
    """Undo the filter of a row (9.2) below one whose pixels all are `above`, of `step` bytes."""
    kind, row = filtered[0], np.frombuffer(filtered[1:], np.uint8).copy()
    if len(row) % step or kind > 4:
        return b""
    pixels, colour = row.reshape(-1, step), np.frombuffer(above, np.uint8)
    if kind == 2:
        pixels += colour
    elif kind in (1, 4):  # Paeth predicts the left pixel here, and the one above for the first
        pixels[0] += colour if kind == 4 else 0
        pixels = pixels.cumsum(axis=0, dtype=np.uint8)
    elif kind == 3:
        values, left = bytearray(row), bytes(step)
        for i in range(0, len(values), step):
            left = bytes(
                value + (a + b) // 2 & 0xFF
                for value, a, b in zip(values[i : i + step], left, above, strict=True)
            )
            values[i : i + step] = left
        return bytes(values)
    return pixels.tobytes()
