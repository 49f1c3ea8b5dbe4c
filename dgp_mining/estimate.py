"""Estimating the time and disk space of a mining run from trial fits of one crop."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import numpy as np

from .fitting import statistics
from .fitting.loop import one_torch_thread
from .images.reader import ImageError
from .planning.crop_loader import LoadedCrop, load_crops
from .planning.plan import Plan
from .progress import ProgressCallback
from .store.crop_results import CropResult
from .workers.worker import FITTERS, batch_size, check_worker, fit_crops, load_fitter

TRIALS = (5, 5, 50, 5, 50)
"""Optimiser steps of the trial fits: the first warms up, the others give the time per fit and per step; the
faster of two counts, since other programs slow down caches and clocks."""


@dataclass(frozen=True)
class Estimate:
    """The size of a run."""

    gaussians: int
    """Gaussians of all crops together."""
    seconds: float
    """Fitting time on one core, or one GPU, of this machine that nothing else uses; with `target_psnr`, the
    most that it may take."""
    nbytes: int
    """Upper bound of the store's size on disk, bytes."""


def estimate(
    plan: Plan,
    fitter: str | None = None,
    callback: ProgressCallback | None = None,
    crops: int | None = None,
) -> Estimate:
    """Time short fits of one crop of `plan`, or on a GPU of a batch of its copies, and extrapolate.

    The estimate is for `crops` crops, by default all of the plan.

    Raises ImageError if no crop can be fitted, RunError if this process lacks the plan's backend, and
    ValueError if the images are in several folders.
    """
    check_worker(plan.settings.backend)
    fitter = fitter or FITTERS["cuda" if plan.settings.backend == "cuda" else "cpu"]
    reasons = []
    for first in np.unique(plan.image, return_index=True)[1]:  # the first crop of each image
        loaded = _load(plan, int(first))
        trials = _timed(loaded, plan, fitter, callback or ProgressCallback())
        if (fitted := trials[-1][0].field) is not None:
            break
        reasons.append(trials[-1][0].error)
    else:
        raise ImageError(f"No crop of {plan.folder} can be fitted: {reasons[0]}")
    crops = plan.crops if crops is None else crops
    short, long = (min(seconds for _, seconds in trials[first::2]) for first in (1, 2))
    per_step = (long - short) / (TRIALS[2] - TRIALS[1])
    per_fit = short + per_step * (plan.settings.iterations - TRIALS[1])
    gaussians, channels = fitted.colors.shape[1:]
    field = gaussians * (5 + channels) * 4 if plan.settings.keep_fields else 0
    return Estimate(
        gaussians=crops * gaussians,
        seconds=crops * max(per_fit, 0.0),
        nbytes=crops * ((1 + len(plan.settings.snapshots or ())) * statistics.NBYTES + field),
    )


def _load(plan: Plan, crop: int) -> LoadedCrop:
    if plan.folder is None:
        raise ValueError("A plan with images of several folders cannot be estimated.")
    at = (plan.names[plan.image[crop]], *plan.position[crop].tolist())
    return next(load_crops(plan.folder, [at], plan.settings.crop, plan.settings.reading))


def _timed(
    loaded: LoadedCrop, plan: Plan, fitter: str, callback: ProgressCallback
) -> list[tuple[CropResult, float]]:
    """Return the result and the seconds per crop of each trial."""
    batch = [loaded] * min(batch_size(plan.settings), plan.crops)
    # A CPU fit runs on this thread alone, so thread time excludes other processes.
    clock = time.perf_counter if plan.settings.backend == "cuda" else time.thread_time
    trials = []
    with one_torch_thread():
        for number, iterations in enumerate(TRIALS):
            callback.on_progress("Trial fits", number, len(TRIALS))
            reached = tuple(look for look in plan.settings.snapshots or () if look <= iterations) or None
            settings = replace(
                plan.settings, iterations=iterations, snapshots=reached, target_psnr=None, keep_fields=True
            )
            started = clock()
            results = fit_crops(batch, settings, load_fitter(fitter))
            trials.append((results[0], (clock() - started) / len(batch)))
    callback.on_progress("Trial fits", len(TRIALS), len(TRIALS))
    return trials
