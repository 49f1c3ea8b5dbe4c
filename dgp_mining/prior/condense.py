"""Condensing many mined Gaussians into a dictionary of K kernels: the four methods.

Each takes the mined Cholesky factors [M, 3] in grid spacings and returns K such factors, [K, 3], of positive
definite covariances. The same seed gives the same result. A symmetric dictionary has K / 4 chosen kernels in
four versions each: as chosen, mirrored, transposed, and both; a few more fill it up if K is no multiple of 4.
So it stays the same if the photographs are mirrored or transposed.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.spatial import KDTree

from ..covariance import cholesky_from_covariance, covariance_from_cholesky, smallest_eigenvalue
from .dictionary import DictionaryError

MAX_POINTS = 100_000
"""Upper limit of the Gaussians for k-means; more are subsampled at random."""

KMEANS_ROUNDS = 50
"""Upper limit of Lloyd's iterations."""

GRID_QUANTILES = (0.005, 0.995)
"""The lowest and the highest quantile of each entry in a grid."""


def marginal(cholesky: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    """Draw S_xx, S_xy and S_yy independently, each from its mined distribution (the paper's Eq. 6).

    Draws with an eigenvalue smaller than all mined ones are rejected. Rejecting only those that are not
    positive definite would keep needles that are thinner than any fitted Gaussian.
    """
    covariance = covariance_from_cholesky(cholesky)
    thinnest = smallest_eigenvalue(covariance).min()
    kernels = np.empty((0, 3))
    while len(kernels) < size:
        draws = rng.integers(len(covariance), size=(size, 3))
        drawn = np.take_along_axis(covariance, draws, axis=0)
        kernels = np.concatenate([kernels, drawn[smallest_eigenvalue(drawn) >= thinnest]])
    return cholesky_from_covariance(kernels[:size])


def sample(cholesky: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    """Draw mined Gaussians without replacement, that is, from their joint distribution."""
    return cholesky[np.sort(rng.choice(len(cholesky), size, replace=False))]


def kmeans(cholesky: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    """Return the k-means centroids of the Cholesky entries (Lloyd's algorithm)."""
    if len(cholesky) > MAX_POINTS:
        cholesky = sample(cholesky, MAX_POINTS, rng)
    centroids = sample(cholesky, size, rng)
    for _ in range(KMEANS_ROUNDS):
        nearest = KDTree(centroids).query(cholesky)[1]
        members = np.bincount(nearest, minlength=size)
        sums = [np.bincount(nearest, weights=entry, minlength=size) for entry in cholesky.T]
        means = np.column_stack(sums) / np.maximum(members, 1)[:, None]
        moved = np.where(members[:, None] > 0, means, centroids)
        if np.array_equal(moved, centroids):
            break
        centroids = moved
    return centroids


def grid(cholesky: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    """Combine n quantiles of l11, l21 and l22 in every way, and add the mean: `size` must be n^3 + 1.

    This is the layout of the ContinuousSR table, 9 x 9 x 9 + 1, whose additional row is zero.
    """
    n = max(2, int((size - 0.5) ** (1 / 3)))
    if n**3 + 1 != size:
        raise DictionaryError(
            f"A grid has n^3 + 1 kernels, not {size}: take size={n**3 + 1} or size={(n + 1) ** 3 + 1}."
        )
    values = np.quantile(cholesky, np.linspace(*GRID_QUANTILES, n), axis=0)  # [n, 3]
    combinations = np.stack(np.meshgrid(*values.T, indexing="ij"), axis=-1).reshape(-1, 3)
    return np.concatenate([combinations, cholesky.mean(axis=0, keepdims=True)])


METHODS: dict[str, Callable[[np.ndarray, int, np.random.Generator], np.ndarray]] = {
    "kmeans": kmeans,
    "marginal": marginal,
    "sample": sample,
    "grid": grid,
}


def condense(
    cholesky: np.ndarray,
    size: int = 730,
    method: str = "kmeans",
    seed: int = 0,
    symmetric: bool | None = None,
) -> np.ndarray:
    """Condense mined Gaussians into K = `size` kernels.

    Args:
        cholesky: [M, 3] mined Cholesky factors, grid spacings.
        size: number of kernels, at most M; n^3 + 1 for "grid".
        method: one of METHODS.
        seed: seed of the method's random draws.
        symmetric: whether to include the mirror image and the transpose of every kernel; default: yes, except
            for "grid", which does not allow it.

    The defaults cover the most Gaussians of other photographs, at the smallest distance from them
    (workflows/studies/dictionaries.py).

    Returns [K, 3] float64 Cholesky factors, grid spacings.

    Raises DictionaryError if there are fewer Gaussians than kernels, there is no such method, or it cannot
    make that many kernels or symmetric ones.

    >>> mined = np.random.default_rng(0).uniform(0.5, 1.5, (100, 3))
    >>> condense(mined, 8).shape
    (8, 3)
    """
    if method not in METHODS:
        raise DictionaryError(f"There is no method={method!r}: take one of {', '.join(METHODS)}.")
    if len(cholesky) < size:
        raise DictionaryError(
            f"{len(cholesky)} mined Gaussians cannot make {size} kernels: mine more crops or take a "
            "smaller size=."
        )
    if symmetric or (symmetric is None and can_be_symmetric(method)):
        return _condense_symmetric(cholesky, size, method, seed)
    return METHODS[method](cholesky, size, np.random.default_rng(seed))


def can_be_symmetric(method: str) -> bool:
    """Whether a method can make symmetric dictionaries; a grid of Cholesky entries is not symmetric."""
    return method != "grid"


def _condense_symmetric(cholesky: np.ndarray, size: int, method: str, seed: int) -> np.ndarray:
    if not can_be_symmetric(method):
        raise DictionaryError(
            "A grid of Cholesky entries does not treat x and y alike: take another method=, or "
            "symmetric=False."
        )
    if size < 4:
        raise DictionaryError(f"A symmetric dictionary has at least 4 kernels, not {size}.")
    # Independent draws of entries need the entries of all images. The other methods get one image of each
    # Gaussian, in one quarter of the space: given all, they would also choose images of chosen kernels.
    covariance = covariance_from_cholesky(cholesky)
    seen = _images(covariance).reshape(-1, 3) if method == "marginal" else _images(covariance)[0]
    chosen = METHODS[method](cholesky_from_covariance(seen), size // 4, np.random.default_rng(seed))
    images = _images(covariance_from_cholesky(chosen)).reshape(-1, 3)
    return cholesky_from_covariance(np.concatenate([images, _filling(covariance, size % 4)]))


def _images(covariance: np.ndarray) -> np.ndarray:  # [N, 3] -> [4, N, 3]
    """Return the images of covariances under mirroring and transposing.

    The first is wider along x than along y, and leans towards +x +y.
    """
    wide, narrow = covariance[:, [0, 2]].max(axis=1), covariance[:, [0, 2]].min(axis=1)
    lean = np.abs(covariance[:, 1])
    return np.stack(
        [
            np.column_stack(image)
            for image in (
                (wide, lean, narrow),
                (wide, -lean, narrow),
                (narrow, lean, wide),
                (narrow, -lean, wide),
            )
        ]
    )


def _filling(covariance: np.ndarray, count: int) -> np.ndarray:  # [count, 3]
    """Return the remaining kernels if 4 does not divide the size; as a set they are symmetric, too.

    One: the mean circle. Two: the mean ellipse along x and along y. Three: all of them.
    """
    short = smallest_eigenvalue(covariance)
    wide, narrow = float((covariance[:, 0] + covariance[:, 2] - short).mean()), float(short.mean())
    middle = (wide + narrow) / 2
    pair, circle = [[wide, 0, narrow], [narrow, 0, wide]], [[middle, 0, middle]]
    return np.array([[], circle, pair, pair + circle][count], np.float64).reshape(-1, 3)
