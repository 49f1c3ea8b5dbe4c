"""Whether the bytes of a TIFF file can hold the pixels that its tags claim."""

from __future__ import annotations

import math
from pathlib import Path

from tifffile import PHOTOMETRIC

from ..limits import MOST_DEFLATED, check_held
from .tiff_pages import Plane

_STORED = 1
_LARGEST_RATIO = {_STORED: 1, 5: 3413, 8: MOST_DEFLATED, 32946: MOST_DEFLATED, 32773: 64}
"""How many times smaller samples become at most with each compression: LZW has codes of 9 bits or more for
texts of 3839 bytes or less, PackBits two bytes for up to 128. Others have no such limit, or none that is
worth the knowledge of their codes."""


def check_claims(path: Path, plane: Plane) -> None:
    """Raise ImageError if the strips or tiles of a plane are too small for its pixels.

    Those that are not stored, of which there are no bytes, are empty and claim nothing. If some share their
    bytes, as empty tiles of some slides do, nothing is known.
    """
    page, directory = plane.page, plane.directory
    ratio = _LARGEST_RATIO.get(int(directory.compression))
    if ratio is None or plane.offset is not None:
        return
    stored = [start for start, count in zip(page.dataoffsets, page.databytecounts, strict=False) if count]
    if len(set(stored)) < len(stored):
        return
    samples = directory.samplesperpixel
    if directory.photometric == PHOTOMETRIC.YCBCR and directory.is_subsampled:
        samples = 1
    empty = sum(count == 0 for count in page.databytecounts) * math.prod(directory.chunks)
    numbers = directory.imagelength * directory.imagewidth * samples - empty
    size = int(page.parent.filehandle.size)
    # Of samples that are not compressed, some writers state a wrong number of bytes, and readers need none.
    held = size if directory.compression == _STORED else min(size, sum(page.databytecounts))
    needed = max(numbers, 0) * directory.bitspersample // 8 // ratio
    check_held(path, directory.imagelength, directory.imagewidth, needed, held)
