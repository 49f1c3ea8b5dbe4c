"""The affine-invariant distance between the shapes (covariances) of two Gaussians.

d(A, B) = |log(A^-1/2 B A^-1/2)|_F (Pennec, Fillard, Ayache, IJCV 66, 2006) depends neither on
units nor on a linear map applied to both: 0.1 is about 7 % in the standard deviation along each axis at any
size. For 2x2 matrices it has a closed form, because the shapes of equal area form a hyperbolic plane.
"""

from __future__ import annotations

import numpy as np
from scipy.spatial import KDTree

from ..covariance import logarithm_from_cholesky

CANDIDATES = 16
"""Neighbours to which the exact distance is computed first."""

AT_ONCE = 1 << 20
"""Exact distances that are computed at once, in about a hundred bytes each."""


def distance(a: np.ndarray, b: np.ndarray) -> np.ndarray:  # [..., 3], [..., 3] -> [...]
    """Return the distance between shapes, as `covariance.logarithm_from_cholesky` gives them; broadcasts."""
    (area_a, *plane_a), (area_b, *plane_b) = np.moveaxis(a, -1, 0), np.moveaxis(b, -1, 0)
    from_a, from_b = np.hypot(*plane_a), np.hypot(*plane_b)
    # The hyperbolic law of cosines, in half angles.
    apart = np.hypot(plane_a[0] - plane_b[0], plane_a[1] - plane_b[1]) ** 2 - (from_a - from_b) ** 2
    turned = np.maximum(apart, 0) * _sinhc(from_a) * _sinhc(from_b) / 4
    hyperbolic = 2 * np.arcsinh(np.sqrt(np.sinh((from_a - from_b) / 2) ** 2 + turned))
    return np.sqrt(2) * np.hypot(area_a - area_b, hyperbolic)


def nearest(cholesky: np.ndarray, kernels: np.ndarray, *, skip: int = 0) -> np.ndarray:  # [M]
    """Return the exact distance of each of `cholesky` [M, 3] to the nearest of `kernels` [K, 3].

    With skip=1, to the second nearest: the distance of kernels to the nearest other kernel.

    sqrt(2) times the Euclidean distance of matrix logarithms is a lower bound of the distance (the space has
    negative curvature), so it suffices to compute the exact distance to a few Euclidean neighbours, and to
    more of them while one of the others could still be nearer.

    >>> nearest(np.array([[1.0, 0.0, 1.0]]), np.array([[1.0, 0.0, 1.0], [2.0, 0.0, 2.0]])).tolist()
    [0.0]
    """
    points, centres = logarithm_from_cholesky(cholesky), logarithm_from_cholesky(kernels)
    found = np.empty(len(points))
    todo, looked = np.arange(len(points)), min(CANDIDATES, len(centres))
    tree = KDTree(centres)
    while len(todo):
        open_ = []
        for some in np.array_split(todo, -(-len(todo) * looked // AT_ONCE)):
            straight, index = tree.query(points[some], k=np.arange(1, looked + 1))
            exact = np.sort(distance(points[some][:, None], centres[index]), axis=1)[:, min(skip, looked - 1)]
            certain = (exact <= np.sqrt(2) * straight[:, -1]) | (looked == len(centres))
            found[some[certain]] = exact[certain]
            open_.append(some[~certain])
        todo, looked = np.concatenate(open_), min(4 * looked, len(centres))
    return found


def _sinhc(x: np.ndarray) -> np.ndarray:
    """sinh(x) / x."""
    return np.where(x > 1e-6, np.sinh(x) / np.where(x > 1e-6, x, 1), 1.0)
