"""FITS (IAU FITS Standard 4.0), read with astropy: images, cubes and compressed images.

Physical values are BZERO + BSCALE * stored (4.4.2.5). The first row is the bottom one, as astronomers
display it (the standard leaves the display open), unless ROWORDER says TOP-DOWN.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..image_file import ImageFile, Levels, Model, Samples, full_range
from ..limits import ImageError, ends_early
from ..reading import Reading
from .fits_units import count_images, opened
from .measured import OWN_RANGE, finite, range_levels, slice_number
from .pillow_file import frame_note

_AXES = {"x": 0, "y": 1, "z": 2, "t": 3}
"""Number of the axis, from 0 for NAXIS1, across which each choice of `axis` cuts."""


@dataclass(frozen=True)
class _Plane:
    """What is read of an array."""

    index: tuple[int | slice, ...]
    """Of the array, whose last axis is NAXIS1."""
    shape: tuple[int, int]
    """(height, width)."""
    channels: int
    """3 if the third axis is RGB."""
    notes: tuple[str, ...]


def open_file(path: Path, reading: Reading) -> ImageFile:
    """Describe a FITS file. Raises ImageError and astropy's errors."""
    with opened(path) as file:
        hdu = file[_first_image(path, file)]
        header = hdu.header
        plane = _plane(path, header, hdu.shape, reading)
        bits = abs(int(header["BITPIX"]))
        scaled = _is_scaled(header)
        return ImageFile(
            path=path,
            format="FITS",
            height=plane.shape[0],
            width=plane.shape[1],
            model=Model.RGB if plane.channels == 3 else Model.GREY,
            channels=plane.channels,
            bits=bits,
            floating=header["BITPIX"] < 0 or scaled,
            measured=True,
            levels=_levels(header),
            levels_by_pixels="" if _levels(header) else OWN_RANGE,
            orientation=1 if str(header.get("ROWORDER", "")).strip().upper() == "TOP-DOWN" else 4,
            notes=plane.notes,
            decode=lambda: _decode(path, reading),
            valid=(lambda: _valid(path, reading)) if header["BITPIX"] < 0 or "BLANK" in header else None,
            more={"unit": str(header["BUNIT"])} if header.get("BUNIT") else {},
        )


def _first_image(path: Path, file: Any) -> int:
    """The number of the first unit (HDU) that holds an image. Raises ImageError."""
    number = next(_images(file), None)
    if number is None:
        raise ImageError(
            f"{path} is FITS without an image (tables, spectra or groups of visibilities alone): remove it."
        )
    return number


def _images(file: Any) -> Any:
    """Yield the numbers of the units (HDUs) that hold an image of two axes or more."""
    for number, hdu in enumerate(file):
        shape = hdu.shape if hdu.is_image and not hdu.header.get("GROUPS") else ()
        if len(shape) >= 2 and min(shape) > 0:
            yield number


def _plane(path: Path, header: Any, shape: tuple[int, ...], reading: Reading) -> _Plane:
    whole = slice(None)
    rgb = len(shape) > 2 and shape[-3] == 3 and str(header.get("CTYPE3", "")).strip().upper() == "RGB"
    if rgb and reading.axis is None and reading.slice is None:
        return _Plane((*[0] * (len(shape) - 3), whole, whole, whole), (shape[-2], shape[-1]), 3, ())
    if reading.axis is None and len(shape) > 2:  # the first of the outer axes that has several planes
        axis = next((n for n in range(2, len(shape)) if shape[-1 - n] > 1), 2)
    else:
        axis = _AXES[reading.axis or "z"]
    if axis >= len(shape):
        if reading.axis in (None, "z") and len(shape) == 2:
            slice_number(path, reading, 1, "planes", 0)
            return _Plane((whole, whole), (shape[0], shape[1]), 1, ())
        raise ImageError(f"{path} has {len(shape)} axes, so axis={reading.axis} is not among them.")
    count = shape[-1 - axis]
    number = slice_number(path, reading, count, "planes", count // 2)
    # The two lowest axes that are left are columns and rows.
    kept = [n for n in range(len(shape)) if n != axis][:2]
    index = [number if n == axis else whole if n in kept else 0 for n in range(len(shape))]
    size = (shape[-1 - kept[1]], shape[-1 - kept[0]])
    notes = frame_note(number, count, f"planes across NAXIS{axis + 1}")
    others = math.prod(shape) // (count * size[0] * size[1])
    if others > 1:
        notes = (*notes, "further axes are read at their first element")
    return _Plane(tuple(reversed(index)), size, 1, notes)


def _scale(header: Any) -> tuple[float, float]:
    return float(header.get("BSCALE", 1)), float(header.get("BZERO", 0))


def _unsigned(header: Any) -> np.dtype | None:
    """The type of integers whose BZERO only shifts them to the other signedness (4.4.2.5, Table 11)."""
    shifted = {8: (-128, np.int8), 16: (1 << 15, np.uint16), 32: (1 << 31, np.uint32)}
    zero, dtype = shifted.get(header["BITPIX"], (None, None))
    return np.dtype(dtype) if zero is not None and _scale(header) == (1, zero) else None


def _is_scaled(header: Any) -> bool:
    return _scale(header) != (1, 0) and _unsigned(header) is None


def _levels(header: Any) -> Levels | None:
    """Black and white as far as the header says them."""
    low, high = header.get("DATAMIN"), header.get("DATAMAX")
    numbers = all(isinstance(value, (int, float)) and math.isfinite(value) for value in (low, high))
    if numbers and low < high:
        return Levels(float(low), float(high), beyond="clip")
    if not _is_scaled(header):
        if header["BITPIX"] == 8 and _unsigned(header) is None:
            return full_range(8)
        if _unsigned(header) == np.uint16:
            return full_range(16)
    return None


def _decode(path: Path, reading: Reading) -> Samples:
    with opened(path) as file:
        hdu = file[_first_image(path, file)]
        header = hdu.header
        plane = _plane(path, header, hdu.shape, reading)
        try:
            stored = np.array(hdu.section[plane.index])
        except TypeError as error:  # numpy's on a buffer that is too small
            raise ends_early(path) from error
    others = count_images(path) - 1
    notes = (f"the first of its {others + 1} images is read",) if others > 0 else ()
    stored = np.moveaxis(stored, 0, 2) if plane.channels == 3 else stored[..., None]
    blank = header.get("BLANK") if header["BITPIX"] > 0 else None
    valid = None if blank is None else (stored != blank).all(axis=2)
    pixels = _physical(stored, header)
    if valid is None or valid.all():
        valid = finite(pixels)
    levels = _levels(header)
    if levels is None and reading.levels is None:
        levels, note = range_levels(pixels if valid is None else pixels[valid], "plane")
        notes = (*notes, note)
    elif levels is not None and levels.beyond == "clip" and reading.levels is None:
        notes = (*notes, f"DATAMIN, {levels.black:g}, and DATAMAX, {levels.white:g}, are black and white")
    return Samples(pixels, notes, levels, valid)


def _physical(stored: np.ndarray, header: Any) -> np.ndarray:
    native = stored.astype(stored.dtype.newbyteorder("="))
    if (dtype := _unsigned(header)) is not None:
        return (native.astype(np.int64) + int(header["BZERO"])).astype(dtype)
    if not _is_scaled(header):
        return native
    scale, zero = _scale(header)
    return native * np.float64(scale) + zero


def _valid(path: Path, reading: Reading) -> np.ndarray:
    samples = _decode(path, reading)
    return np.ones(samples.pixels.shape[:2], bool) if samples.valid is None else samples.valid
