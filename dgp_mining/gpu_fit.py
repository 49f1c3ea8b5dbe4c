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
    CHECK_EVERY,
    Fields,
    Fit,
    Snapshot,
    Stop,
    block_ends,
    decibels,
    field_of,
    fit_gaussianimage,
    grid_start,
    halved,
    planar,
    psnr,
    stop_at,
)
from .recipes import FastRecipe, GaussianImageRecipe, make_recipe

Fitted = list[tuple[GaussianField, Tensor, int, Fields]]
"""Field, start, iterations done and snapshots of each crop."""


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
    """`fit.fit_image` of crops [H, W, C] of one shape, one seed for each; the fits lie on the CPU.

    The published recipe, which is there for comparison, takes them in turn. `seconds` is each crop's share of
    the batch. Raises ValueError where a crop cannot be fitted, torch.OutOfMemoryError where the GPU does not
    hold so many.
    """
    targets = torch.stack([planar(crop) for crop in crops])
    chosen = make_recipe(recipe, iterations)
    began = time.perf_counter()
    stop = stop_at(target_psnr)
    if isinstance(chosen, FastRecipe):
        fitted = _fit_fast(targets, chosen, density, stop, snapshots, device)
    else:
        fitted = _fit_in_turn(targets, chosen, density, seeds, stop, snapshots, device)
    fields, starts, done, kept = zip(*fitted, strict=True)
    quality = _psnr_of_each(fields, targets, device)
    seconds = (time.perf_counter() - began) / len(fitted)
    looks = _snapshots(kept, targets, device)
    return [
        Fit(field, start, reached, iterations, seconds, look)
        for field, start, reached, iterations, look in zip(fields, starts, quality, done, looks, strict=True)
    ]


def _snapshots(kept: Sequence[Fields], targets: Tensor, device: str) -> list[tuple[Snapshot, ...]]:
    """The snapshots of each crop, from their fields."""
    looks: list[list[Snapshot]] = [[] for _ in kept]
    for at in sorted(set().union(*kept)):
        reached = [k for k, of_crop in enumerate(kept) if at in of_crop]
        fields = [kept[k][at] for k in reached]
        for k, field, quality in zip(
            reached, fields, _psnr_of_each(fields, targets[reached], device), strict=True
        ):
            looks[k].append(Snapshot(at, field, quality))
    return [tuple(look) for look in looks]


def off_lattice_psnrs(
    crops: Sequence[np.ndarray | Tensor],
    *,
    density: float,
    recipe: str,
    iterations: int | None = None,
    target_psnr: float | None = None,
    seeds: Sequence[int],
    device: str = "cuda",
) -> list[float]:
    """`fit.off_lattice_psnr` of crops of one shape, as `fit_images` takes them."""
    small, targets = zip(*(halved(crop) for crop in crops), strict=True)
    fits = fit_images(
        small,
        density=density,
        recipe=recipe,
        iterations=iterations,
        target_psnr=target_psnr,
        seeds=seeds,
        device=device,
    )
    return _psnr_of_each([fit.field.scale(2) for fit in fits], torch.stack(targets), device)


def _fit_fast(
    targets: Tensor,
    recipe: FastRecipe,
    density: float,
    stop: Stop | None,
    snapshots: Collection[int],
    device: str,
) -> Fitted:
    """A crop that has reached its PSNR is put aside as it is, and goes on for nothing with the others."""
    size, values = tuple(targets.shape[2:]), targets[0].numel()
    starts, spacings = zip(
        *(grid_start(target, density, recipe.start_sigma) for target in targets), strict=True
    )
    parameters = torch.stack(starts).to(device)
    first, second = torch.zeros_like(parameters), torch.zeros_like(parameters)
    targets, rates = targets.to(device), recipe.rates(spacings[0])
    kept: list[Fields] = [{0: field_of(start, size)} if 0 in snapshots else {} for start in starts]
    ended: dict[int, tuple[GaussianField, int]] = {}
    done = 0
    for end in block_ends(recipe.iterations, snapshots, CHECK_EVERY if stop else recipe.iterations):
        errors = gpu.fit(
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
        for crop, (row, error) in enumerate(zip(parameters.cpu(), errors[:, -1].tolist(), strict=True)):
            if crop in ended:
                continue
            field = field_of(row.clone(), size)
            if done in snapshots:
                kept[crop][done] = field
            if done == recipe.iterations or (stop and stop(decibels(error / values))):
                ended[crop] = (field, done)
        if len(ended) == len(starts):
            break
    return [
        (ended[crop][0], start[:2].T.clone(), ended[crop][1], kept[crop]) for crop, start in enumerate(starts)
    ]


def _fit_in_turn(
    targets: Tensor,
    recipe: GaussianImageRecipe,
    density: float,
    seeds: Sequence[int],
    stop: Stop | None,
    snapshots: Collection[int],
    device: str,
) -> Fitted:
    fitted = []
    for target, seed in zip(targets, seeds, strict=True):
        field, start, done, kept = fit_gaussianimage(
            target.to(device), recipe, density, seed, stop, snapshots
        )
        fitted.append((_on_cpu(field), start.cpu(), done, {at: _on_cpu(look) for at, look in kept.items()}))
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
