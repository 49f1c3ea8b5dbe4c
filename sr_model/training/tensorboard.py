"""TensorBoard: curves of a training, for whoever has it (`pip install 'dgp-mining[tensorboard]'`)."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

EVERY = 10
"""Steps between the points of a curve."""


class MissingTensorBoard(ValueError):
    """TensorBoard is asked for and not installed; the message says how to get it."""


class TensorBoard:
    """An observer of a training (`sr_model.train`) that writes what it is told for TensorBoard."""

    def __init__(self, folder: Path) -> None:
        """Write into `folder`, from the first figures on. Raises MissingTensorBoard."""
        try:
            self.make = import_module("torch.utils.tensorboard").SummaryWriter
        except ImportError as error:
            raise MissingTensorBoard(
                f"--tensorboard needs tensorboard, which cannot be imported ({error}): install it with "
                "pip install 'dgp-mining[tensorboard]', or leave the option out."
            ) from error
        self.folder = folder
        self.writer: Any = None

    def __call__(self, step: int, figures: Mapping[str, float]) -> None:
        if self.writer is None:  # what an interrupted run wrote beyond the state it resumes from is hidden
            self.writer = self.make(str(self.folder), purge_step=step)
        if "loss" in figures and step % EVERY:
            return
        for name, figure in figures.items():
            self.writer.add_scalar(name, figure, step)

    def close(self) -> None:
        """Write what is left to write."""
        if self.writer is not None:
            self.writer.close()
