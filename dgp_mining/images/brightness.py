"""Whether 16-bit images use their range: no header says that reflectance ends at 10,000 of 65,535."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..retry import retry
from .failures import one_sentence
from .image_file import ImageFile, full_range
from .limits import ImageError
from .reading import Reading
from .stored import open_image

LOOKED_AT = 8
"""Images of a folder that are decoded to look for bright pixels."""

DARK = 0.25
"""Share of white that the brightest pixel must reach."""

HUGE = 1 << 27
"""Stored numbers of an image, 256 MB, above which it is not decoded for this."""

_BITS = 16
_WHITE = (1 << _BITS) - 1
_USUAL = (255, 1023, 4095, 10_000, 16_383)
"""White of 8, 10, 12 and 14 bits in 16, and of satellites' reflectance."""


def white_is_assumed(file: ImageFile | None) -> bool:
    """Whether white is the largest number of 16 bits only because nothing says otherwise."""
    return (
        file is not None
        and file.bits == _BITS
        and not (file.floating or file.measured or file.levels_chosen or file.levels_by_pixels)
        and file.levels == full_range(_BITS)
    )


def too_dark(paths: Sequence[Path], reading: Reading, seed: int = 0) -> str:
    """Return a warning if 16-bit images, all with assumed white, are so dark that white is likely another.

    At most LOOKED_AT of them, drawn with the seed, are decoded. Returns "" if there is nothing to say, or if
    none can be decoded.
    """
    chosen = np.random.default_rng(seed).permutation(len(paths))[:LOOKED_AT]
    found: list[int] = []
    for path in (paths[i] for i in sorted(chosen.tolist())):
        if (brightest := _brightest(path, reading)) is not None:
            found.append(brightest)
        if found and found[-1] >= DARK * _WHITE:
            return ""
    if (brightest := max(found, default=0)) == 0:
        return ""
    of = "its 16-bit images" if len(found) == len(paths) else f"{len(found)} of its 16-bit images"
    likely = min(white for white in _USUAL if white >= brightest)
    return (
        f"The brightest pixel of {of} is {brightest:,} of {_WHITE:,}: if white is {likely:,}, say so with "
        f"white={likely}."
    )


def _brightest(path: Path, reading: Reading) -> int | None:
    """Return the largest stored number, without alpha; None if the image is huge or cannot be decoded."""
    try:
        file = retry(lambda: open_image(path, reading))
        if file.height * file.width * file.channels > HUGE:
            return None
        with one_sentence(path):
            samples = retry(file.decode)
        if samples.levels is not None or samples.pixels.dtype.kind != "u":
            return None
        pixels = samples.pixels[..., : file.channels]
        data = pixels if samples.valid is None else pixels[samples.valid]
        return int(data.max(initial=0))
    except (ImageError, OSError):
        return None
