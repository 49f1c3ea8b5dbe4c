"""Whether images of 15 and 16 bits use their range: no header says that reflectance ends at 10,000."""

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

DARK = 1 << 14
"""What the brightest pixel must reach: a quarter of the range of 16 bits."""

HUGE = 1 << 27
"""Stored numbers of an image, 256 MB, above which it is not decoded for this."""

_BITS = (15, 16)
"""Bits that are written for numbers which end below; satellites' JPEG 2000 has 15."""
_USUAL = (255, 1023, 4095, 10_000, 16_383)
"""White of 8, 10, 12 and 14 bits in 16, and of satellites' reflectance."""


def white_is_assumed(file: ImageFile | None) -> bool:
    """Whether white is the largest number of 15 or 16 bits only because nothing says otherwise."""
    return (
        file is not None
        and file.bits in _BITS
        and not (file.floating or file.measured or file.levels_chosen or file.levels_by_pixels)
        and file.levels == full_range(file.bits)
    )


def too_dark(paths: Sequence[Path], reading: Reading, seed: int = 0) -> str:
    """Return a warning if images, all with assumed white, are so dark that white is likely another.

    At most LOOKED_AT of them, drawn with the seed, are decoded. Returns "" if there is nothing to say, or if
    none can be decoded.
    """
    chosen = np.random.default_rng(seed).permutation(len(paths))[:LOOKED_AT]
    found: list[tuple[int, int]] = []
    for path in (paths[i] for i in sorted(chosen.tolist())):
        if (looked_at := _brightest(path, reading)) is not None:
            found.append(looked_at)
        if found and found[-1][1] >= DARK:
            return ""
    bits, brightest = (max(numbers) for numbers in zip(*found, strict=True)) if found else (0, 0)
    if brightest == 0:
        return ""
    kind = f"its {bits}-bit images"
    of = kind if len(found) == len(paths) else f"{len(found)} of {kind}"
    likely = min(white for white in _USUAL if white >= brightest)
    return (
        f"The brightest pixel of {of} is {brightest:,} of {(1 << bits) - 1:,}: if white is {likely:,}, say "
        f"so with white={likely}."
    )


def _brightest(path: Path, reading: Reading) -> tuple[int, int] | None:
    """Return the bits and the largest number, without alpha; None if the image is huge or not decoded."""
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
        return file.bits, int(data.max(initial=0))
    except (ImageError, OSError):
        return None
