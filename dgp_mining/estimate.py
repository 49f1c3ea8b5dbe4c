"""What a mining run will take, measured on one of its crops."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from . import statistics
from .images import ImageError, read_image
from .mining import FITTER, fit_crop, load_fitter
from .plan import Plan

TRIAL_ITERATIONS = 50
"""Optimiser steps that are timed; the time of a fit is proportional to their number."""


@dataclass(frozen=True)
class Estimate:
    """The size of a run."""

    crops: int
    """Crops to fit."""
    gaussians: int
    """Gaussians of all crops together."""
    seconds: float
    """Fitting time on one core of this machine."""
    nbytes: int
    """Disk that the store takes, at most."""


def estimate(plan: Plan, fitter: str = FITTER) -> Estimate:
    """Fit the first readable crop of `plan` for a few iterations and extrapolate. Raises ImageError."""
    iterations = plan.settings["iterations"]
    trial = {**plan.settings, "iterations": min(iterations, TRIAL_ITERATIONS), "keep_fields": True}
    for crop in range(plan.crops):
        name = plan.names[plan.image[crop]]
        try:
            pixels = read_image(Path(plan.folder) / name)
        except ImageError:
            continue
        started = time.perf_counter()
        row, column = plan.position[crop]
        fitted = fit_crop(pixels, name, (int(row), int(column)), trial, b"", load_fitter(fitter))
        seconds = time.perf_counter() - started
        if fitted.field is not None:
            break
    else:
        raise ImageError(f"None of the crops of {plan.folder} can be fitted: see 'dgp-mine fit' for why.")
    gaussians, channels = fitted.field.colors.shape[1:]
    per_crop = statistics.NBYTES + (plan.settings["keep_fields"] and gaussians * (5 + channels) * 4)
    return Estimate(
        crops=plan.crops,
        gaussians=plan.crops * gaussians,
        seconds=plan.crops * seconds * iterations / trial["iterations"],
        nbytes=plan.crops * per_crop,
    )
