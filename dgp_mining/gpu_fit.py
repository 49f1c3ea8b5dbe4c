"""Fitting many crops at once on a GPU: what `dgp_mining.fit` does to one, with the same results.

The kernels give the bits of the CPU's, and everything around them is done on the CPU, crop by crop: so the
`fast` recipe leads to the same field on either, whatever else is in the batch.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from splat2d import DEFAULT_CUTOFF, GaussianField, gpu, render

from .fit import Fit, field_of, fit_gaussianimage, grid_start, halved, planar, psnr
from .recipes import FastRecipe, GaussianImageRecipe, make_recipe

Fitted = list[tuple[GaussianField, Tensor]]


def fit_images(
    crops: Sequence[np.ndarray | Tensor],
    *,
    density: float,
    recipe: str,
    iterations: int | None = None,
    seeds: Sequence[int],
    device: str = "cuda",
) -> list[Fit]:
    """`fit.fit_image` of crops [H, W, C] of one shape, one seed for each; the fits lie on the CPU.

    The published recipe, which is there for comparison, takes them in turn. `seconds` is each crop's share of
    the batch. Raises ValueError where a crop cannot be fitted, torch.OutOfMemoryError where the GPU does not
    hold so many.
    """
    targets = torch.stack([planar(crop) for crop in crops])
    chosen = make_recipe(recipe, iterations)
    began = time.perf_counter()
    if isinstance(chosen, FastRecipe):
        fitted = _fit_fast(targets, chosen, density, device)
    else:
        fitted = _fit_in_turn(targets, chosen, density, seeds, device)
    quality = _psnr_of_each([field for field, _ in fitted], targets, device)
    seconds = (time.perf_counter() - began) / len(fitted)
    return [
        Fit(field, start, decibels, chosen.iterations, seconds)
        for (field, start), decibels in zip(fitted, quality, strict=True)
    ]


def off_lattice_psnrs(
    crops: Sequence[np.ndarray | Tensor],
    *,
    density: float,
    recipe: str,
    iterations: int | None = None,
    seeds: Sequence[int],
    device: str = "cuda",
) -> list[float]:
    """`fit.off_lattice_psnr` of crops of one shape, as `fit_images` takes them."""
    small, targets = zip(*(halved(crop) for crop in crops), strict=True)
    fits = fit_images(
        small, density=density, recipe=recipe, iterations=iterations, seeds=seeds, device=device
    )
    return _psnr_of_each([fit.field.scale(2) for fit in fits], torch.stack(targets), device)


def _fit_fast(targets: Tensor, recipe: FastRecipe, density: float, device: str) -> Fitted:
    size = tuple(targets.shape[2:])
    starts, spacings = zip(
        *(grid_start(target, density, recipe.start_sigma) for target in targets), strict=True
    )
    parameters = torch.stack(starts).to(device)
    gpu.fit(
        targets.to(device),
        parameters,
        torch.zeros_like(parameters),
        torch.zeros_like(parameters),
        recipe.rates(spacings[0]),
        start=0,
        cutoff=DEFAULT_CUTOFF,
        min_sigma=recipe.min_sigma * spacings[0],
        betas=(recipe.beta1, recipe.beta2),
        epsilon=recipe.epsilon,
    )
    ends = parameters.cpu()
    return [(field_of(end, size), start[:2].T.clone()) for start, end in zip(starts, ends, strict=True)]


def _fit_in_turn(
    targets: Tensor, recipe: GaussianImageRecipe, density: float, seeds: Sequence[int], device: str
) -> Fitted:
    fitted = []
    for target, seed in zip(targets, seeds, strict=True):
        field, start, _ = fit_gaussianimage(target.to(device), recipe, density, seed, lambda psnr: False)
        tensors = {name: getattr(field, name).cpu() for name in ("means", "cholesky", "colors")}
        fitted.append((replace(field, **tensors), start.cpu()))
    return fitted


def _psnr_of_each(fields: Sequence[GaussianField], targets: Tensor, device: str) -> list[float]:
    """dB of each field rendered at the size of its target; summed on the CPU, so in one order always."""
    tensors = (
        torch.cat([getattr(field, name) for field in fields]).to(device)
        for name in ("means", "cholesky", "colors")
    )
    images = render(*tensors, tuple(targets.shape[2:])).cpu()
    return [psnr(image, target) for image, target in zip(images, targets, strict=True)]
