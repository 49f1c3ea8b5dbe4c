"""What the tags of GDAL and GeoTIFF say: missing data, scale and offset of bands, place on the earth."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from xml.etree import ElementTree

import numpy as np
import tifffile

from ..attachments import GeoReference

_GDAL_METADATA, _GDAL_NODATA = 42112, 42113
_SCALE, _TIEPOINTS, _TRANSFORM, _KEYS, _DOUBLES, _ASCII = 33550, 33922, 34264, 34735, 34736, 34737


@dataclass(frozen=True)
class BandScale:
    """The physical value of a number n in a band is n * scale + offset."""

    scale: tuple[float, ...]
    """For each band."""
    offset: tuple[float, ...]
    """For each band."""


def nodata_of(page: tifffile.TiffPage) -> float | None:
    """Return the number that stands for missing data (GDAL_NODATA, 42113); None if there is none."""
    text = page.tags.valueof(_GDAL_NODATA)
    try:
        return None if text is None else float(str(text).strip("\0 \t\r\n").replace(",", "."))
    except ValueError:
        return None


def band_scale(page: tifffile.TiffPage, bands: Iterable[int]) -> BandScale | None:
    """Return scale and offset of the bands (GDAL_METADATA, 42112); None if they change nothing."""
    text = page.tags.valueof(_GDAL_METADATA)
    if not isinstance(text, str):
        return None
    found: dict[tuple[str, int], float] = {}
    try:
        for item in ElementTree.fromstring(text.strip("\0")).iter("Item"):
            role, sample = item.get("role"), item.get("sample", "")
            if role in ("scale", "offset") and sample.isdecimal():
                found[role, int(sample)] = float(item.text or "")
    except (ElementTree.ParseError, ValueError):
        return None
    scale = tuple(found.get(("scale", band), 1.0) for band in bands)
    offset = tuple(found.get(("offset", band), 0.0) for band in bands)
    usable = all(math.isfinite(number) for number in scale + offset) and all(scale)
    changes = set(scale) != {1.0} or set(offset) != {0.0}
    return BandScale(scale, offset) if usable and changes else None


def holds_data(bands: np.ndarray, nodata: float, black: float, white: float) -> np.ndarray:
    """Return which pixels [H, W, C] hold data: [H, W] bool.

    A pixel lacks data if a band holds a `nodata` number that cannot be a value, because it lies outside of
    black to white, or if all bands hold one that can be (0 may be the blue of a dark red).
    """
    missing: np.ndarray
    if math.isnan(nodata):
        missing = np.isnan(bands) if bands.dtype.kind == "f" else np.zeros(bands.shape, bool)
    else:
        with np.errstate(over="ignore"):
            # As GDAL does, a float is compared in the precision that it is stored in.
            number = bands.dtype.type(nodata) if bands.dtype.kind == "f" else nodata
        missing = np.asarray(bands == number)
    possible = min(black, white) <= nodata <= max(black, white)
    return ~np.asarray(missing.all(axis=2) if possible else missing.any(axis=2))


def georeference(page: tifffile.TiffPage) -> GeoReference | None:
    """Return where on the earth the pixels lie, as it is stored; None if no tag says."""

    def numbers(tag: int) -> tuple[float, ...]:
        value = page.tags.valueof(tag)
        return tuple(float(number) for number in value) if isinstance(value, tuple) else ()

    ascii_ = page.tags.valueof(_ASCII)
    found = GeoReference(
        scale=numbers(_SCALE),
        tiepoints=numbers(_TIEPOINTS),
        transform=numbers(_TRANSFORM),
        keys=tuple(int(key) for key in numbers(_KEYS)),
        doubles=numbers(_DOUBLES),
        ascii=ascii_ if isinstance(ascii_, str) else "",
    )
    return None if found == GeoReference() else found
