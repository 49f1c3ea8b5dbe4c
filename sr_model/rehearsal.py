"""What a training will take, found by taking a few steps and throwing them away."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from dgp_mining.dictionary import Dictionary

from .cost import TensorMemory
from .data import Batch, prepared
from .distributed import joined
from .presets import Preset
from .schedule import Budget, learning_rate
from .sheet import save_sheet
from .training import Run, in_words, record_settings, set_up

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
    step_seconds: float
    """Of a step, once warm."""
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
        if self.budget.steps:
            total = in_words(self.budget.steps * self.step_seconds)
            lines.append(
                f"time: {self.step_seconds:.3g} s a step, about {total} for {self.budget.steps:,} steps"
            )
        else:
            steps = 60 * self.budget.minutes / self.step_seconds
            lines.append(f"time: {self.step_seconds:.3g} s a step, about {steps:,.0f} steps in {self.budget}")
        return [*lines, f"first batch: {self.sheet}"]


def rehearse(
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
    with joined() as world:
        run = set_up(dictionary, images, preset, out, world, **how)
        sheet = run.out / SHEET
        if world.leads:
            record_settings(run)
            save_sheet(run.images.batch(run.preset.train, run.seed, 0), sheet)
        with closing(prepared(run.share, 0)) as shares:
            held = peak_memory(run, next(shares))
            seconds = step_seconds(run, shares)
    state = run.state
    parameters = sum(p.numel() for p in state.model.parameters())
    file_bytes = sum(t.nbytes for t in state.model.state_dict().values())
    tensors = (*state.model.parameters(), *state.model.buffers())
    kept = 2 * sum(t.nbytes for t in tensors) + 8 * parameters  # an average, and two moments of Adam
    return Rehearsal(parameters, file_bytes, kept, max(kept, held), seconds, budget, sheet)


def step_seconds(run: Run, shares: Iterator[list[Batch]]) -> float:
    """The time of a step, once warm."""
    settings = run.preset.train
    for step in range(1, 2 + TIMED):
        run.state.learn(next(shares), learning_rate(settings, step, 0), settings)
        if step == 1:  # which compiled the network, if that is asked for
            began = time.monotonic()
    return (time.monotonic() - began) / TIMED


def peak_memory(run: Run, share: list[Batch]) -> int:
    """Bytes held at most during a step, which is taken uncompiled."""
    state, settings = run.state, run.preset.train
    plain = replace(state, trained=state.model) if settings.compile else state
    rate = learning_rate(settings, 0, 0)
    if state.world.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(state.world.device)
        plain.learn(share, rate, settings)
        return torch.cuda.max_memory_allocated(state.world.device)
    before = sum(
        t.nbytes
        for network in (state.model, state.average)
        for t in (*network.parameters(), *network.buffers())
    )
    with TensorMemory() as memory:
        plain.learn(share, rate, settings)
    return before + memory.peak
