"""How the tags of a TIFF page say which colours its values are, where there is no ICC profile."""

from __future__ import annotations

from itertools import pairwise
from typing import cast

import numpy as np
import tifffile
from PIL import ExifTags

from ..attachments import tiff_exif
from ..encoding import SRGB_CHROMATICITIES, Chromaticities, Encoding
from ..image_file import Model
from .jpeg import ADOBE_RGB

_TRANSFER, _WHITE, _PRIMARIES, _EXIF, _PROFILE = 301, 318, 319, 34665, 34675
_UNCALIBRATED, _ADOBE_RGB = 0xFFFF, 2  # EXIF's ColorSpace; the second is not of the standard
_CLOSE = 0.004
"""Curves of light that differ by no more than this, about 1/255, count as the same."""


def encoding_of(
    tiff: tifffile.TiffFile, page: tifffile.TiffPage, model: Model
) -> tuple[Encoding, tuple[str, ...]]:
    """Return the encoding of a page that becomes RGB or grey, and notes on what is not applied.

    The first of these counts: an ICC profile; EXIF's Adobe RGB (DCF 2.0, 7.3.2); PrimaryChromaticities,
    WhitePoint and TransferFunction (TIFF 6.0, section 20).
    """
    if profile := profile_of(page):
        return Encoding(profile, said_by="its ICC profile"), ()
    space = _exif_space(tiff, page) if model == Model.RGB else None
    if space == _ADOBE_RGB:
        return ADOBE_RGB, ()
    transfer, notes = _transfer(page)
    primaries = _primaries(page) if model == Model.RGB else SRGB_CHROMATICITIES
    said = [
        name
        for name, says in (
            ("TransferFunction", transfer != "srgb"),
            ("PrimaryChromaticities", primaries != SRGB_CHROMATICITIES),
        )
        if says
    ]
    said_by = f"its {' and '.join(said)}" if said else ""
    if space == _UNCALIBRATED and not said:
        notes = (*notes, "its EXIF says that its colours are not calibrated: they are taken for sRGB")
    return Encoding(transfer=transfer, primaries=primaries, said_by=said_by), notes


def profile_of(page: tifffile.TiffPage) -> bytes | None:
    """Return the ICC profile of a page (InterColorProfile; ICC.1, B.4); None if there is none."""
    profile = page.tags.valueof(_PROFILE)
    return profile if isinstance(profile, bytes) and profile else None


def _exif_space(tiff: tifffile.TiffFile, page: tifffile.TiffPage) -> int | None:
    """EXIF's ColorSpace; that of Adobe RGB also where the interoperability index alone says so."""
    details = page.tags.valueof(_EXIF)
    if not isinstance(details, dict):
        return None
    space = details.get("ColorSpace")
    if space in (None, _UNCALIBRATED):
        try:
            index = tiff_exif(tiff, page).get_ifd(ExifTags.IFD.Interop).get(1)
        except Exception:  # of damaged EXIF, all kinds
            return space
        text = index.decode("latin-1") if isinstance(index, bytes) else str(index)
        return _ADOBE_RGB if text.strip("\0 ") == "R03" else space
    return space if isinstance(space, int) else None


def _primaries(page: tifffile.TiffPage) -> Chromaticities:
    """White and the primaries; those of sRGB if no tag says, or says what no colours are."""
    numbers = _fractions(page, _PRIMARIES, 6)
    white = _fractions(page, _WHITE, 2) or SRGB_CHROMATICITIES[:2]
    if not numbers:
        return SRGB_CHROMATICITIES
    (rx, ry), (gx, gy), (bx, by) = (numbers[start : start + 2] for start in (0, 2, 4))
    area = (gx - rx) * (by - ry) - (bx - rx) * (gy - ry)
    if not all(0 < number < 1 for number in (*white, rx, ry, gx, gy)) or abs(area) < 0.01:
        return SRGB_CHROMATICITIES
    found = cast(Chromaticities, (*white, *numbers))
    near = max(abs(a - b) for a, b in zip(found, SRGB_CHROMATICITIES, strict=True)) < 1e-3
    return SRGB_CHROMATICITIES if near else found


def _transfer(page: tifffile.TiffPage) -> tuple[str | float, tuple[str, ...]]:
    """The light of each value (TransferFunction) as a name or an exponent; a note if it is neither."""
    table = page.tags.valueof(_TRANSFER)
    count = 1 << page.bitspersample if isinstance(page.bitspersample, int) and page.bitspersample <= 16 else 0
    if table is None or not count or len(table) not in (count, 3 * count) or count < 3:
        return "srgb", ()
    curves = np.asarray(table, np.float64).reshape(-1, count)
    values = np.linspace(0, 1, count)
    light = curves[0] / 65535
    srgb = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    alike = all(np.abs(a - b).max() <= _CLOSE * 65535 for a, b in pairwise(curves))
    if alike and np.abs(light - srgb).max() <= _CLOSE:
        return "srgb", ()
    middle = light[count // 2]
    if alike and 0 < middle < 1:
        exponent = float(np.log(middle) / np.log(values[count // 2]))
        if np.abs(light - values**exponent).max() <= _CLOSE:
            return exponent, ()
    return "srgb", ("its TransferFunction is no power of the values and is not applied",)


def _fractions(page: tifffile.TiffPage, tag: int, count: int) -> tuple[float, ...]:
    """The rational numbers of a tag, which tifffile gives as numerators and denominators in turn."""
    value = page.tags.valueof(tag)
    if not isinstance(value, tuple) or len(value) != 2 * count or not all(value[1::2]):
        return ()
    return tuple(above / below for above, below in zip(value[::2], value[1::2], strict=True))
