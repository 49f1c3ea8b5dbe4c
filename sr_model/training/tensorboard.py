"""TensorBoard curves of a training (`pip install 'dgp-mining[tensorboard]'`)."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import Any

from .callbacks import StepDone, TrainingCallback, Validated

log = logging.getLogger(__name__)

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
        self.before = threading.excepthook
        self.failed = False
        """Whether the curves cannot be written, as on a full disk; nothing more is."""

    def on_step(self, done: StepDone) -> None:
        """Add a point to the curves of loss and learning rate, every EVERY steps."""
        self._add(done.step, {"loss": done.loss, "learning_rate": done.learning_rate}, done.step % EVERY == 0)

    def on_validation(self, validated: Validated) -> None:
        """Add a point to each validation curve."""
        self._add(validated.step, {f"validation/{k}": v for k, v in asdict(validated.score).items()}, True)

    def on_end(self) -> None:
        """Write what is still in memory."""
        if self.writer is not None and not self.failed:
            with self._going_on_without():
                self.writer.close()
        if self.writer is not None:
            threading.excepthook = self.before

    def _add(self, step: int, figures: Mapping[str, float], due: bool) -> None:
        if self.failed:
            return
        with self._going_on_without():
            self._write(step, figures, due)

    def _print_of_threads(self, args: Any) -> None:
        """Print no error of the system: TensorBoard's thread hands it on to the writer."""
        if not isinstance(args.exc_value, OSError):
            self.before(args)

    @contextmanager
    def _going_on_without(self) -> Iterator[None]:
        """Say in one line that curves cannot be written; the training, which they only show, goes on."""
        try:
            yield
        except OSError as error:
            self.failed = True
            log.warning(
                "TensorBoard's curves in %s cannot be written (%s): the training goes on without them",
                self.folder,
                error.strerror or error,
            )

    def _write(self, step: int, figures: Mapping[str, float], due: bool) -> None:
        if self.writer is None:  # purge_step hides points that an interrupted run wrote after its last state
            self.before, threading.excepthook = threading.excepthook, self._print_of_threads
            self.writer = self.make(str(self.folder), purge_step=step)
        if due:
            for name, figure in figures.items():
                self.writer.add_scalar(name, figure, step)
