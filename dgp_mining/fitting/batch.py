"""Fitting many crops at once on a GPU: `fit_image` and `held_out_psnr` for batches, with equal results.

The CUDA kernels are bit-identical to the C++ code, and everything else is done on the CPU, crop by crop: a
recipe gives the same field on both devices, whatever else is in the batch.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
import torch
from torch import Tensor

from .fit import Fit, fit_batch
from .recipes import make_recipe
from .target import channels_first, held_out_pair, psnr_of_each


def fit_images(
    crops: Sequence[np.ndarray | Tensor],
    *,
    density: float,
    recipe: str,
    iterations: int | None = None,
    target_psnr: float | None = None,
    seeds: Sequence[int],
    snapshots: Collection[int] = (),
    device: str = "cuda",
) -> list[Fit]:
    """Do what `fit.fit_image` does for B crops [H, W, C] of one shape, with a seed for each.

    Returns B fits, on the CPU. `Fit.seconds` is each crop's share of the batch. Raises ValueError as
    `fit_image` does, torch.OutOfMemoryError if the GPU's memory is too small for the batch.
    """
    return fit_batch(
        torch.stack([channels_first(crop) for crop in crops]),
        make_recipe(recipe, iterations),
        density=density,
        target_psnr=target_psnr,
        seeds=seeds,
        snapshots=snapshots,
        device=device,
    )


def held_out_psnrs(
    crops: Sequence[np.ndarray | Tensor],
    *,
    density: float,
    recipe: str,
    iterations: int | None = None,
    target_psnr: float | None = None,
    seeds: Sequence[int],
    device: str = "cuda",
) -> list[float]:
    """Return `fit.held_out_psnr` (dB) of each of B crops; arguments and errors are those of `fit_images`."""
    small, targets = zip(*(held_out_pair(crop) for crop in crops), strict=True)
    fits = fit_images(
        small,
        density=density,
        recipe=recipe,
        iterations=iterations,
        target_psnr=target_psnr,
        seeds=seeds,
        device=device,
    )
    return psnr_of_each([fit.field.scale(2) for fit in fits], torch.stack(targets), device)
