"""The recipe `fast`: a grid of isotropic Gaussians, optimised with Adam as symmetric square roots."""

from __future__ import annotations

import math
from collections.abc import Collection

import torch
from torch import Tensor

from splat2d import DEFAULT_CUTOFF, GaussianField, backend
from splat2d.backends import cpu, fallback

from .loop import Fields, Stop, _iterate
from .recipes import FastRecipe


def _fit_fast(
    target: Tensor,
    recipe: FastRecipe,
    density: float,
    seed: int,
    stop: Stop | None,
    snapshots: Collection[int],
) -> tuple[GaussianField, Tensor, int, Fields]:
    size = tuple(target.shape[1:])
    parameters, spacing = grid_start(target, density, recipe.start_sigma)
    start = parameters[:2].T.clone()
    first, second = torch.zeros_like(parameters), torch.zeros_like(parameters)
    rates = recipe.rates(spacing)
    run = cpu.fit_fast if backend() == "cpu" else fallback.fit_fast

    def look() -> GaussianField:
        return field_of(parameters.clone(), size)

    def advance(begin: int, end: int) -> Tensor:
        return run(
            target,
            parameters,
            first,
            second,
            rates[begin:end].contiguous(),
            start=begin,
            cutoff=DEFAULT_CUTOFF,
            min_sigma=recipe.min_sigma * spacing,
            betas=(recipe.beta1, recipe.beta2),
            epsilon=recipe.epsilon,
        )

    done, kept = _iterate(advance, look, target.numel(), recipe.iterations, stop, snapshots)
    return look(), start, done, kept


def field_of(parameters: Tensor, size: tuple[int, int]) -> GaussianField:
    """[5 + C, N] means, symmetric roots and colours, as `fast` optimises them -> the field of one row."""
    means, cholesky, colors = parameters[:2].T, cholesky_of_root(parameters[2:5].T), parameters[5:].T
    return GaussianField(*(t[None].contiguous() for t in (means, cholesky, colors)), size=size)


def grid_start(target: Tensor, density: float, sigma: float) -> tuple[Tensor, float]:
    """The parameters [5 + C, N] that `fast` starts from, and the grid spacing in pixels: isotropic Gaussians
    of `sigma` spacings at the centres of a grid's cells, coloured by the cells' means.

    Every step treats x and y, and left and right, alike. Colours are divided by the sum of the kernels at a
    point, 2 pi sigma^2 with sigma in spacings, so that a flat image starts flat.
    """
    channels, height, width = target.shape
    columns, rows = (max(1, int(extent * math.sqrt(density) + 1e-9)) for extent in (width, height))
    spacing = math.sqrt(height * width / (rows * columns))
    y = (torch.arange(rows) + 0.5) * (height / rows)
    x = (torch.arange(columns) + 0.5) * (width / columns)
    grid_y, grid_x = torch.meshgrid(y, x, indexing="ij")
    cells = torch.nn.functional.adaptive_avg_pool2d(target[None], (rows, columns))[0]
    root = torch.tensor([sigma * spacing, 0.0, sigma * spacing])[:, None].expand(3, rows * columns)
    colors = cells.reshape(channels, -1) / (2 * math.pi * sigma**2)
    return torch.cat([grid_x.reshape(1, -1), grid_y.reshape(1, -1), root, colors]).contiguous(), spacing


def cholesky_of_root(root: Tensor) -> Tensor:
    """[..., 3] symmetric roots (a, b, c) -> [..., 3] Cholesky entries (l11, l21, l22) of their squares."""
    a, b, c = root.unbind(-1)
    l11 = torch.sqrt(a * a + b * b)
    return torch.stack([l11, b * (a + c) / l11, (a * c - b * b) / l11], -1)
