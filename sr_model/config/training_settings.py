"""How a network is trained: `TrainSettings`."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

from ..checks import check_choices
from ..degradation import Degradation


@dataclass(frozen=True, kw_only=True)
class TrainSettings:
    """How a network is trained."""

    batch: int
    """LR crops per step, in all processes together."""
    crop: int
    """Side of an LR crop in pixels; its HR crop has round(crop * s)."""
    scales: tuple[float, float]
    """The scale s is drawn uniformly from this range."""
    scale_of: Literal["batch", "sample"] = "batch"
    """What a scale is drawn for: a whole batch, which renders faster, or each of its samples."""
    degradation: Degradation = field(default_factory=Degradation)
    """How LR crops are made of HR ones."""
    frequency_loss: float = 0.0
    """Weight, beside the L1 loss of pixels, of the L1 loss of their discrete Fourier transforms."""
    learning_rate: float
    """Adam's, at its highest."""
    betas: tuple[float, float] = (0.9, 0.999)
    """Adam's, of the means of gradients and of their squares."""
    schedule: Literal["cosine", "halving"]
    """Fall to zero along half a cosine, or halve at every milestone."""
    milestones: tuple[float, ...] = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
    """Parts of the training after which the rate is halved: ContinuousSR's every tenth; GSASR's are 0.5, 0.8,
    0.9 and 0.95."""
    warmup: int
    """Steps over which the learning rate rises from zero."""
    ema: float
    """Decay of the averaged weights, which are the ones validated and used; lower during the first steps."""
    clip: float
    """Largest norm of the gradient; longer ones are shortened to it."""
    accumulate: int = 1
    """Parts in which each process goes through its share of a batch, to save memory."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Of the network's convolutions and matrix products; `auto` is bfloat16 where that is faster."""
    compile: bool = False
    """Compile the network by torch.compile: faster steps after minutes of compilation."""
    validate_every: int
    """Steps between validations; checkpoints are written as often."""
    steps: int
    """Length of a training for which the user gives none."""

    def __post_init__(self) -> None:
        check_choices(self)
        low, high = self.scales
        if not 1 <= low <= high:
            raise ValueError(f"scales must be 1 <= low <= high, got {list(self.scales)}")
        for name in ("batch", "crop", "learning_rate", "clip", "accumulate", "validate_every", "steps"):
            if not 0 < getattr(self, name) < math.inf:
                raise ValueError(f"{name} must be positive, got {getattr(self, name)}")
        for name in ("frequency_loss", "warmup"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"{name} must not be negative, got {getattr(self, name)}")
        if not all(0 <= value < 1 for value in (self.ema, *self.betas)):
            raise ValueError(
                f"ema and betas must be from 0 to below 1, got {self.ema} and {list(self.betas)}"
            )
        if not all(0 < part < 1 for part in self.milestones):
            raise ValueError(f"milestones must be between 0 and 1, got {list(self.milestones)}")
        if self.batch % self.accumulate:
            raise ValueError(
                f"batch must be a multiple of accumulate, got {self.batch} and {self.accumulate}"
            )


EXECUTION = frozenset({"accumulate", "precision", "compile"})
"""Settings of how a training is computed, not of what: a resumed one may have others, and other rounding."""
