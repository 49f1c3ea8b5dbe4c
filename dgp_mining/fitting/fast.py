"""The recipe `fast`: a grid of isotropic Gaussians, optimised with Adam as symmetric square roots.

Recipe `lattice` is the same with other numbers. Each iteration is fused code (`fit_fast` of splat2d's
backends).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from splat2d import DEFAULT_CUTOFF, GaussianField, backend
from splat2d.backends import cpu, cuda, fallback
from splat2d.rounding import exact_sqrt

from .loop import crop_by_crop
from .recipes import FastRecipe


class FastRun:
    """A batch of crops being fitted with recipe `fast`; implements `loop.Run`."""

    def __init__(self, targets: Tensor, recipe: FastRecipe, density: float) -> None:
        """Initialise the fits of `targets` [B, C, H, W], on their device."""
        starts, spacings = zip(
            *(grid_start(target, density, recipe.start_sigma) for target in targets.cpu()), strict=True
        )
        self.targets, self.recipe, self.spacing = targets, recipe, spacings[0]
        self.parameters = torch.stack(starts).to(targets.device)  # [B, 5 + C, N]
        self.first_moment = torch.zeros_like(self.parameters)
        self.second_moment = torch.zeros_like(self.parameters)
        self.rates = recipe.rates(self.spacing)
        self.fit = crop_by_crop(cpu.fit_fast if backend() == "cpu" else fallback.fit_fast)
        if targets.is_cuda:
            self.fit = cuda.fit_fast

    def advance(self, begin: int, end: int) -> Tensor:  # [B, end - begin]
        """Run iterations `begin` to `end`; return the summed squared error before each."""
        return self.fit(
            self.targets,
            self.parameters,
            self.first_moment,
            self.second_moment,
            rates=self.rates[begin:end].contiguous(),
            start=begin,
            cutoff=DEFAULT_CUTOFF,
            min_sigma=self.recipe.min_sigma * self.spacing,
            betas=(self.recipe.beta1, self.recipe.beta2),
            epsilon=self.recipe.epsilon,
            opposed=self.recipe.opposed,
        )

    def field(self, crop: int) -> GaussianField:
        """Return a copy of the current field (B = 1) of one crop, on the CPU."""
        height, width = self.targets.shape[2:]
        return field_of(self.parameters[crop].to("cpu", copy=True), (height, width))


def grid_start(target: Tensor, density: float, sigma: float) -> tuple[Tensor, float]:
    """Return the initial parameters [5 + C, N] of `fast`, and the grid spacing in pixels.

    Isotropic Gaussians of `sigma` spacings at the centres of a grid's cells, coloured by the means of the
    cells of `target` [C, H, W].

    Every step treats x and y alike, and left and right. Colours are divided by the sum of the Gaussians'
    weights at a point, 2 pi sigma^2 with sigma in spacings, so that a uniform image starts uniform.
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


def field_of(parameters: Tensor, size: tuple[int, int]) -> GaussianField:
    """Return the field (B = 1) of parameters [5 + C, N]: means, symmetric square roots and colours."""
    rows = (parameters[:2].T, cholesky_from_square_root(parameters[2:5].T), parameters[5:].T)
    means, cholesky, colors = (tensor[None].contiguous() for tensor in rows)
    return GaussianField(means, cholesky, colors, size=size)


def cholesky_from_square_root(root: Tensor) -> Tensor:
    """Convert symmetric square roots (r_xx, r_xy, r_yy) to (l11, l21, l22) of R R; both are [..., 3].

    In float32, unlike `dgp_mining.covariance`, and with the same bits on every machine.
    """
    a, b, c = root.unbind(-1)
    l11 = exact_sqrt(a * a + b * b)
    return torch.stack([l11, b * (a + c) / l11, (a * c - b * b) / l11], -1)
