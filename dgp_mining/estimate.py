"""What a mining run will take, measured on one of its crops."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from . import statistics
from .images import ImageError, read_image
from .mining import FITTER, fit_crop, load_fitter, one_torch_thread
from .plan import Plan
from .store import CropResult

TRIALS = (5, 5, 50)
"""Optimiser steps of the trial fits: the first warms up, the others give the time per fit and per step."""


@dataclass(frozen=True)
class Estimate:
    """The size of a run."""

    gaussians: int
    """Gaussians of all crops together."""
    seconds: float
    """Fitting time on one core of this machine."""
    nbytes: int
    """Disk that the store takes, at most."""


def estimate(plan: Plan, fitter: str = FITTER) -> Estimate:
    """Fit a crop of `plan` briefly and extrapolate. Raises ImageError where none can be fitted."""
    reasons = []
    for crop in range(plan.crops):
        trials = _timed(plan, crop, fitter)
        if trials[0][0].field is not None:
            break
        reasons.append(trials[0][0].error)
    else:
        raise ImageError(f"No crop of {plan.folder} can be fitted: {reasons[0]}")
    (_, _), (_, short), (fitted, long) = trials
    per_step = (long - short) / (TRIALS[2] - TRIALS[1])
    per_fit = short + per_step * (plan.settings["iterations"] - TRIALS[1])
    gaussians, channels = fitted.field.colors.shape[1:]
    field = gaussians * (5 + channels) * 4 if plan.settings["keep_fields"] else 0
    return Estimate(
        gaussians=plan.crops * gaussians,
        seconds=plan.crops * max(per_fit, 0.0),
        nbytes=plan.crops * (statistics.NBYTES + field),
    )


def _timed(plan: Plan, crop: int, fitter: str) -> list[tuple[CropResult, float]]:
    """The result and the seconds of each trial fit of one crop."""
    name, (row, column) = plan.names[plan.image[crop]], plan.position[crop].tolist()
    try:
        pixels = read_image(Path(plan.folder) / name)
    except ImageError as error:
        return [(CropResult(b"", str(error)), 0.0)]
    trials = []
    with one_torch_thread():
        for iterations in TRIALS:
            settings = {**plan.settings, "iterations": iterations, "keep_fields": True}
            started = time.thread_time()  # of this thread alone: what else runs here does not count
            fitted = fit_crop(pixels, name, (row, column), settings, b"", load_fitter(fitter))
            trials.append((fitted, time.thread_time() - started))
    return trials
