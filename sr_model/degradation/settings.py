"""What the settings of all effects share: checks of ranges and probabilities, and chance."""

from __future__ import annotations

import math

import numpy as np


def check_range(
    effect: str, name: str, limits: tuple[float, float], least: float = 0, most: float = math.inf
) -> None:
    """Raise ValueError, naming the setting, unless least <= lowest <= highest <= most, and finite."""
    low, high = limits
    if not least <= low <= high <= most or high == math.inf:
        bounds = f"{least:g} or more" if most == math.inf else f"from {least:g} to {most:g}"
        raise ValueError(f"{name} of {effect} must be lowest and highest, {bounds}, got {[low, high]}")


def check_probability(effect: str, **probabilities: float) -> None:
    """Raise ValueError, naming the setting, unless all are from 0 to 1."""
    for name, value in probabilities.items():
        if not 0 <= value <= 1:
            raise ValueError(f"{name} of {effect} must be from 0 to 1, got {value}")


def happens(probability: float, random: np.random.Generator) -> bool:
    """Whether something of this probability happens; what is certain draws no random number."""
    return probability >= 1 or (probability > 0 and random.random() < probability)
