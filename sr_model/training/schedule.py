"""How long a training lasts, and at what rate it learns meanwhile."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ..config.training_settings import TrainSettings


@dataclass(frozen=True)
class Budget:
    """How long to train: a number of steps, or minutes of wall clock over all sessions of the run."""

    steps: int | None = None
    """Optimiser steps; a resumed run then ends with the bits of an undisturbed one."""
    minutes: float | None = None
    """Minutes, decoding and validation included; the schedule follows the clock."""

    def __post_init__(self) -> None:
        if (self.steps is None) == (self.minutes is None) or not (self.steps or self.minutes or 0) > 0:
            raise ValueError("a budget is a positive number of steps or of minutes")

    def spent(self, step: int, seconds: float) -> float:
        """The part used up, 1 or more where there is nothing left."""
        return step / self.steps if self.steps else seconds / (60 * self.minutes)

    def __str__(self) -> str:
        return f"{self.steps} steps" if self.steps else f"{self.minutes:g} minutes"


def learning_rate(settings: TrainSettings, step: int, spent: float) -> float:
    """The rate for a step when the part `spent` of the budget is used up."""
    warm = min(1.0, (step + 1) / (settings.warmup + 1))
    if settings.schedule == "cosine":
        fall = 0.5 * (1 + math.cos(math.pi * min(spent, 1)))
    else:
        fall = 0.5 ** sum(spent >= part for part in settings.milestones)
    return settings.learning_rate * warm * fall
