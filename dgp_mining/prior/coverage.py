"""How much of the mined Gaussians a network can reach with a dictionary.

A network makes convex combinations of kernels, in the space that it blends in: it reaches the convex hull
of the dictionary there, and nothing else.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
from scipy.spatial import ConvexHull, QhullError

from ..covariance import covariance_from_cholesky, square_root_from_cholesky

BLOCK = 1 << 14
"""Gaussians that are tested at a time: some megabytes."""

ROUNDING = 1e-9
"""Grid spacings outside of a hull that still are inside: a hull's corners are."""


SPACES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "cholesky": np.asarray,
    "covariance": covariance_from_cholesky,
    "sqrt": square_root_from_cholesky,
}
"""The spaces to blend in, each as a function of Cholesky entries [..., 3]."""


def coverage(dictionary: np.ndarray, gaussians: np.ndarray) -> dict[str, dict[str, float]]:
    """The share of `gaussians` [M, 3] in the hull of `dictionary` [K, 3] (both Cholesky entries), per space.

    Beside it, as 'box_corners', that of eight kernels: the corners of the dictionary's bounding box in
    Cholesky space. They show what a space gives away for nothing.
    """
    box = np.column_stack([dictionary.min(axis=0), dictionary.max(axis=0)])
    corners = np.array(list(itertools.product(*box)))
    return {
        space: {
            "dictionary": float(covered(dictionary, gaussians, space).mean()),
            "box_corners": float(covered(corners, gaussians, space).mean()),
        }
        for space in SPACES
    }


def covered(dictionary: np.ndarray, gaussians: np.ndarray, space: str) -> np.ndarray:  # [M] bool
    """Which of `gaussians` [M, 3] lie in the hull of `dictionary` [K, 3], in one of SPACES."""
    inside = np.zeros(len(gaussians), bool)
    try:
        hull = ConvexHull(SPACES[space](dictionary))
    except QhullError:  # all points in one plane: their hull has no inside
        return inside
    facets = hull.equations  # [F, 4], outward normals of length one, and offsets
    for first in range(0, len(gaussians), BLOCK):
        block = SPACES[space](gaussians[first : first + BLOCK])
        inside[first : first + BLOCK] = (block @ facets[:, :3].T + facets[:, 3]).max(axis=1) <= ROUNDING
    return inside
