"""`TrainSettings`: how a network is trained."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

from ..checks import check_choices
from ..degradation import Degradation


@dataclass(frozen=True, kw_only=True)
class TrainSettings:
    """How a network is trained.

    Raises ValueError, in a sentence that names the setting, for values that do not fit together.

    >>> from dataclasses import replace
    >>> from sr_model import PRESETS
    >>> replace(PRESETS["demo"].train, scales=(1.0, 4.0)).scales
    (1.0, 4.0)
    """

    batch: int
    """LR crops in a step, in all processes together."""
    crop: int
    """Side of an LR crop in pixels; the HR crop at scale s has round(crop * s)."""
    scales: tuple[float, float]
    """Range from which scales are drawn uniformly, lowest and highest."""
    scale_of: Literal["batch", "sample"] = "batch"
    """Whether a scale is drawn for a whole batch, which renders faster, or for each of its samples."""
    degradation: Degradation = field(default_factory=Degradation)
    """How LR crops are made from HR crops."""
    loss: Literal["l1", "l2"] = "l1"
    """Loss over pixels: the mean absolute or the mean squared difference. The latter, at a low learning rate,
    ends a training for PSNR, of which it is the measure."""
    frequency_loss: float = 0.0
    """Weight of the L1 loss over discrete Fourier coefficients, relative to the loss over pixels."""
    learning_rate: float
    """Highest learning rate of Adam."""
    betas: tuple[float, float] = (0.9, 0.999)
    """Adam's decay rates of the means of gradients and of squared gradients."""
    schedule: Literal["cosine", "halving"]
    """Learning rate over time: `cosine` falls to zero along half a cosine, `halving` halves at every
    milestone."""
    milestones: tuple[float, ...] = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
    """Fractions of the training at which `halving` halves the rate: every tenth in ContinuousSR; 0.5, 0.8,
    0.9 and 0.95 in GSASR."""
    warmup: int
    """Steps over which the learning rate rises from zero."""
    ema: float
    """Decay of the exponential moving average of the weights, which is validated and saved; lower in the
    first steps."""
    clip: float
    """Largest norm of the gradient; longer ones are clipped to it."""
    accumulate: int = 1
    """Gradient accumulation: parts into which each process splits its share of a batch; more parts need less
    memory."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Precision of the network's convolutions and matrix products; `auto` is bfloat16 on devices on which it
    is faster."""
    freeze: Literal["encoder"] | None = None
    """Part of the network that keeps the weights it starts with; "none" trains all of it."""
    compile: bool = False
    """Compile the network with torch.compile: faster steps after minutes of compilation."""
    cuda_graph: bool = True
    """On a single GPU, record the network's kernels once and replay them in every step, which halves the time
    of small networks' steps; not with `compile` or `accumulate`."""
    deterministic: bool = False
    """Take steps whose bytes do not depend on the number of threads, nor on `accumulate`: every sample is
    computed by one thread. For one process on the CPU."""
    validate_every: int
    """Steps between validations; checkpoints are written as often."""
    steps: int
    """Length of the training, unless `--steps` or `--minutes` is given."""

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
                f"ema and betas must be 0 or more and below 1, got {self.ema} and {list(self.betas)}"
            )
        if not all(0 < part < 1 for part in self.milestones):
            raise ValueError(f"milestones must be between 0 and 1, got {list(self.milestones)}")
        if self.deterministic and self.compile:
            raise ValueError("deterministic needs compile false")
        if self.batch % self.accumulate:
            raise ValueError(
                f"batch must be a multiple of accumulate, got {self.batch} and {self.accumulate}"
            )


EXECUTION = frozenset({"accumulate", "precision", "compile", "cuda_graph", "deterministic"})
"""Settings that affect only speed, memory and rounding: a resumed training may change them."""
