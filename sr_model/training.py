"""Training a network on a mined dictionary: the loop, its schedule and its validation."""

from __future__ import annotations

import hashlib
import json
import logging
import math
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch

from dgp_mining.dictionary import Dictionary

from .checkpoint import Checkpoint
from .data import ImageSet, enlarged
from .evaluation import PROTOCOLS, Score, mean, score
from .kernels import chosen_kernels
from .pretrained import load_encoder_weights
from .settings import Preset, TrainSettings
from .state import TrainingError, TrainingState

log = logging.getLogger(__name__)

STATE, LAST, BEST = "state.safetensors", "last.safetensors", "best.safetensors"
VALIDATION_SCALE = 4.0
VALIDATION_SIDE = 256
"""Validation measures centre crops of at most so many HR pixels a side: seconds, not minutes."""
REPORT_SECONDS = 10


@dataclass(frozen=True)
class Budget:
    """How long to train: a number of steps, or minutes of wall clock over all sessions of the run."""

    steps: int | None = None
    """Optimiser steps; a resumed run then ends with the bits of an undisturbed one."""
    minutes: float | None = None
    """Minutes, decoding and validation included; the schedule follows the clock."""

    def __post_init__(self) -> None:
        if (self.steps is None) == (self.minutes is None) or not (self.steps or self.minutes or 0) > 0:
            raise ValueError("a budget is a positive number of steps or of minutes")

    def spent(self, step: int, seconds: float) -> float:
        """The part used up, 1 or more where there is nothing left."""
        return step / self.steps if self.steps else seconds / (60 * self.minutes)

    def __str__(self) -> str:
        return f"{self.steps} steps" if self.steps else f"{self.minutes:g} minutes"


class Stop(Protocol):
    """What asks a training to end after the current step and keep everything: a `threading.Event`, say."""

    def is_set(self) -> bool: ...


def train(
    dictionary: Dictionary,
    images: Sequence[Path],
    preset: Preset,
    out: Path,
    *,
    validation: Sequence[Path] = (),
    budget: Budget | None = None,
    seed: int = 0,
    resume: bool = False,
    encoder_weights: Path | None = None,
    stop: Stop | None = None,
) -> Path:
    """Train `preset`'s network on random crops of `images` and return the checkpoint to use.

    The folder `out` receives `best.safetensors` and `last.safetensors` (averaged weights; each suffices for
    `sr_model.upscale`; the best by the `validation` images, or the last where there are none), and
    `state.safetensors`, from which `resume` continues.
    `budget` defaults to the resumed run's, else to the preset's steps. `encoder_weights` is a public file to
    start the encoder from (`sr_model.pretrained`). Runs on a GPU where there is one, and logs its progress.

    Raises TrainingError, ImageError or CheckpointError, each one sentence, for what the user can put right.
    """
    began = time.monotonic()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    settings = preset.train
    try:
        dictionary = chosen_kernels(preset.network, dictionary)
    except ValueError as error:
        raise TrainingError(f"This dictionary cannot be trained on: {error}.") from error
    prepare_folder(out, resume)
    state = TrainingState.fresh(preset.network, dictionary, seed, device)
    if encoder_weights and not resume:
        log.info("the encoder starts as %s", load_encoder_weights(state.model.encoder, encoder_weights))
        state.average.load_state_dict(state.model.state_dict())
    log.info("decoding %d images", len(images) + len(validation))
    crop = enlarged(settings.crop, settings.scales[1])
    training_set = ImageSet(images, smallest=crop, folder=out)
    held_out = Validation(validation, out) if validation else None
    identity = identify(preset, dictionary, seed, training_set.paths)
    if resume:
        begun_with = Budget(**state.restore(out / STATE, identity))
        budget = budget or begun_with
    budget = budget or Budget(steps=settings.steps)
    log.info(
        "training %s parameters on %d images for %s, from step %d",
        f"{sum(p.numel() for p in state.model.parameters()):,}", len(training_set), budget, state.step,
    )  # fmt: skip

    before, kept, reported = state.seconds, -1, began
    bf16 = fast_bf16(device)
    while not (stop and stop.is_set()):
        state.seconds = before + time.monotonic() - began
        spent = budget.spent(state.step, state.seconds)
        if spent >= 1:
            break
        lr, hr = (t.to(device) for t in training_set.batch(settings, seed, state.step))
        loss = state.learn(lr, hr, learning_rate(settings, state.step, spent), settings, bf16)
        if time.monotonic() - reported > REPORT_SECONDS:
            reported = time.monotonic()
            log.info("step %d (%.0f %%): loss %.4f", state.step, 100 * spent, loss)
        if state.step % settings.validate_every == 0:
            keep(state, out, identity, budget, held_out, dictionary)
            kept = state.step
    if kept != state.step:
        keep(state, out, identity, budget, held_out, dictionary)
    return out / BEST


