"""Coverage: the share of mined Gaussians that a network can reach with a dictionary.

A network makes convex combinations of kernels in its blending space: it reaches exactly the convex hull of
the dictionary in that space.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
from scipy.spatial import ConvexHull, QhullError

from ..covariance import covariance_from_cholesky, square_root_from_cholesky

BLOCK = 1 << 14
"""Gaussians tested at a time, which takes a few megabytes."""

ROUNDING = 1e-9
"""Tolerance within which a point counts as inside, so that the vertices of the hull do."""

SPACES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "cholesky": np.asarray,
    "covariance": covariance_from_cholesky,
    "sqrt": square_root_from_cholesky,
}
"""The spaces in which networks blend kernels, each a function of Cholesky entries [..., 3]; `to_blending` of
sr_model does the same in torch."""


def coverage(dictionary: np.ndarray, gaussians: np.ndarray) -> dict[str, dict[str, float]]:
    """Return the share of `gaussians` [M, 3] in the convex hull of `dictionary` [K, 3] (Cholesky entries).

    For each of SPACES: for the dictionary and, as "box_corners", for only eight kernels, the corners of its
    bounding box in Cholesky space, which show the coverage that needs no mining but the ranges.

    >>> cube = np.array(list(itertools.product((0.5, 1.5), (-0.5, 0.5), (0.5, 1.5))))
    >>> coverage(cube, np.array([[1.0, 0.0, 1.0], [2.0, 0.0, 2.0]]))["cholesky"]
    {'dictionary': 0.5, 'box_corners': 0.5}
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
    """Return which of `gaussians` [M, 3] lie in the convex hull of `dictionary` [K, 3], in one of SPACES."""
    inside = np.zeros(len(gaussians), bool)
    try:
        hull = ConvexHull(SPACES[space](dictionary))
    except QhullError:  # all points lie in one plane, so their hull has no volume
        return inside
    facets = hull.equations  # [F, 4], outward normals of length one, and offsets
    for first in range(0, len(gaussians), BLOCK):
        block = SPACES[space](gaussians[first : first + BLOCK])
        inside[first : first + BLOCK] = (block @ facets[:, :3].T + facets[:, 3]).max(axis=1) <= ROUNDING
    return inside
