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
    more of them while one of the others could still be nearer. Between thin kernels the bound is far too low;
    of these, the neighbours in orientation are looked at, too.

    >>> nearest(np.array([[1.0, 0.0, 1.0]]), np.array([[1.0, 0.0, 1.0], [2.0, 0.0, 2.0]])).tolist()
    [0.0]
    """
    points, centres = logarithm_from_cholesky(cholesky), logarithm_from_cholesky(kernels)
    found = np.empty(len(points))
    todo, looked = np.arange(len(points)), min(CANDIDATES, len(centres))
    tree, turns = KDTree(centres), _Orientations(centres)
    while len(todo):
        open_ = []
        for some in np.array_split(todo, -(-len(todo) * looked // AT_ONCE)):
            straight, index = tree.query(points[some], k=np.arange(1, looked + 1))
            exact = _smallest(points[some], centres[index], skip)
            certain = (exact <= np.sqrt(2) * straight[:, -1]) | (looked == len(centres))
            far = np.flatnonzero(~certain)
            exact[far], certain[far] = turns.nearest(points[some[far]], exact[far], looked, skip)
            found[some[certain]] = exact[certain]
            open_.append(some[~certain])
        todo, looked = np.concatenate(open_), min(4 * looked, len(centres))
    return found


class _Orientations:
    """Centres [K, 3] in the order of their orientations, in which a point's neighbours are soon found."""

    def __init__(self, centres: np.ndarray) -> None:
        angle = np.arctan2(centres[:, 2], centres[:, 1])
        order = np.argsort(angle, kind="stable")
        self.centres, turn = centres[order], 2 * np.pi
        self.angle = np.concatenate([angle[order] + shift for shift in (-turn, 0, turn)])

    def nearest(
        self, points: np.ndarray, most: np.ndarray, looked: int, skip: int
    ) -> tuple[np.ndarray, np.ndarray]:  # [M], [M]
        """Return the distance of `points` to the nearest of `looked` neighbours, and whether of all centres.

        The distance is at most `most` [M], which is one to a centre. A point at the radius r is at least
        arcsinh(sinh(r) sin(a)) away from all that are turned by a <= pi/2 against it, by the law of sines,
        and r from the others, so that those within a distance are turned by little if r is large.
        """
        angle, radius = np.arctan2(points[:, 2], points[:, 1]), np.hypot(points[:, 1], points[:, 2])
        first = np.searchsorted(self.angle, angle) - looked // 2
        index = (first[:, None] + np.arange(looked)) % len(self.centres)
        found = np.minimum(most, _smallest(points, self.centres[index], skip))
        within = found / np.sqrt(2)
        with np.errstate(divide="ignore", invalid="ignore"):
            turned = np.arcsin(np.sinh(np.minimum(within, radius)) / np.sinh(radius))
        turned = np.where(within < radius, turned * (1 + _ROUNDING) + _ROUNDING, np.inf)
        below, above = angle - self.angle[first], self.angle[first + looked - 1] - angle
        return found, (below > turned) & (above > turned)


_ROUNDING = 1e-9
"""More than an angle, or a share of one, can be wrong by."""


def _smallest(points: np.ndarray, centres: np.ndarray, skip: int) -> np.ndarray:  # [M, 3], [M, n, 3] -> [M]
    """Return the distances of points to the nearest of their n centres each, or with skip=1 the second."""
    return np.sort(distance(points[:, None], centres), axis=1)[:, min(skip, centres.shape[1] - 1)]


def _sinhc(x: np.ndarray) -> np.ndarray:
    """sinh(x) / x."""
    return np.where(x > 1e-6, np.sinh(x) / np.where(x > 1e-6, x, 1), 1.0)
