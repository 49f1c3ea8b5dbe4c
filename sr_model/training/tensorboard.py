"""TensorBoard curves of a training (`pip install 'dgp-mining[tensorboard]'`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import Any

from .callbacks import StepDone, TrainingCallback, Validated

EVERY = 10
"""Steps between the points of a curve."""


class MissingTensorBoard(ValueError):
    """TensorBoard is not installed; the message says how to install it."""


class TensorBoard(TrainingCallback):
    """Write the loss, the learning rate and the validation scores for TensorBoard."""

    def __init__(self, folder: str | Path) -> None:
        """Write into `folder`, which is made at the first point. Raises MissingTensorBoard."""
        try:
            self.make = import_module("torch.utils.tensorboard").SummaryWriter
        except ImportError as error:
            raise MissingTensorBoard(
                f"TensorBoard needs the package tensorboard, which cannot be imported ({error}): "
                "install it with pip install 'dgp-mining[tensorboard]'."
            ) from error
        self.folder = Path(folder)
        self.writer: Any = None  # torch's SummaryWriter is untyped

    def on_step(self, done: StepDone) -> None:
        """Add a point to the curves of loss and learning rate, every EVERY steps."""
        self._add(done.step, {"loss": done.loss, "learning_rate": done.learning_rate}, done.step % EVERY == 0)

    def on_validation(self, validated: Validated) -> None:
        """Add a point to each validation curve."""
        self._add(validated.step, {f"validation/{k}": v for k, v in asdict(validated.score).items()}, True)

    def on_end(self) -> None:
        """Write what is still in memory."""
        if self.writer is not None:
            self.writer.close()

    def _add(self, step: int, figures: Mapping[str, float], due: bool) -> None:
        if self.writer is None:  # purge_step hides points that an interrupted run wrote after its last state
            self.writer = self.make(str(self.folder), purge_step=step)
        if due:
            for name, figure in figures.items():
                self.writer.add_scalar(name, figure, step)
