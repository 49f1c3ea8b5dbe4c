"""Estimates with bootstrap confidence intervals, resampled over images."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

REPLICATES = 2000
"""Of the bootstrap."""


MOST_DRAWN = 1_000_000
"""Images that are drawn at once, over replicates."""


@dataclass(frozen=True)
class Estimate:
    """A value and how uncertain it is, for want of other images."""

    value: float
    error: float
    """Standard error."""
    low: float
    high: float
    """The interval that 95 % of the bootstrap's replicates lie in."""


def estimate_ratio(total: np.ndarray, weight: np.ndarray, seed: int = 0) -> Estimate:
    """sum(total) / sum(weight) over images [I], with the bootstrap's error and interval; NaN for these with
    fewer than two images."""
    value = float(total.sum() / weight.sum()) if weight.sum() else math.nan
    if len(total) < 2:
        return Estimate(value, math.nan, math.nan, math.nan)
    rng = np.random.default_rng(seed)
    ratios, at_once = np.empty(REPLICATES), max(1, MOST_DRAWN // len(total))
    for first in range(0, REPLICATES, at_once):
        some = ratios[first : first + at_once]
        drawn = rng.integers(len(total), size=(len(some), len(total)))
        some[:] = total[drawn].sum(axis=1) / np.maximum(weight[drawn].sum(axis=1), 1e-300)
    low, high = np.quantile(ratios, [0.025, 0.975])
    return Estimate(value, float(ratios.std()), float(low), float(high))
