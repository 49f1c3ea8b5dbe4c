"""Fitting many crops at once on a GPU: what `dgp_mining.fitting.fit` does to one, with the same results.

The kernels give the bits of the CPU's, and everything around them is done on the CPU, crop by crop: so a
recipe leads to the same field on either, whatever else is in the batch.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from splat2d import DEFAULT_CUTOFF, GaussianField, render
from splat2d.backends import cuda

from . import gaussianimage
from .fast import field_of, grid_start
from .fit import Fit, Snapshot
from .loop import CHECK_EVERY, Fields, Stop, block_ends, stop_at
from .recipes import FastRecipe, GaussianImageRecipe, make_recipe
from .target import decibels, halved, planar, psnr


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

    `seconds` is each crop's share of the batch. Raises ValueError where a crop cannot be fitted,
    torch.OutOfMemoryError where the GPU does not hold so many.
    """
    targets = torch.stack([planar(crop) for crop in crops])
    chosen = make_recipe(recipe, iterations)
    began = time.perf_counter()
    prepare = _fast if isinstance(chosen, FastRecipe) else _published
    run = prepare(targets, chosen, density, seeds, device)
    fields, done, kept = _iterate(run, targets[0].numel(), chosen.iterations, stop_at(target_psnr), snapshots)
    quality = _psnr_of_each(fields, targets, device)
    seconds = (time.perf_counter() - began) / len(fields)
    looks = _snapshots(kept, targets, device)
    return [
        Fit(field, start, reached, iterations, seconds, look)
        for field, start, reached, iterations, look in zip(
            fields, run.starts, quality, done, looks, strict=True
        )
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
    """`fit.held_out_psnr` of crops of one shape, as `fit_images` takes them."""
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


@dataclass(frozen=True)
class _Run:
    """A recipe at work on a batch of crops."""

    starts: list[Tensor]
    """[N, 2] means of each crop, on the CPU."""
    parameters: Tensor
    """[B, 5 + C, N], what is optimised, on the GPU."""
    look: Callable[[Tensor], GaussianField]
    """The field that one crop's parameters stand for, on the CPU."""
    advance: Callable[[int, int], Tensor]
    """Iterations from one number to another; the squared errors before each, [B, iterations]."""


def _fast(targets: Tensor, recipe: FastRecipe, density: float, seeds: Sequence[int], device: str) -> _Run:
    size = tuple(targets.shape[2:])
    starts, spacings = zip(
        *(grid_start(target, density, recipe.start_sigma) for target in targets), strict=True
    )
    parameters = torch.stack(starts).to(device)
    first, second = torch.zeros_like(parameters), torch.zeros_like(parameters)
    goal, rates = targets.to(device), recipe.rates(spacings[0])

    def advance(begin: int, end: int) -> Tensor:
        return cuda.fit_fast(
            goal,
            parameters,
            first,
            second,
            rates[begin:end].contiguous(),
            start=begin,
            cutoff=DEFAULT_CUTOFF,
            min_sigma=recipe.min_sigma * spacings[0],
            betas=(recipe.beta1, recipe.beta2),
            epsilon=recipe.epsilon,
        )

    means = [start[:2].T.clone() for start in starts]
    return _Run(means, parameters, lambda row: field_of(row, size), advance)


def _published(
    targets: Tensor, recipe: GaussianImageRecipe, density: float, seeds: Sequence[int], device: str
) -> _Run:
    size = tuple(targets.shape[2:])
    starts = [
        gaussianimage.random_start(target, density, seed) for target, seed in zip(targets, seeds, strict=True)
    ]
    parameters = torch.stack(starts).to(device)
    state = parameters.new_zeros(len(starts), 4, *parameters.shape[1:])
    goal, rates = targets.to(device), recipe.rates()

    def look(row: Tensor) -> GaussianField:
        return gaussianimage.field_of(row, recipe.cholesky_bound, size)

    def advance(begin: int, end: int) -> Tensor:
        return cuda.fit_gaussianimage(
            goal,
            parameters,
            state,
            rates[begin:end].contiguous(),
            start=begin,
            cutoff=DEFAULT_CUTOFF,
            bound=recipe.cholesky_bound,
            betas=recipe.betas,
            epsilon=recipe.epsilon,
        )

    return _Run([look(start).means[0] for start in starts], parameters, look, advance)


def _iterate(
    run: _Run, values: int, iterations: int, stop: Stop | None, snapshots: Collection[int]
) -> tuple[list[GaussianField], list[int], list[Fields]]:
    """The field of each crop, of so many `values`, the iterations done, and its snapshots.

    A crop that has gone far enough is put aside as it is, and goes on for nothing with the others.
    """
    crops = range(len(run.parameters))
    kept: list[Fields] = [{} for _ in crops]
    if 0 in snapshots:
        kept = [{0: run.look(row)} for row in run.parameters.cpu()]
    ended: dict[int, tuple[GaussianField, int]] = {}
    done = 0
    for end in block_ends(iterations, snapshots, CHECK_EVERY if stop else iterations):
        errors = run.advance(done, end)[:, -1].tolist()
        done = end
        for crop, row in enumerate(run.parameters.cpu()):
            if crop in ended:
                continue
            field = run.look(row.clone())
            if done in snapshots:
                kept[crop][done] = field
            if done == iterations or (stop and stop(decibels(errors[crop] / values))):
                ended[crop] = (field, done)
        if len(ended) == len(crops):
            break
    return [ended[crop][0] for crop in crops], [ended[crop][1] for crop in crops], kept


def _psnr_of_each(fields: Sequence[GaussianField], targets: Tensor, device: str) -> list[float]:
    """dB of each field rendered at the size of its target; summed on the CPU, so in one order always."""
    tensors = (
        torch.cat([getattr(field, name) for field in fields]).to(device)
        for name in ("means", "cholesky", "colors")
    )
    images = render(*tensors, tuple(targets.shape[2:])).cpu()
    return [psnr(image, target) for image, target in zip(images, targets, strict=True)]
