"""Whether a written file reaches to its end, as it may not after a power failure or a broken copy."""

from __future__ import annotations

import os
from pathlib import Path

import tifffile

from .writer import format_of

_PNG_END = b"\0\0\0\0IEND\xae\x42\x60\x82"
_JPEG_END = b"\xff\xd9"


def is_whole(path: Path) -> bool:
    """Whether a file that `write_image` wrote is not cut short. The pixels are not decoded.

    Raises ImageError if its suffix is not that of a format that is written; OSError if it cannot be read.
    """
    form = format_of(path).name
    if form == "TIFF":
        return _reaches_its_pixels(path)
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(12)
        file.seek(-min(size, len(_PNG_END)), os.SEEK_END)
        end = file.read()
    if form == "PNG":
        return end == _PNG_END
    if form == "JPEG":
        return end.endswith(_JPEG_END)
    return head[8:] == b"WEBP" and int.from_bytes(head[4:8], "little") + 8 <= size


def _reaches_its_pixels(path: Path) -> bool:
    try:
        with tifffile.TiffFile(path) as tiff:
            page = tiff.pages.first
            ends = [start + count for start, count in zip(page.dataoffsets, page.databytecounts, strict=True)]
            return max(ends) <= tiff.filehandle.size
    except (tifffile.TiffFileError, ValueError):
        return False
