"""Estimates with bootstrap confidence intervals, resampled over images."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

REPLICATES = 2000
"""Bootstrap replicates."""

MOST_DRAWN = 1_000_000
"""Upper limit of the images drawn at a time, in one or more replicates; it bounds the memory."""


@dataclass(frozen=True)
class BootstrapEstimate:
    """An estimate with its bootstrap uncertainty over images."""

    value: float
    error: float
    """Standard error."""
    low: float
    high: float
    """The 95 % interval: the 2.5 % and 97.5 % quantiles of the replicates."""


def estimate_ratio(total: np.ndarray, weight: np.ndarray, seed: int = 0) -> BootstrapEstimate:
    """Estimate sum(total) / sum(weight) over images, both [I]; NaN errors and interval if I is 1.

    >>> estimate_ratio(np.array([2.0, 4.0]), np.array([1.0, 1.0])).value
    3.0
    """
    value = float(total.sum() / weight.sum()) if weight.sum() else math.nan
    if len(total) < 2:
        return BootstrapEstimate(value, math.nan, math.nan, math.nan)
    rng = np.random.default_rng(seed)
    ratios, at_once = np.empty(REPLICATES), max(1, MOST_DRAWN // len(total))
    for first in range(0, REPLICATES, at_once):
        some = ratios[first : first + at_once]
        drawn = rng.integers(len(total), size=(len(some), len(total)))
        some[:] = total[drawn].sum(axis=1) / np.maximum(weight[drawn].sum(axis=1), 1e-300)
    low, high = np.quantile(ratios, [0.025, 0.975])
    return BootstrapEstimate(value, float(ratios.std()), float(low), float(high))
