"""Measures of a dictionary: of its kernels alone, and on Gaussians that it was not built from."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..covariance import smallest_eigenvalue
from .coverage import coverage
from .dictionary import Dictionary
from .distance import nearest

REDUNDANT = 0.1
"""A kernel within this affine-invariant distance of another one is redundant; it is 7 % along each axis."""

MOST_MEASURED = 20_000
"""Upper limit of the Gaussians whose distance to a dictionary is measured; more are subsampled evenly."""


def kernel_quality(dictionary: Dictionary) -> dict[str, float]:
    """Measure the kernels alone.

    - redundant: share of the kernels with another kernel within REDUNDANT.
    - nearest: median affine-invariant distance to the nearest other kernel.
    - condition_median, condition_max: ratio of the larger to the smaller eigenvalue.
    - asymmetry: mean of log(S_xx / S_yy) divided by its standard deviation; 0 if x and y are treated alike.
    - tilt: mean correlation of x and y; 0 if left and right are treated alike.
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
    """Add to `kernel_quality` two measures on `gaussians` [M, 3] (Cholesky factors in grid spacings).

    - coverage: as `coverage.coverage` returns it, for each blending space.
    - quantisation: root mean square of the Gaussians' affine-invariant distance to the nearest kernel.
    """
    measured = gaussians[:: -(-len(gaussians) // MOST_MEASURED)]
    return {
        **kernel_quality(dictionary),
        "quantisation": float(np.sqrt(np.mean(nearest(measured, dictionary.cholesky) ** 2))),
        "coverage": coverage(dictionary.cholesky, gaussians),
    }


def compare(a: Dictionary, b: Dictionary, gaussians: np.ndarray | None = None) -> dict[str, Any]:
    """Compare two dictionaries; the result is JSON-serialisable.

    - sizes: the number of kernels of both.
    - a, b: the `quality` of each on `gaussians` [M, 3], or `kernel_quality` if these are not given.
    - entries: mean and standard deviation of each entry in both.
    - a_from_b: `distance`, the root mean square of the distance of a's kernels to the nearest of b's, and
      `coverage`, the share of a's kernels that b can blend; b_from_a: the reverse.
    - metadata: the values that differ, as [a's, b's].
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
