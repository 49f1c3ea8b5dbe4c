"""What OME-XML says about the numbers of an OME-TIFF file (OME model 2016-06)."""

from __future__ import annotations

import re

import tifffile

_FILE = re.compile(r'FileName\s*=\s*"([^"]*)"')
_PIXELS = re.compile(r"<(?:\w+:)?Pixels\b[^>]*>")
_SIGNIFICANT = re.compile(r'\bSignificantBits\s*=\s*"(\d{1,3})"')


def is_spread_over_files(tiff: tifffile.TiffFile) -> bool:
    """Whether the description names several files."""
    return len(set(_FILE.findall(_xml(tiff)))) > 1


def significant_bits(tiff: tifffile.TiffFile) -> int | None:
    """Return the SignificantBits of the first image; None if the file does not say."""
    pixels = _PIXELS.search(_xml(tiff))
    found = pixels and _SIGNIFICANT.search(pixels.group())
    return int(found.group(1)) if found else None


def _xml(tiff: tifffile.TiffFile) -> str:
    return (tiff.ome_metadata or "") if tiff.is_ome else ""
