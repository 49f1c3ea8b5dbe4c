"""Condensing many mined Gaussians into a dictionary of K kernels: the four methods.

Each takes the mined Cholesky factors [M, 3] in grid spacings and returns [K, 3], positive definite, as a
function of its arguments alone. A symmetric dictionary is made of a quarter as many kernels and their mirror
images: what mirroring and transposing a picture makes of a Gaussian is in it, too.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.spatial import KDTree

from ..covariance import cholesky_from_covariance, covariance_from_cholesky, smallest_eigenvalue
from .dictionary import DictionaryError

MAX_POINTS = 100_000
"""Most points that k-means clusters; more are thinned at random."""

KMEANS_ROUNDS = 50

GRID_QUANTILES = (0.005, 0.995)
"""Quantiles of each entry between which a grid's values lie."""


def marginal(cholesky: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    """The paper's Eq. 6 as printed: S_xx, S_xy and S_yy are drawn independently of each other, each from
    its mined distribution, and drawn again where they do not form a covariance.

    One counts as a covariance where its smallest eigenvalue is no smaller than any that was mined: with
    the bare condition, independent draws include needles thinner than anything that fitting produces.
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
    """Mined Gaussians themselves, drawn without replacement: the joint distribution."""
    return cholesky[np.sort(rng.choice(len(cholesky), size, replace=False))]


def kmeans(cholesky: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    """The codebook of least squared error in the Cholesky entries (Lloyd's algorithm)."""
    if len(cholesky) > MAX_POINTS:
        cholesky = sample(cholesky, MAX_POINTS, rng)
    centres = sample(cholesky, size, rng)
    for _ in range(KMEANS_ROUNDS):
        nearest = KDTree(centres).query(cholesky)[1]
        members = np.bincount(nearest, minlength=size)
        sums = [np.bincount(nearest, weights=entry, minlength=size) for entry in cholesky.T]
        means = np.column_stack(sums) / np.maximum(members, 1)[:, None]
        moved = np.where(members[:, None] > 0, means, centres)
        if np.array_equal(moved, centres):
            break
        centres = moved
    return centres


def grid(cholesky: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    """The layout of the released dictionary, 9 x 9 x 9 + 1: every combination of n quantiles of l11, l21 and
    l22, and one kernel more. There that is a zero row, here the mean. `size` must be n^3 + 1."""
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
    """K = `size` kernels, [K, 3] float64, from mined Cholesky factors [M, 3]; `symmetric` None: wherever the
    method can be, which is all but grid.

    The defaults are what reaches most of other photographs' Gaussians and comes nearest to them
    (workflows/studies/dictionaries.py).
    Raises DictionaryError where there are fewer Gaussians than kernels, or the method cannot make as many.
    """
    if method not in METHODS:
        raise DictionaryError(f"There is no method {method!r}: take one of {', '.join(METHODS)}.")
    if len(cholesky) < size:
        raise DictionaryError(
            f"{len(cholesky)} mined Gaussians cannot make {size} kernels: mine more crops or take a "
            "smaller --size."
        )
    if symmetric or (symmetric is None and can_be_symmetric(method)):
        return _condense_symmetric(cholesky, size, method, seed)
    return METHODS[method](cholesky, size, np.random.default_rng(seed))


def can_be_symmetric(method: str) -> bool:
    """A grid of Cholesky entries does not treat x and y alike."""
    return method != "grid"


def _condense_symmetric(cholesky: np.ndarray, size: int, method: str, seed: int) -> np.ndarray:
    if not can_be_symmetric(method):
        raise DictionaryError(
            "A grid of Cholesky entries does not treat x and y alike: take another --method, or not "
            "--symmetric."
        )
    if size < 4:
        raise DictionaryError(f"A symmetric dictionary has at least 4 kernels, not {size}.")
    # What draws entries one by one must see those of all mirror images; the others would be led to choose
    # the images of what they have already, and see one quarter of the space.
    covariance = covariance_from_cholesky(cholesky)
    seen = _images(covariance).reshape(-1, 3) if method == "marginal" else _images(covariance)[0]
    chosen = METHODS[method](cholesky_from_covariance(seen), size // 4, np.random.default_rng(seed))
    images = _images(covariance_from_cholesky(chosen)).reshape(-1, 3)
    return cholesky_from_covariance(np.concatenate([images, _filling(covariance, size % 4)]))


def _images(covariance: np.ndarray) -> np.ndarray:  # [N, 3] -> [4, N, 3]
    """What the symmetries of the grid make of covariances; first the image that is wider along x than along
    y and leans towards +x +y."""
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
    """Kernels for sizes that four does not divide, together their own images: the mean ellipse along x and
    along y, the mean circle."""
    short = smallest_eigenvalue(covariance)
    long, short = float((covariance[:, 0] + covariance[:, 2] - short).mean()), float(short.mean())
    middle = (long + short) / 2
    pair, circle = [[long, 0, short], [short, 0, long]], [[middle, 0, middle]]
    return np.array([[], circle, pair, pair + circle][count], np.float64).reshape(-1, 3)
