"""The errors of training."""

from __future__ import annotations


class TrainingError(ValueError):
    """A training cannot start or continue; the message is one sentence that says what to do."""


class Diverged(TrainingError):
    """A step's loss or gradient is NaN or infinite; the weights are still those before the step."""
