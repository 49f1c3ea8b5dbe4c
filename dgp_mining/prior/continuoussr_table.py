"""The ContinuousSR table: the dictionary in ContinuousSR's code, a table of Cholesky entries in pixels at x4.

It holds all combinations of nine values of each entry, and a row of zeros. It is in the code of "Pixel to
Gaussian", but not in the paper.
"""

from __future__ import annotations

import io
import itertools
from pathlib import Path

import numpy as np

from splat2d.atomic_write import atomic_write, refuse_irregular

from ..array_file import ArrayFileError, Form, read_npy
from .dictionary import MOST_KERNELS, Dictionary, DictionaryError

PIXELS_PER_SPACING = 2.0
"""A grid spacing in pixels at x4: with four Gaussians per LR pixel, it is half an LR pixel."""

SMALLEST_DIAGONAL = 1e-3
"""Smallest l11 and l22, in grid spacings, to which singular kernels are widened for a `Dictionary`. A
Gaussian so narrow hardly ever covers the centre of a pixel."""

VALUES = (
    (0.0, 0.41, 0.62, 0.98, 1.13, 1.29, 1.64, 1.85, 2.36),
    (-0.86, -0.36, -0.16, 0.19, 0.34, 0.49, 0.84, 1.04, 1.54),
    (0.0, 0.33, 0.53, 0.88, 1.03, 1.18, 1.53, 1.73, 2.23),
)
"""The table's values of l11, l21 and l22, in pixels at x4."""


MOST_BYTES = 100 * MOST_KERNELS
"""Size of the largest file of a table that is read: a line of text for each kernel."""

_TABLE = Form("fiu", (None, 3), 3 * 8 * MOST_KERNELS)


def continuoussr_kernels() -> np.ndarray:
    """Return the ContinuousSR table in grid spacings, [730, 3] float64: all combinations, and a row of zeros.

    154 of its kernels are singular, which `Dictionary` does not allow; a network can use them, because it
    renders blends of all kernels.

    >>> continuoussr_kernels().shape
    (730, 3)
    """
    return _table() / PIXELS_PER_SPACING


def continuoussr_dictionary() -> Dictionary:
    """Return the ContinuousSR table as a dictionary of 730 kernels; its 154 singular kernels are widened.

    >>> continuoussr_dictionary().metadata["widened"]
    154
    """
    return dictionary_from_table(_table(), "ContinuousSR, released code")


def dictionary_from_table(table: np.ndarray, source: str) -> Dictionary:
    """Make a dictionary of a table [K, 3] of Cholesky entries in pixels at x4; singular kernels are widened.

    `source`, such as a file name, goes into the metadata and into errors. Raises DictionaryError if it is not
    such a table.
    """
    table = np.asarray(table)
    if table.ndim != 2 or table.shape[1] != 3 or not len(table) or table.dtype.kind not in "fiu":
        raise DictionaryError(f"{source} is not a table of numbers with three columns, l11, l21, l22.")
    if not np.isfinite(table).all() or (table[:, [0, 2]] < 0).any():
        raise DictionaryError(f"{source} has entries that are not finite, or a negative l11 or l22.")
    cholesky = table.astype(np.float64) / PIXELS_PER_SPACING
    singular = int((cholesky[:, [0, 2]] < SMALLEST_DIAGONAL).any(axis=1).sum())
    cholesky[:, [0, 2]] = cholesky[:, [0, 2]].clip(SMALLEST_DIAGONAL)
    try:
        return Dictionary(cholesky, {"source": source, "widened": singular})
    except DictionaryError as error:
        raise DictionaryError(f"{source} cannot be used: {error}") from error


def read_continuoussr_table(path: str | Path) -> Dictionary:
    """Read a table [K, 3] in pixels at x4: an .npy file, or text with three numbers per line.

    Raises DictionaryError, naming the file, if it cannot be read or is not such a table.
    """
    path = Path(path)
    try:
        refuse_irregular(path)
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except FileNotFoundError as error:
        raise DictionaryError(f"{path} does not exist.") from error
    except OSError as error:
        raise DictionaryError(f"{path} cannot be read ({error.strerror or error}).") from error
    if len(content) > MOST_BYTES:
        raise DictionaryError(f"{path} has more than the {MOST_BYTES:,} bytes of a table that is read.")
    try:
        table = read_npy(io.BytesIO(content), _TABLE) if path.suffix == ".npy" else _from_text(content)
    except ValueError as error:
        raise DictionaryError(
            f"{path} is neither an .npy file nor text with three numbers per line"
            + (f" ({error})." if isinstance(error, ArrayFileError) else ".")
        ) from error
    return dictionary_from_table(table, path.name)


def _from_text(content: bytes) -> np.ndarray:
    """Return the numbers in a text, [lines, columns]. Raises ValueError for other text."""
    text = content.decode()
    if not text.strip():
        raise ValueError("an empty text")
    return np.loadtxt(io.StringIO(text), delimiter="," if "," in text else None, ndmin=2)


def write_continuoussr_table(dictionary: Dictionary, path: str | Path) -> None:
    """Write the kernels as [K, 3] float32 in pixels at x4: .npy, or text with any other suffix.

    Raises DictionaryError if the file cannot be written.
    """
    path = Path(path)
    table = (dictionary.cholesky * PIXELS_PER_SPACING).astype(np.float32)
    try:
        content = io.BytesIO()  # numpy does not say that the disk is full
        if path.suffix == ".npy":
            np.save(content, table, allow_pickle=False)
        else:
            np.savetxt(content, table, fmt="%.6f", delimiter=",")
        with atomic_write(path) as partial:
            partial.write_bytes(content.getvalue())
    except OSError as error:
        raise DictionaryError(
            f"{path} cannot be written ({error.strerror or error}): name another file."
        ) from error


def _table() -> np.ndarray:  # [730, 3] float64, pixels at x4
    return np.array([*itertools.product(*VALUES), (0.0, 0.0, 0.0)])
