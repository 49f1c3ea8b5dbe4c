"""How good a dictionary is: alone, and for given Gaussians, which should not be those it was made of."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..covariance import smallest_eigenvalue
from .coverage import coverage
from .dictionary import Dictionary
from .distance import nearest

REDUNDANT = 0.1
"""Affine-invariant distance to another kernel within which one is redundant: 7 % along each axis."""

MOST_MEASURED = 20_000
"""Gaussians whose distance to a dictionary is measured, at most; more are thinned evenly."""


def kernel_quality(dictionary: Dictionary) -> dict[str, float]:
    """What can be said of kernels alone.

    `redundant` is the share with another kernel within REDUNDANT, `nearest` the median distance to the
    nearest other (affine-invariant), `condition_median` and `condition_max` the larger eigenvalue by the
    smaller, `asymmetry` the mean of log(S_xx / S_yy) by its standard deviation (0 where x and y are alike),
    `tilt` the mean correlation of x and y (0 where left and right are alike).
    """
    cholesky, (xx, xy, yy) = dictionary.cholesky, dictionary.covariance.T
    small = smallest_eigenvalue(dictionary.covariance)
    condition = (xx + yy - small) / small
    apart = nearest(cholesky, cholesky, skip=1) if len(cholesky) > 1 else np.array([np.inf])
    ratio = np.log(xx / yy)
    return {
        "redundant": float((apart < REDUNDANT).mean()),
        "nearest": float(np.median(apart)),
        "condition_median": float(np.median(condition)),
        "condition_max": float(condition.max()),
        "asymmetry": float(ratio.mean() / ratio.std()) if ratio.std() else 0.0,
        "tilt": float((xy / np.sqrt(xx * yy)).mean()),
    }


def quality(dictionary: Dictionary, gaussians: np.ndarray) -> dict[str, Any]:
    """`kernel_quality`, and for `gaussians` [M, 3] (Cholesky factors in grid spacings) their `coverage` in
    each blending space and `quantisation`, the root mean square of their affine-invariant distance to the
    nearest kernel."""
    measured = gaussians[:: -(-len(gaussians) // MOST_MEASURED)]
    return {
        **kernel_quality(dictionary),
        "quantisation": float(np.sqrt(np.mean(nearest(measured, dictionary.cholesky) ** 2))),
        "coverage": coverage(dictionary.cholesky, gaussians),
    }


def compare(a: Dictionary, b: Dictionary, gaussians: np.ndarray | None = None) -> dict[str, Any]:
    """How two dictionaries differ, JSON-serialisable.

    `a` and `b` hold each one's own quality, with `gaussians` for these; `entries` the mean and standard
    deviation of each entry in both; `metadata` what differs in it, as [a, b]; `a_from_b` how far a's kernels
    are from b's, `distance` (root mean square to the nearest) and `coverage`, the share of them that b can
    blend; `b_from_a` the reverse.
    """
    of_each = [kernel_quality(one) if gaussians is None else quality(one, gaussians) for one in (a, b)]
    keys = sorted(a.metadata.keys() | b.metadata.keys())
    return {
        "sizes": [len(a), len(b)],
        "a": of_each[0],
        "b": of_each[1],
        "entries": {
            name: [[float(values.mean()), float(values.std())] for values in columns]
            for name, columns in zip(
                ("l11", "l21", "l22", "S_xx", "S_xy", "S_yy"),
                zip(_entries(a), _entries(b), strict=True),
                strict=True,
            )
        },
        "a_from_b": _from(a, b),
        "b_from_a": _from(b, a),
        "metadata": {
            key: [a.metadata.get(key), b.metadata.get(key)]
            for key in keys
            if a.metadata.get(key) != b.metadata.get(key)
        },
    }


def _entries(dictionary: Dictionary) -> np.ndarray:  # [6, K]
    return np.concatenate([dictionary.cholesky.T, dictionary.covariance.T])


def _from(one: Dictionary, other: Dictionary) -> dict[str, Any]:
    shares = coverage(other.cholesky, one.cholesky)
    return {
        "distance": float(np.sqrt(np.mean(nearest(one.cholesky, other.cholesky) ** 2))),
        "coverage": {space: share["dictionary"] for space, share in shares.items()},
    }
