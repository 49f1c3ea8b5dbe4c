"""What a training will take in time and memory, measured on a few steps that are then thrown away."""

from __future__ import annotations

import logging
import time
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Unpack

import torch

from dgp_mining.duration import duration
from dgp_mining.prior.dictionary import Dictionary
from dgp_mining.terminal import count

from ..config.presets import Preset
from ..config.training_settings import TrainSettings
from ..memory import TensorMemory, free_memory
from .batch_preview import save_preview
from .cuda_graph import GraphedNetwork
from .run import Images, RunOptions, TrainingRun, open_run
from .samples import Batch, prefetch
from .schedule import Budget, learning_rate

log = logging.getLogger(__name__)

PREVIEW = "first-batch.png"
TIMED_STEPS = 2
"""Steps that are timed, after one to warm up."""


@dataclass(frozen=True)
class TrainingEstimate:
    """The size, memory and time of a training, measured on a few steps."""

    parameters: int
    """Parameters of the network."""
    trained: int
    """Those that are not frozen."""
    file_bytes: int
    """Bytes of the weights in a checkpoint."""
    state_bytes: int
    """Bytes of memory for the weights, their average and Adam's two moments."""
    step_bytes: int
    """Peak bytes of memory in a step, the state included: on a GPU what torch allocated, on the CPU all
    tensors that operators returned, but not their scratch space or the program itself."""
    free_bytes: int
    """Bytes of memory that were free."""
    step_seconds: float | None
    """Seconds of a step after warm-up; None if a step does not fit into memory."""
    budget: Budget
    """How long the training would be."""
    preview: Path
    """File with a picture of the first batch."""

    def lines(self) -> list[str]:
        """The estimate as text."""
        trained = "" if self.trained == self.parameters else f" ({self.trained:,} of them trained)"
        lines = [
            f"network: {self.parameters:,} parameters{trained}, {self.file_bytes / 1e6:,.1f} MB",
            f"memory: {self.step_bytes / 1e9:.2f} GB in a step, of which {self.state_bytes / 1e9:.2f} GB are "
            "weights, their average and the optimiser's",
        ]
        if self.step_seconds is None:
            lines.append(
                f"time: not measured, since only {self.free_bytes / 1e9:.2f} GB of memory are free: raise "
                "training.accumulate, or lower training.batch or training.crop"
            )
        elif self.budget.steps:
            total = duration(self.budget.steps * self.step_seconds)
            steps = count(self.budget.steps, "step")
            lines.append(f"time: {self.step_seconds:.3g} s a step, about {total} for {steps}")
        else:
            fitting = self.budget.step_count(self.step_seconds)
            lines.append(
                f"time: {self.step_seconds:.3g} s a step, about {fitting:,.0f} steps in {self.budget}"
            )
        return [*lines, f"first batch: {self.preview}"]


def estimate_training(
    prior: Dictionary | str | Path | None,
    images: Images,
    preset: Preset | str,
    out: str | Path,
    **options: Unpack[RunOptions],
) -> TrainingEstimate:
    """Set up the training that `sr_model.train` would do with the same arguments, and time a few steps of it.

    Writes the settings and a picture of the first batch into `out`. Raises what `train` raises.
    """
    with open_run(prior, images, preset, out, **options) as run:
        context, preview = run.state.context, run.out / PREVIEW
        if context.is_main_process:
            save_preview(run.whole_batch(0), preview)
        held, free = step_memory(run), free_memory(context.device)
        seconds = step_seconds(run) if held < free else None
    model = run.state.model
    parameters, trained = sum(p.numel() for p in model.parameters()), run.state.trained_parameters
    file_bytes = sum(t.nbytes for t in model.state_dict().values())
    tensors = (*model.parameters(), *model.buffers())
    state_bytes = 2 * sum(t.nbytes for t in tensors) + 8 * trained  # the average, and Adam's two moments
    step_bytes = max(state_bytes, held)
    return TrainingEstimate(
        parameters, trained, file_bytes, state_bytes, step_bytes, free, seconds, run.budget, preview
    )


def step_memory(run: TrainingRun) -> int:
    """Peak bytes of memory in a step.

    On the CPU a step that is too large would get this process killed, so it is extrapolated from
    micro-batches of one and of two samples: each further sample adds as much.
    """
    settings, context = run.preset.train, run.state.context
    if context.device.type == "cuda":
        return peak_step_memory(run, run.micro_batches(0), settings)
    samples = settings.batch // (context.world_size * settings.accumulate)
    one, two = (peak_step_memory(run, *small_batch(run, count)) for count in (1, 2))
    return one + (samples - 1) * (two - one)


def small_batch(run: TrainingRun, samples: int) -> tuple[list[Batch], TrainSettings]:
    """The first samples of the first batch, and the settings of a step of these alone."""
    settings = replace(run.preset.train, batch=samples, accumulate=1)
    return [run.images.batch(settings, run.seed, 0)], settings


def peak_step_memory(run: TrainingRun, micro_batches: list[Batch], settings: TrainSettings) -> int:
    """Peak bytes of memory in a step, which is taken uncompiled and by this thread."""
    state = run.state
    called = state.model if settings.compile else state.trained
    uncompiled = replace(state, trained=called, workers=None)
    rate = learning_rate(settings, 0, 0)
    if state.context.device.type == "cuda":
        device = state.context.device
        held = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        uncompiled.train_step(micro_batches, rate, settings)
        peak = torch.cuda.max_memory_allocated(device)
        return called.peak_bytes + peak - held if isinstance(called, GraphedNetwork) else peak
    before = sum(
        t.nbytes
        for network in (state.model, state.average)
        for t in (*network.parameters(), *network.buffers())
    )
    with TensorMemory() as memory:
        uncompiled.train_step(micro_batches, rate, settings)
    return before + memory.peak


def step_seconds(run: TrainingRun) -> float:
    """Seconds of a step, after one step to warm up."""
    settings = run.preset.train
    log.info("timing %d steps of %d samples", 1 + TIMED_STEPS, settings.batch)
    with closing(prefetch(run.micro_batches, 0, threads=run.sampling_threads)) as batches:
        for step in range(1 + TIMED_STEPS):
            run.state.train_step(next(batches), learning_rate(settings, step, 0), settings)
            if step == 0:  # which also compiled the network, if the settings ask for it
                began = time.monotonic()
        return (time.monotonic() - began) / TIMED_STEPS
