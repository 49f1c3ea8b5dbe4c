"""The layout in which ContinuousSR's code holds its dictionary: a table of Cholesky entries in pixels at x4.

Its dictionary is all combinations of nine values of each entry, and a row of zeros (code release of "Pixel to
Gaussian"; the paper prints none of it).
"""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np

from .dictionary import Dictionary, DictionaryError

PIXELS = 2.0
"""A grid spacing in pixels at x4: four Gaussians per LR pixel lie half of one apart."""

NARROWEST = 1e-3
"""Grid spacings that singular kernels are widened to, since a `Dictionary` has none. So narrow a Gaussian
meets next to no pixel's centre."""

VALUES = (
    (0.0, 0.41, 0.62, 0.98, 1.13, 1.29, 1.64, 1.85, 2.36),
    (-0.86, -0.36, -0.16, 0.19, 0.34, 0.49, 0.84, 1.04, 1.54),
    (0.0, 0.33, 0.53, 0.88, 1.03, 1.18, 1.53, 1.73, 2.23),
)
"""Values of l11, l21 and l22."""


def released_dictionary() -> Dictionary:
    """The dictionary of the released code, 730 kernels, of which 154 are singular and are widened."""
    return from_pixels(
        np.array([*itertools.product(*VALUES), (0.0, 0.0, 0.0)]), "ContinuousSR, released code"
    )


def from_pixels(table: np.ndarray, source: str) -> Dictionary:
    """A dictionary of a table [K, 3] in the released layout. Raises DictionaryError where it is none."""
    table = np.asarray(table)
    if table.ndim != 2 or table.shape[1] != 3 or not len(table) or table.dtype.kind not in "fiu":
        raise DictionaryError(f"{source} is not a table of numbers with three columns, l11, l21, l22.")
    if not np.isfinite(table).all() or (table[:, [0, 2]] < 0).any():
        raise DictionaryError(f"{source} has entries that are not finite, or a negative l11 or l22.")
    cholesky = table.astype(np.float64) / PIXELS
    singular = int((cholesky[:, [0, 2]] < NARROWEST).any(axis=1).sum())
    cholesky[:, [0, 2]] = cholesky[:, [0, 2]].clip(NARROWEST)
    return Dictionary(cholesky, {"source": source, "widened": singular})


def read_released(path: str | Path) -> Dictionary:
    """The dictionary of an .npy file, or of text with three numbers in a line, in the released layout."""
    path = Path(path)
    try:
        if path.suffix == ".npy":
            table = np.load(path, allow_pickle=False)
        else:
            table = np.loadtxt(path, delimiter="," if "," in path.read_text() else None, ndmin=2)
    except FileNotFoundError as error:
        raise DictionaryError(f"{path} does not exist.") from error
    except OSError as error:
        raise DictionaryError(f"{path} cannot be read ({error.strerror or error}).") from error
    except (ValueError, EOFError) as error:
        raise DictionaryError(
            f"{path} is neither an .npy file nor text with three numbers a line."
        ) from error
    return from_pixels(table, path.name)


def write_released(dictionary: Dictionary, path: str | Path) -> None:
    """Write [K, 3] float32 in the released layout: .npy, or text. Raises DictionaryError."""
    path = Path(path)
    table = (dictionary.cholesky * PIXELS).astype(np.float32)
    try:
        if path.suffix == ".npy":
            np.save(path, table, allow_pickle=False)
        else:
            np.savetxt(path, table, fmt="%.6f", delimiter=",")
    except OSError as error:
        raise DictionaryError(f"{path} cannot be written ({error.strerror}): name another file.") from error
