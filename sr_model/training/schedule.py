"""How long a training lasts, and its learning rate over that time."""

from __future__ import annotations

import math
from dataclasses import dataclass

from dgp_mining.terminal import count

from ..config.training_settings import TrainSettings

MOST = 10**15
"""Steps and minutes are below it."""


@dataclass(frozen=True)
class Budget:
    """How long to train: a number of steps, or minutes of wall clock over all sessions of the run.

    Raises ValueError unless exactly one of the two is given, and positive.

    >>> Budget(steps=100).spent(step=25, seconds=3.0)
    0.25
    >>> str(Budget(minutes=90))
    '90 minutes'
    """

    steps: int | None = None
    """Optimiser steps; a resumed run then ends with the same bits as an uninterrupted one."""
    minutes: float | None = None
    """Minutes, decoding and validation included; the learning rate follows the clock."""

    def __post_init__(self) -> None:
        if (self.steps is None) == (self.minutes is None) or not 0 < (self.steps or self.minutes or 0) < MOST:
            raise ValueError(f"a budget is a positive number of steps or of minutes, below {MOST:.0e}")

    def spent(self, step: int, seconds: float) -> float:
        """The fraction used up; 1 or more once nothing is left."""
        if self.steps is not None:
            return step / self.steps
        assert self.minutes is not None  # by __post_init__
        return seconds / (60 * self.minutes)

    def step_count(self, seconds: float) -> float:
        """The number of steps that fit, if one takes `seconds`."""
        if self.steps is not None:
            return self.steps
        assert self.minutes is not None  # by __post_init__
        return 60 * self.minutes / seconds

    def __str__(self) -> str:
        return count(self.steps, "step") if self.steps else f"{self.minutes:g} minutes"


def learning_rate(settings: TrainSettings, step: int, spent: float) -> float:
    """The learning rate of a step that begins when the fraction `spent` of the budget is used up."""
    warm = min(1.0, (step + 1) / (settings.warmup + 1))
    if settings.schedule == "cosine":
        fall = 0.5 * (1 + math.cos(math.pi * min(spent, 1)))
    else:
        fall = 0.5 ** sum(spent >= part for part in settings.milestones)
    return settings.learning_rate * warm * fall
