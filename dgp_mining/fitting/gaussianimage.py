"""The published recipe, GaussianImage (Zhang et al. 2024): its start, its field, and its iterations in torch.

Fits run fused kernels (`fit_gaussianimage` of splat2d's backends); `iterate` does the same
without them, and with automatic differentiation instead of formulas written by hand.
"""

from __future__ import annotations

from collections.abc import Collection

import torch
from torch import Tensor

from splat2d import DEFAULT_CUTOFF, GaussianField, backend, render
from splat2d.backends import cpu

from . import gaussianimage as published
from .loop import Fields, Stop, _iterate
from .recipes import GaussianImageRecipe

NARROWEST = 1e-3
"""Pixels: the Cholesky factor's diagonal keeps this distance from zero (src/shared/gaussianimage_step.h)."""


def random_start(target: Tensor, density: float, seed: int) -> Tensor:  # [5 + C, N]
    """Parameters for a target [C, H, W]: positions uniform over it, all else uniform in [0, 1].

    In the order of rows of four pixels, and along them: neighbours in memory are neighbours in the image,
    which the kernels' caches like. Which Gaussian has which number means nothing.
    """
    channels, height, width = target.shape
    n = max(1, round(density * height * width))
    generator = torch.Generator().manual_seed(seed)
    position = torch.rand(n, 2, generator=generator)
    rest = torch.rand(n, 3 + channels, generator=generator)
    x, y = position.unbind(1)
    order = torch.argsort((y * height / 4).floor() + x, stable=True)
    # In double precision, as in `field_of`: how torch rounds these functions hangs on the instruction set.
    p = torch.atanh(2 * position.double() - 1).float()
    return torch.cat([p, rest], 1)[order].T.contiguous()


def field_of(parameters: Tensor, bound: tuple[float, float, float], size: tuple[int, int]) -> GaussianField:
    """The field of one row that parameters [5 + C, N] stand for; differentiable."""
    extent = parameters.new_tensor([size[1], size[0]])
    means = torch.sigmoid(2 * parameters[:2].T.double()).float() * extent
    l11, l21, l22 = (parameters[2:5].T + parameters.new_tensor(bound)).unbind(-1)
    # The entries may turn negative; a column's sign does not change the covariance.
    sign = torch.where(l11 < 0, -1.0, 1.0)
    cholesky = torch.stack([l11.abs().clamp(min=NARROWEST), l21 * sign, l22.abs().clamp(min=NARROWEST)], -1)
    return GaussianField(means[None], cholesky[None], parameters[5:].T[None].clone(), size=size)


def iterate(
    target: Tensor,
    parameters: Tensor,
    state: Tensor,
    rates: Tensor,
    *,
    start: int,
    cutoff: float,
    bound: tuple[float, float, float],
    betas: tuple[float, float, float],
    epsilon: float,
) -> Tensor:
    """As `splat2d.backends.cpu.fit_gaussianimage`, which says what the arguments are."""
    size = (target.shape[1], target.shape[2])
    losses = torch.empty(len(rates), dtype=torch.float64)
    for step, rate in enumerate(rates.tolist()):
        leaf = parameters.detach().requires_grad_()
        field = field_of(leaf, bound, size)
        image = render(field.means, field.cholesky, field.colors, size, cutoff=cutoff)[0]
        squares = (image.clamp(0, 1) - target).square()
        losses[step] = squares.detach().sum(dtype=torch.float64)
        (gradient,) = torch.autograd.grad(squares.mean(), leaf)
        adan_step(parameters, state, gradient, rate, start + step + 1, betas, epsilon)
    return losses


def adan_step(
    parameters: Tensor,
    state: Tensor,
    gradient: Tensor,
    rate: float,
    count: int,
    betas: tuple[float, float, float],
    epsilon: float,
) -> None:
    """Step number `count` of Adan, adaptive Nesterov momentum, in place (Xie et al. 2022, Algorithm 1).

    No weight decay or restarts. `state` stacks momentum, change, second moment and the gradient before.
    """
    momentum, change, second, previous = state
    b1, b2, b3 = betas
    difference = gradient - previous if count > 1 else torch.zeros_like(gradient)
    previous.copy_(gradient)
    momentum.lerp_(gradient, 1 - b1)
    change.lerp_(difference, 1 - b2)
    second.lerp_((gradient + b2 * difference).square_(), 1 - b3)
    c1, c2, c3 = (1 - beta**count for beta in betas)
    denominator = (second / c3).sqrt_().add_(epsilon)
    parameters.addcdiv_(momentum / c1 + change * (b2 / c2), denominator, value=-rate)


def _fit_gaussianimage(
    target: Tensor,
    recipe: GaussianImageRecipe,
    density: float,
    seed: int,
    stop: Stop | None,
    snapshots: Collection[int],
) -> tuple[GaussianField, Tensor, int, Fields]:
    size = (target.shape[1], target.shape[2])
    parameters = published.random_start(target, density, seed)
    state = parameters.new_zeros(4, *parameters.shape)
    rates = recipe.rates()
    run = cpu.fit_gaussianimage if backend() == "cpu" else published.iterate

    def look() -> GaussianField:
        return published.field_of(parameters, recipe.cholesky_bound, size)

    def advance(begin: int, end: int) -> Tensor:
        return run(
            target,
            parameters,
            state,
            rates[begin:end].contiguous(),
            start=begin,
            cutoff=DEFAULT_CUTOFF,
            bound=recipe.cholesky_bound,
            betas=recipe.betas,
            epsilon=recipe.epsilon,
        )

    start = look().means[0]
    done, kept = _iterate(advance, look, target.numel(), recipe.iterations, stop, snapshots)
    return look(), start, done, kept
