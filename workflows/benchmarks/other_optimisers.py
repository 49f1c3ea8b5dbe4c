"""Other ways to fit than the Adam of `fast`, on the same C++ code, for recipes.py.

Each takes a contiguous target [C, H, W] and returns a field with one row in its pixels' coordinates, at the
default density and from the start of `fast`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor

from dgp_mining.fitting.fast import field_of, grid_start
from dgp_mining.fitting.recipes import DEFAULT_DENSITY, FastRecipe
from splat2d import DEFAULT_CUTOFF, GaussianField
from splat2d.backends import cpu
from splat2d.matlab_imresize import imresize

RECIPE = FastRecipe()


def project_colours(field: GaussianField, target: Tensor, steps: int = 40) -> GaussianField:
    """Variable projection: the kernels' least-squares colours, by conjugate gradients."""
    means, cholesky, size = field.means, field.cholesky, tuple(target.shape[1:])

    def image(colors: Tensor) -> Tensor:
        return cpu.render(means, cholesky, colors.contiguous(), None, size, DEFAULT_CUTOFF)

    def transposed(pixels: Tensor) -> Tensor:
        return cpu.render_backward(pixels.contiguous(), means, cholesky, field.colors, None, DEFAULT_CUTOFF)[
            2
        ]

    def normal(colors: Tensor) -> Tensor:
        return transposed(image(colors))

    residual = transposed(target[None] - image(field.colors))
    return replace(field, colors=field.colors + conjugate_gradients(normal, residual, steps))


def conjugate_gradients(product: Callable[[Tensor], Tensor], right: Tensor, steps: int) -> Tensor:
    """Solve product(x) = right from zero in `steps` steps, for a symmetric positive `product`."""
    x, residual, direction = torch.zeros_like(right), right.clone(), right.clone()
    norm = residual.square().sum()
    for _ in range(steps):
        if norm == 0:
            break
        along = product(direction)
        length = norm / (direction * along).sum()
        x += length * direction
        residual -= length * along
        before, norm = norm, residual.square().sum()
        direction = residual + norm / before * direction
    return x


class Descent:
    """A fit with `fast` that can be paused and changed: its parameters [5 + C, N] and Adam's moments."""

    def __init__(self, target: Tensor, recipe: FastRecipe = RECIPE) -> None:
        self.target, self.recipe, self.done = target, recipe, 0
        self.parameters, self.spacing = grid_start(target, DEFAULT_DENSITY, recipe.start_sigma)
        self.first, self.second = (torch.zeros_like(self.parameters) for _ in range(2))
        self.rates = recipe.rates(self.spacing)

    @property
    def field(self) -> GaussianField:
        return field_of(self.parameters.clone(), tuple(self.target.shape[1:]))

    def run(self, end: int, target: Tensor | None = None) -> None:
        """Iterate until `end` iterations are done, towards another target if one is given."""
        cpu.fit_fast(
            self.target if target is None else target,
            *(self.parameters, self.first, self.second, self.rates[self.done : end].contiguous()),
            start=self.done,
            cutoff=DEFAULT_CUTOFF,
            min_sigma=self.recipe.min_sigma * self.spacing,
            betas=(self.recipe.beta1, self.recipe.beta2),
            epsilon=self.recipe.epsilon,
            opposed=self.recipe.opposed,
        )
        self.done = end

    def set_colours(self, colors: Tensor) -> None:  # [1, N, C]
        self.parameters[5:] = colors[0].T


def colours_solved(target: Tensor, every: int | None = None) -> GaussianField:
    """Fit with `fast`, solving for the colours at the start and, if given, after `every` iterations again."""
    descent = Descent(target)
    end = RECIPE.iterations
    for stop in (*range(every or end, end, every or end), end):
        descent.set_colours(project_colours(descent.field, target, steps=10).colors)
        descent.run(stop)
    return descent.field


def relocated(target: Tensor, share: float = 0.02, at: tuple[int, ...] = (60, 100, 140)) -> GaussianField:
    """Fit with `fast`, moving the faintest `share` of Gaussians to the largest errors at the iterations `at`.

    The faintest have the least |colour| times area. A moved one is round and of the initial size, takes half
    the error as its colour, and has its moments in Adam reset to zero.
    """
    descent = Descent(target)
    p = descent.parameters
    count = max(1, round(share * p.shape[1]))
    for stop in at:
        descent.run(stop)
        field = descent.field
        error = target - field.render()[0]
        weight = field.colors[0].norm(dim=1) * field.cholesky[0, :, 0] * field.cholesky[0, :, 2]
        faint = weight.argsort()[:count]
        # One Gaussian per neighbourhood: at the peaks of the smoothed error.
        smooth = torch.nn.functional.avg_pool2d(error.square().sum(0)[None], 3, 1, padding=1)
        peaks = torch.where(torch.nn.functional.max_pool2d(smooth, 5, 1, padding=2) == smooth, smooth, 0)
        place = peaks.flatten().argsort(descending=True)[:count]
        rows, columns = place // target.shape[2], place % target.shape[2]
        size = RECIPE.start_sigma * descent.spacing
        fresh = torch.zeros(p.shape[0], count)
        fresh[0], fresh[1], fresh[2], fresh[4] = columns + 0.5, rows + 0.5, size, size
        fresh[5:] = error[:, rows, columns] / 2
        p[:, faint] = fresh
        descent.first[:, faint] = descent.second[:, faint] = 0
    descent.run(RECIPE.iterations)
    return descent.field


