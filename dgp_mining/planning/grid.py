"""The grid of crops of an image, and the random numbers that belong to an image or a crop."""

from __future__ import annotations

import hashlib

import numpy as np


def seed_of(seed: int, name: str, *position: int) -> list[int]:
    """Return a seed for numpy that depends on the seed, the image's name and the position alone."""
    digest = hashlib.sha256(name.encode()).digest()
    return [seed, int.from_bytes(digest[:8], "little"), *position]


def crop_grid(
    name: str, size: tuple[int, int], crop: int, seed: int
) -> tuple[np.ndarray, np.random.Generator]:  # [n, 2]
    """Return (row, column) of the first pixel of each cell of an image's grid, and a generator for the rest.

    Cells are squares of `crop` pixels, row by row; the offset of the grid is drawn from the seed and the
    image's name. `size` is (height, width).

    >>> crop_grid("a.png", (40, 70), 32, seed=0)[0].shape
    (2, 2)
    """
    rows, columns = size[0] // crop, size[1] // crop
    rng = np.random.default_rng(seed_of(seed, name))
    top = rng.integers(size[0] - rows * crop + 1)
    left = rng.integers(size[1] - columns * crop + 1)
    y, x = np.divmod(np.arange(rows * columns), columns)
    return np.column_stack([y, x]) * crop + (top, left), rng
