"""Fitting many crops at once on a GPU: what `dgp_mining.fit` does to one, with the same results.

The kernels give the bits of the CPU's, and everything around them is done on the CPU, crop by crop: so the
`fast` recipe leads to the same field on either, whatever else is in the batch.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from splat2d import DEFAULT_CUTOFF, GaussianField, gpu, render

from .fit import (
    Fields,
    Fit,
    Snapshot,
    block_ends,
    field_of,
    fit_gaussianimage,
    grid_start,
    halved,
    planar,
    psnr,
)
from .recipes import FastRecipe, GaussianImageRecipe, make_recipe

Fitted = list[tuple[GaussianField, Tensor, Fields]]
"""Field, start and snapshots of each crop."""


def fit_images(
    crops: Sequence[np.ndarray | Tensor],
    *,
    density: float,
    recipe: str,
    iterations: int | None = None,
    seeds: Sequence[int],
    snapshots: Collection[int] = (),
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
        fitted = _fit_fast(targets, chosen, density, snapshots, device)
    else:
        fitted = _fit_in_turn(targets, chosen, density, seeds, snapshots, device)
    fields, starts, kept = zip(*fitted, strict=True)
    quality = _psnr_of_each(fields, targets, device)
    seconds = (time.perf_counter() - began) / len(fitted)
    looks = _snapshots(kept, targets, device)
    return [
        Fit(field, start, decibels, chosen.iterations, seconds, look)
        for field, start, decibels, look in zip(fields, starts, quality, looks, strict=True)
    ]


def _snapshots(kept: Sequence[Fields], targets: Tensor, device: str) -> list[tuple[Snapshot, ...]]:
    """The snapshots of each crop, from their fields."""
    looks: list[list[Snapshot]] = [[] for _ in kept]
    for at in kept[0]:
        fields = [of_crop[at] for of_crop in kept]
        for look, field, decibels in zip(looks, fields, _psnr_of_each(fields, targets, device), strict=True):
            look.append(Snapshot(at, field, decibels))
    return [tuple(look) for look in looks]


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


def _fit_fast(
    targets: Tensor, recipe: FastRecipe, density: float, snapshots: Collection[int], device: str
) -> Fitted:
    size = tuple(targets.shape[2:])
    starts, spacings = zip(
        *(grid_start(target, density, recipe.start_sigma) for target in targets), strict=True
    )
    parameters = torch.stack(starts).to(device)
    first, second = torch.zeros_like(parameters), torch.zeros_like(parameters)
    targets, rates = targets.to(device), recipe.rates(spacings[0])
    kept: list[Fields] = [{0: field_of(start, size)} if 0 in snapshots else {} for start in starts]
    done = 0
    for end in block_ends(recipe.iterations, snapshots, every=recipe.iterations):
        gpu.fit(
            targets,
            parameters,
            first,
            second,
            rates[done:end],
            start=done,
            cutoff=DEFAULT_CUTOFF,
            min_sigma=recipe.min_sigma * spacings[0],
            betas=(recipe.beta1, recipe.beta2),
            epsilon=recipe.epsilon,
        )
        done = end
        if done in snapshots:
            for of_crop, row in zip(kept, parameters.clone().cpu(), strict=True):
                of_crop[done] = field_of(row, size)
    return [
        (field_of(end, size), start[:2].T.clone(), of_crop)
        for start, end, of_crop in zip(starts, parameters.cpu(), kept, strict=True)
    ]


def _fit_in_turn(
    targets: Tensor,
    recipe: GaussianImageRecipe,
    density: float,
    seeds: Sequence[int],
    snapshots: Collection[int],
    device: str,
) -> Fitted:
    fitted = []
    for target, seed in zip(targets, seeds, strict=True):
        field, start, _, kept = fit_gaussianimage(
            target.to(device), recipe, density, seed, stop=None, snapshots=snapshots
        )
        fitted.append((_on_cpu(field), start.cpu(), {at: _on_cpu(look) for at, look in kept.items()}))
    return fitted


def _on_cpu(field: GaussianField) -> GaussianField:
    return replace(field, **{name: getattr(field, name).cpu() for name in ("means", "cholesky", "colors")})


def _psnr_of_each(fields: Sequence[GaussianField], targets: Tensor, device: str) -> list[float]:
    """dB of each field rendered at the size of its target; summed on the CPU, so in one order always."""
    tensors = (
        torch.cat([getattr(field, name) for field in fields]).to(device)
        for name in ("means", "cholesky", "colors")
    )
    images = render(*tensors, tuple(targets.shape[2:])).cpu()
    return [psnr(image, target) for image, target in zip(images, targets, strict=True)]
