"""How many bits the JPEG or JPEG 2000 data in a TIFF file have, whose tags may say more."""

from __future__ import annotations

import tifffile
from tifffile import COMPRESSION

_JPEG = (COMPRESSION.JPEG, COMPRESSION.ALT_JPEG, COMPRESSION.JPEG_LOSSY)
_JPEG_2000 = (
    COMPRESSION.JPEG2000,
    COMPRESSION.JPEG_2000_LOSSY,
    COMPRESSION.APERIO_JP2000_YCBC,
    COMPRESSION.APERIO_JP2000_RGB,
)
_SIZ = b"\xff\x4f\xff\x51"
_HEAD = 1 << 16
"""Bytes of a strip or tile that are read; its header is at their beginning."""


def bits_of_codestream(page: tifffile.TiffPage) -> int | None:
    """Return the bits of a sample that the first strip or tile says; None if it is of another compression.

    JPEG: ITU-T T.81, B.2.2; JPEG 2000: T.800, A.5.1.
    """
    if page.compression not in (*_JPEG, *_JPEG_2000):
        return None
    for offset, count in zip(page.dataoffsets, page.databytecounts, strict=False):
        if count:
            page.parent.filehandle.seek(offset)
            head = page.parent.filehandle.read(min(count, _HEAD))
            return _of_jpeg(head) if page.compression in _JPEG else _of_jpeg2000(head)
    return None


def _of_jpeg2000(head: bytes) -> int | None:
    start = head.find(_SIZ)
    if start < 0 or len(head) < start + 43:
        return None
    return (head[start + 42] & 0x7F) + 1


def _of_jpeg(head: bytes) -> int | None:
    at = 2
    while at + 5 <= len(head) and head[at] == 0xFF:
        if 0xC0 <= head[at + 1] <= 0xCF and head[at + 1] not in (0xC4, 0xC8, 0xCC):
            return head[at + 4]
        at += 2 + int.from_bytes(head[at + 2 : at + 4])
    return None
