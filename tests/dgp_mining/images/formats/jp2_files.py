"""Writing JPEG 2000 files of kinds that no common encoder offers."""

from __future__ import annotations

import struct

import imagecodecs
import numpy as np


def box(kind: bytes, *content: bytes) -> bytes:
    inside = b"".join(content)
    return struct.pack(">I4s", 8 + len(inside), kind) + inside


def enumerated(number: int, parameters: bytes = b"") -> bytes:
    return box(b"colr", b"\1\0\0", number.to_bytes(4), parameters)


def jp2(codestream: bytes, *header: bytes, after: bytes = b"") -> bytes:
    """A JP2 file; `header` are the boxes that follow ihdr, whose depth is left to bpcc or the codestream."""
    x1, y1, x0, y0 = struct.unpack(">4I", codestream[8:24])
    count = int.from_bytes(codestream[40:42])
    first = struct.pack(">IIHBBBB", y1 - y0, x1 - x0, count, codestream[42], 7, 0, 0)
    start = box(b"jP  ", b"\r\n\x87\n") + box(b"ftyp", b"jp2 \0\0\0\0jp2 ")
    return start + box(b"jp2h", box(b"ihdr", first), *header) + box(b"jp2c", codestream) + after


def encoded(pixels: np.ndarray, bits: int | None = None) -> bytes:
    """A codestream without loss."""
    return bytes(imagecodecs.jpeg2k_encode(pixels, level=0, codecformat="j2k", bitspersample=bits))


def together(
    planes: list[np.ndarray], bits: list[int], steps: list[tuple[int, int]], corner: tuple[int, int] = (0, 0)
) -> bytes:
    """Join components that were encoded alone, with one resolution and layer each, in one codestream.

    Their packets then simply follow each other (T.800, B.12.1.1).
    """
    parts = []
    for plane, depth in zip(planes, bits, strict=True):
        stream = bytes(
            imagecodecs.jpeg2k_encode(
                plane, level=0, codecformat="j2k", bitspersample=depth, resolutions=1, mct=False
            )
        )
        parts.append((*_segments(stream), stream))
    height, width = planes[0].shape
    y, x = corner
    main = dict(parts[0][0])
    siz = main[0x51][:2] + struct.pack(">8I", x + width, y + height, x, y, x + width, y + height, 0, 0)
    siz += len(planes).to_bytes(2)
    quantised = b""
    for index, ((segments, _, _), step) in enumerate(zip(parts, steps, strict=True)):
        siz += dict(segments)[0x51][36:37] + bytes([step[1], step[0]])
        if index:
            quantised += _segment(0x5D, bytes([index]) + dict(segments)[0x5C])
    tile = b"".join(body for _, body, _ in parts)
    return (
        b"\xff\x4f"
        + _segment(0x51, siz)
        + _segment(0x52, main[0x52])
        + _segment(0x5C, main[0x5C])
        + quantised
        + _segment(0x90, struct.pack(">HIBB", 0, len(tile) + 14, 0, 1))
        + b"\xff\x93"
        + tile
        + b"\xff\xd9"
    )


def _segments(stream: bytes) -> tuple[list[tuple[int, bytes]], bytes]:
    at, found = 2, []
    while stream[at + 1] != 0x90:
        length = int.from_bytes(stream[at + 2 : at + 4])
        found.append((stream[at + 1], stream[at + 4 : at + 2 + length]))
        at += 2 + length
    return found, stream[at + 14 : -2]


def _segment(marker: int, content: bytes) -> bytes:
    return bytes([0xFF, marker]) + (2 + len(content)).to_bytes(2) + content


def definitions(*channels: tuple[int, int, int]) -> bytes:
    packed = (struct.pack(">HHH", *channel) for channel in channels)
    return box(b"cdef", len(channels).to_bytes(2), *packed)