def shifted(target: Tensor, of: int = 2) -> GaussianField:
    """Fit with `fast` to the pixels in every `of`-th iteration only, and otherwise to bicubic interpolation
    between them, shifted by a quarter of a pixel, in four directions in turn."""
    descent = Descent(target)
    double = imresize(target, scale=2)
    for iteration in range(RECIPE.iterations):
        turn, phase = divmod(iteration, of)
        if phase == 0:
            descent.run(iteration + 1)
            continue
        row, column = divmod(turn % 4, 2)
        aside = torch.tensor([[column], [row]]) * 0.5 - 0.25
        descent.parameters[:2] -= aside
        descent.run(iteration + 1, double[:, row::2, column::2].contiguous())
        descent.parameters[:2] += aside
    return descent.field


def levenberg_marquardt(target: Tensor, passes: int = 300, inner: int = 12) -> GaussianField:
    """Fit by damped Gauss-Newton steps of `inner` conjugate gradients, at the cost of `passes` iterations.

    The preconditioner has one block per Gaussian, that of an isolated round one. With A its |colour|^2 and s
    its width, the integrals of its squared derivatives are pi A / 2 for the mean and l21, 3 pi A / 4 for l11
    and l22, and pi s^2 for colours.
    """
    start = Descent(target).field
    size, n, channels = tuple(target.shape[1:]), start.means.shape[1], target.shape[0]
    x = torch.cat([start.means, start.cholesky, start.colors], -1)
    floor = RECIPE.min_sigma * math.sqrt(target[0].numel() / n)
    widths = (2, 3, channels)

    def image(x: Tensor) -> Tensor:
        parts = (part.contiguous() for part in x.split(widths, -1))
        return cpu.render(*parts, None, size, DEFAULT_CUTOFF)

    def transposed(x: Tensor, pixels: Tensor) -> Tensor:
        parts = (part.contiguous() for part in x.split(widths, -1))
        return torch.cat(cpu.render_backward(pixels.contiguous(), *parts, None, DEFAULT_CUTOFF), -1)

    def product(x: Tensor, drawn: Tensor, scale: Tensor, damping: float, v: Tensor) -> Tensor:
        """Multiply the damped normal matrix by v; the image's derivative along v is a finite difference."""
        step = 1e-2 / (v * scale).abs().max().clamp(min=1e-12)
        along = (image(x + step * scale * v) - drawn) / step
        return scale * transposed(x, along) + damping * v

    per_strength = torch.tensor([0.5, 0.5, 0.75, 0.5, 0.75])
    residual, damping = image(x) - target, 1.0
    error, used = residual.square().sum(), 1
    while used + inner + 1 <= passes:
        strength = x[..., 5:].square().sum(-1, keepdim=True).clamp(min=1e-3)
        area = x[..., 2:3] * x[..., 4:5]
        block = torch.cat([strength * per_strength, area.expand(1, n, channels)], -1) * math.pi
        scale = block.rsqrt()
        trial = x + scale * conjugate_gradients(
            partial(product, x, residual + target, scale, damping), -scale * transposed(x, residual), inner
        )
        trial[..., 2:5:2] = trial[..., 2:5:2].clamp(min=floor)
        attempt = image(trial) - target
        used += inner + 1
        if attempt.square().sum() < error:
            x, residual, error, damping = trial, attempt, attempt.square().sum(), damping / 1.5
        else:
            damping *= 2
    return GaussianField(*(part.contiguous() for part in x.split(widths, -1)), size=size)


def sharpened(field: GaussianField) -> GaussianField:
    """Return the field at x2, with the footprint of the fitted pixels replaced by that of the new ones.

    A pixel's footprint has a variance of 1/12 of its squared side along each axis. In the new pixels that is
    4/12 for the fitted ones and 1/12 for the new, so covariances lose 1/4. Fitting with the pixel's footprint
    is a usual fit with a floor under the width, followed by this.
    """
    return field.scale(2).widen(-0.25, -0.25)
