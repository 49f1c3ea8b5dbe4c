"""Callbacks of a training: what it reports while it runs, and how to ask it to stop."""

from __future__ import annotations

import logging
import statistics
import time
from dataclasses import dataclass

from dgp_mining.duration import duration

from ..evaluation.protocol import Score

log = logging.getLogger(__name__)

REPORT_SECONDS = 10
"""Seconds between logged lines."""


@dataclass(frozen=True)
class StepDone:
    """One optimiser step."""

    step: int
    """Steps taken so far, this one included."""
    loss: float
    """Mean loss of the batch."""
    learning_rate: float
    """Adam's learning rate in this step."""
    spent: float
    """Fraction of the budget that was used up when the step began, 0 to 1."""


@dataclass(frozen=True)
class Validated:
    """One validation of the averaged weights."""

    step: int
    """Steps taken so far."""
    score: Score
    """Mean PSNR and SSIM over the held-out images, of the network and of bicubic interpolation."""
    is_best: bool
    """Whether this is the highest PSNR so far."""
    scales: str = "x4"
    """The scales of these images, such as "x4" or "x2 to x4"."""


class TrainingCallback:
    """Override the methods you need and pass an instance to `sr_model.train`; each does nothing by default.

    Of several processes that train together only the main one calls them, except `should_stop`.

    >>> class PrintLoss(TrainingCallback):
    ...     def on_step(self, done):
    ...         print(f"step {done.step}: loss {done.loss:.3f}")
    >>> PrintLoss().on_step(StepDone(step=1, loss=0.25, learning_rate=1e-3, spent=0.0))
    step 1: loss 0.250
    """

    def on_start(self, step: int) -> None:
        """The training is set up; `step` steps have been taken already (0 unless it is resumed)."""

    def on_skipped(self, sentence: str) -> None:
        """An image of training or validation cannot be used, for the reason in the sentence that names it.

        Called for each such image, before the first step.
        """

    def on_step(self, done: StepDone) -> None:
        """An optimiser step has been taken."""

    def on_validation(self, validated: Validated) -> None:
        """The network has been validated; the checkpoints are written next."""

    def on_end(self) -> None:
        """The training is over, or has failed."""

    def should_stop(self) -> bool:
        """Whether to end now; asked before each step, in every process. Everything is kept for `resume`."""
        return False


class ProgressLog(TrainingCallback):
    """Log how far the training is, with the mean loss since the last line, and each validation."""

    def __init__(self) -> None:
        self.began = self.last = time.monotonic()
        self.first_spent: float | None = None
        self.losses: list[float] = []

    def on_step(self, done: StepDone) -> None:
        """Log a line every REPORT_SECONDS."""
        if self.first_spent is None:
            self.first_spent = done.spent
        self.losses.append(done.loss)
        now = time.monotonic()
        if now - self.last < REPORT_SECONDS:
            return
        left = ""
        if done.spent > self.first_spent:
            seconds = (1 - done.spent) * (now - self.began) / (done.spent - self.first_spent)
            left = f", about {duration(seconds)} left"
        log.info(
            "step %d (%.0f %%%s): loss %.4f",
            done.step, 100 * done.spent, left, statistics.fmean(self.losses),
        )  # fmt: skip
        self.last, self.losses = now, []

    def on_validation(self, validated: Validated) -> None:
        """Log the PSNR of the network and of bicubic interpolation."""
        log.info(
            "step %d: validation %s %.2f dB, bicubic %.2f dB%s",
            validated.step, validated.scales, validated.score.psnr, validated.score.bicubic_psnr,
            " (best)" if validated.is_best else "",
        )  # fmt: skip
