"""What a training will take, found by taking a few steps and throwing them away."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from dgp_mining.prior.dictionary import Dictionary

from ..config.presets import Preset
from ..config.training_settings import TrainSettings
from ..evaluation.cost import TensorMemory
from ..memory import free_memory
from .batch_preview import save_sheet
from .distributed import init_process_group
from .samples import Batch, prepared
from .schedule import Budget, learning_rate
from .train import Run, enough_memory, in_words, record_settings, set_up

log = logging.getLogger(__name__)

SHEET = "first-batch.png"
TIMED = 2
"""Steps whose time counts."""


@dataclass(frozen=True)
class Rehearsal:
    """What one step has shown."""

    parameters: int
    """Of the network."""
    file_bytes: int
    """Of its weights in a checkpoint."""
    kept_bytes: int
    """Memory for the network, its average and its optimiser."""
    step_bytes: int
    """Memory held at most in a step, that included: on a GPU what torch allocated; on the CPU all tensors
    that operators returned, not their scratch space or the program itself."""
    free_bytes: int
    """Memory that could have been had."""
    step_seconds: float | None
    """Of a step, once warm; None where it would not have fitted into memory."""
    budget: Budget
    """How long the training would be."""
    sheet: Path
    """A picture of the first batch."""

    def lines(self) -> list[str]:
        """The estimates in words."""
        lines = [
            f"network: {self.parameters:,} parameters, {self.file_bytes / 1e6:,.1f} MB",
            f"memory: {self.step_bytes / 1e9:.2f} GB in a step, of which {self.kept_bytes / 1e9:.2f} GB are "
            "weights, their average and the optimiser's",
        ]
        if self.step_seconds is None:
            lines.append(
                f"time: not measured, for {self.free_bytes / 1e9:.2f} GB of memory are free: raise "
                "training.accumulate, or lower training.batch or training.crop"
            )
        elif self.budget.steps:
            total = in_words(self.budget.steps * self.step_seconds)
            lines.append(
                f"time: {self.step_seconds:.3g} s a step, about {total} for {self.budget.steps:,} steps"
            )
        else:
            steps = 60 * self.budget.minutes / self.step_seconds
            lines.append(f"time: {self.step_seconds:.3g} s a step, about {steps:,.0f} steps in {self.budget}")
        return [*lines, f"first batch: {self.sheet}"]


def estimate_training(
    dictionary: Dictionary | None,
    images: Sequence[Path],
    preset: Preset,
    out: Path,
    *,
    budget: Budget | None = None,
    **how: Any,
) -> Rehearsal:
    """Set up the training that `sr_model.train` would do with the same arguments, and take a few steps of it.

    Writes the settings and a picture of the first batch into `out`. Raises what `train` does.
    """
    budget = budget or Budget(steps=preset.train.steps)
    with init_process_group() as world, enough_memory(preset):
        run = set_up(dictionary, images, preset, out, world, **how)
        sheet = run.out / SHEET
        if world.is_main_process:
            record_settings(run)
            save_sheet(run.images.batch(run.preset.train, run.seed, 0), sheet)
        held, free = step_memory(run), free_memory(world.device)
        seconds = step_seconds(run) if held < free else None
    state = run.state
    parameters = sum(p.numel() for p in state.model.parameters())
    file_bytes = sum(t.nbytes for t in state.model.state_dict().values())
    tensors = (*state.model.parameters(), *state.model.buffers())
    kept = 2 * sum(t.nbytes for t in tensors) + 8 * parameters  # an average, and two moments of Adam
    return Rehearsal(parameters, file_bytes, kept, max(kept, held), free, seconds, budget, sheet)


def step_memory(run: Run) -> int:
    """Bytes held at most during a step.

    On the CPU, where a step that is too large would have this process killed, it follows from steps of one
    sample and of two: each further sample of a part adds as much.
    """
    settings, world = run.preset.train, run.state.world
    if world.device.type == "cuda":
        return peak_memory(run, run.share(0), settings)
    samples = settings.batch // (world.size * settings.accumulate)
    one, two = (peak_memory(run, *part_of(run, count)) for count in (1, 2))
    return one + (samples - 1) * (two - one)


def part_of(run: Run, samples: int) -> tuple[list[Batch], TrainSettings]:
    """The first samples of the first batch, and the settings of a step of these alone."""
    settings = replace(run.preset.train, batch=samples, accumulate=1)
    return [run.images.batch(settings, run.seed, 0)], settings


def peak_memory(run: Run, share: list[Batch], settings: TrainSettings) -> int:
    """Bytes held at most during a step, which is taken uncompiled."""
    state = run.state
    plain = replace(state, trained=state.model) if settings.compile else state
    rate = learning_rate(settings, 0, 0)
    if state.world.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(state.world.device)
        plain.train_step(share, rate, settings)
        return torch.cuda.max_memory_allocated(state.world.device)
    before = sum(
        t.nbytes
        for network in (state.model, state.average)
        for t in (*network.parameters(), *network.buffers())
    )
    with TensorMemory() as memory:
        plain.train_step(share, rate, settings)
    return before + memory.peak


def step_seconds(run: Run) -> float:
    """The time of a step, once warm."""
    settings = run.preset.train
    log.info("timing %d steps of %d samples", 1 + TIMED, settings.batch)
    with closing(prepared(run.share, 0)) as shares:
        for step in range(1 + TIMED):
            run.state.train_step(next(shares), learning_rate(settings, step, 0), settings)
            if step == 0:  # which compiled the network, if that is asked for
                began = time.monotonic()
        return (time.monotonic() - began) / TIMED