def prepare_folder(out: Path, resume: bool) -> None:
    """Make the run's folder. Raises TrainingError where it holds a run already or cannot be written."""
    if not resume and any((out / name).exists() for name in (STATE, LAST, BEST)):
        raise TrainingError(
            f"{out} already holds a training: continue it with --resume, or name another folder with --out."
        )
    try:
        out.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=out).close()
    except OSError as error:
        raise TrainingError(
            f"The folder {out} cannot be written ({error.strerror}): name another with --out."
        ) from error


def identify(preset: Preset, dictionary: Dictionary, seed: int, images: Sequence[Path]) -> dict[str, Any]:
    """What a resumed run must share with the one it continues; JSON-serialisable."""
    identity = {
        "network": asdict(preset.network),
        "training": asdict(preset.train),
        "dictionary": hashlib.sha256(dictionary.cholesky.tobytes()).hexdigest(),
        "seed": seed,
        "images": [path.name for path in images],
    }
    return json.loads(json.dumps(identity))  # tuples become the lists that a file gives back


def learning_rate(settings: TrainSettings, step: int, spent: float) -> float:
    """The rate for a step when the part `spent` of the budget is used up."""
    warm = min(1.0, (step + 1) / (settings.warmup + 1))
    fall = 0.5 * (1 + math.cos(math.pi * spent)) if settings.schedule == "cosine" else 0.5 ** int(10 * spent)
    return settings.learning_rate * warm * fall


def fast_bf16(device: torch.device) -> bool:
    """Whether convolutions in bfloat16 pay: on GPUs, and on CPUs with AMX."""
    has_amx = getattr(torch.cpu, "_is_amx_tile_supported", lambda: False)  # private, absent from old torch
    return device.type == "cuda" or has_amx()


class Validation:
    """Held-out images, measured as centre crops at x4 by the `benchmark` protocol."""

    def __init__(self, paths: Sequence[Path], folder: Path) -> None:
        """Decode `paths` through a temporary file in `folder`. Raises ImageError where none is usable."""
        images = ImageSet(paths, smallest=32, folder=folder).images
        crops = [centre_crop(image, VALIDATION_SIDE) for image in images]
        self.crops = [torch.from_numpy(crop.copy()).permute(2, 0, 1) for crop in crops]  # [3, H, W] uint8

    def measure(self, state: TrainingState) -> Score:
        """The mean score of the averaged weights."""
        protocol = PROTOCOLS["benchmark"]
        return mean(score(state.average, crop, VALIDATION_SCALE, protocol) for crop in self.crops)


def centre_crop(image: np.ndarray, side: int) -> np.ndarray:
    """The middle of [H, W, C], at most `side` pixels a side."""
    row, column = (max(0, (extent - side) // 2) for extent in image.shape[:2])
    return image[row : row + side, column : column + side]


def keep(
    state: TrainingState,
    out: Path,
    identity: dict[str, Any],
    budget: Budget,
    held_out: Validation | None,
    dictionary: Dictionary,
) -> None:
    """Validate and write the checkpoints: the ones to use first, then the state to resume from."""
    notes: dict[str, Any] = {
        "step": state.step,
        "training": identity["training"],
        "seed": identity["seed"],
        "dictionary": dictionary.metadata,
    }
    better = held_out is None  # nothing to judge by: the latest counts as the best
    if held_out:
        scored = held_out.measure(state)
        better = scored.psnr > state.best
        state.best = max(state.best, scored.psnr)
        notes["validation"] = asdict(scored)
        log.info(
            "step %d: validation x%g %.2f dB, bicubic %.2f dB%s",
            state.step, VALIDATION_SCALE, scored.psnr, scored.bicubic_psnr, " (best)" if better else "",
        )  # fmt: skip
    checkpoint = Checkpoint(
        state.average.settings, torch.tensor(dictionary.cholesky), state.average.state_dict(), notes
    )
    checkpoint.save(out / LAST)
    if better:
        checkpoint.save(out / BEST)
    state.save(out / STATE, identity, asdict(budget))
