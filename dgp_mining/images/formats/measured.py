"""What all scientific formats share: which slice is read, and black and white where nothing says them.

Their numbers are measurements in physical units, of which no range is the usual one. Where the file names
neither a window nor a range, the smallest and the largest value are black and white, as in these fields'
viewers; a note says the two numbers, and `white=` or `window=` replaces them.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..image_file import Levels
from ..reading import Reading, no_such_slice


def slice_number(path: Path, reading: Reading, count: int, what: str, default: int) -> int:
    """Return the number of the slice that is read: the user's, or `default`.

    `what` names slices in the plural. Raises ImageError if there is none of that number.
    """
    number = default if reading.slice is None else reading.slice
    if not 0 <= number < count:
        raise no_such_slice(path, count, what, number)
    return number


OWN_RANGE = "its own minimum and maximum are black and white"
"""`ImageFile.levels_by_pixels` of files that are read with `range_levels`."""


def range_levels(data: np.ndarray, of: str) -> tuple[Levels, str]:
    """Return the levels from the least to the greatest of finite values, and the note that says so.

    `of` names what they are the values of, such as "volume". If all are one value, it is black.

    >>> range_levels(np.array([-3, 5]), "volume")[1]
    "its volume's own minimum, -3, and maximum, 5, are black and white"
    """
    return own_range(float(data.min()) if data.size else 0.0, float(data.max()) if data.size else 0.0, of)


def own_range(low: float, high: float, of: str) -> tuple[Levels, str]:
    """As `range_levels`, of an extent that is known."""
    note = f"its {of}'s own minimum, {low:g}, and maximum, {high:g}, are black and white"
    return Levels(low, high if high > low else low + max(1.0, abs(low)), beyond="clip"), note


def finite(pixels: np.ndarray) -> np.ndarray | None:  # [H, W] bool
    """Return where pixels [H, W, C] are finite in all channels; None if that is everywhere."""
    if pixels.dtype.kind != "f":
        return None
    valid = np.isfinite(pixels).all(axis=2)
    return None if valid.all() else valid
