"""The recipe `gaussianimage`: GaussianImage (Zhang et al. 2024), with random initialisation and Adan.

Each iteration is fused code (`fit_gaussianimage` of splat2d's backends); `iterate` does the same in torch,
with automatic differentiation instead of hand-written gradients.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from splat2d import DEFAULT_CUTOFF, GaussianField, backend, render
from splat2d.backends import cpu, cuda

from .loop import crop_by_crop
from .recipes import GaussianImageRecipe

NARROWEST = 1e-3
"""Smallest absolute value of the Cholesky factor's diagonal, in pixels (src/shared/gaussianimage_step.h)."""


class GaussianImageRun:
    """A batch of crops being fitted with recipe `gaussianimage`; implements `loop.Run`."""

    def __init__(
        self, targets: Tensor, recipe: GaussianImageRecipe, density: float, seeds: Sequence[int]
    ) -> None:
        """Initialise the fits of `targets` [B, C, H, W] at random, one seed for each, on their device."""
        starts = [random_start(target, density, seed) for target, seed in zip(targets, seeds, strict=True)]
        self.targets, self.recipe = targets, recipe
        self.parameters = torch.stack(starts).to(targets.device)  # [B, 5 + C, N]
        self.state = self.parameters.new_zeros(len(starts), 4, *self.parameters.shape[1:])
        self.rates = recipe.rates()
        self.fit = crop_by_crop(cpu.fit_gaussianimage if backend() == "cpu" else iterate)
        if targets.is_cuda:
            self.fit = cuda.fit_gaussianimage

    def advance(self, begin: int, end: int) -> Tensor:  # [B, end - begin]
        """Run iterations `begin` to `end`; return the summed squared error before each."""
        return self.fit(
            self.targets,
            self.parameters,
            self.state,
            rates=self.rates[begin:end].contiguous(),
            start=begin,
            cutoff=DEFAULT_CUTOFF,
            bound=self.recipe.cholesky_bound,
            betas=self.recipe.betas,
            epsilon=self.recipe.epsilon,
        )

    def field(self, crop: int) -> GaussianField:
        """Return a copy of the current field (B = 1) of one crop, on the CPU."""
        height, width = self.targets.shape[2:]
        parameters = self.parameters[crop].to("cpu", copy=True)
        return field_of(parameters, self.recipe.cholesky_bound, (height, width))


def random_start(target: Tensor, density: float, seed: int) -> Tensor:  # [5 + C, N]
    """Draw parameters for a target [C, H, W]: positions uniform over it, the others uniform in [0, 1].

    The Gaussians are sorted by bands of four pixel rows and along these, so that neighbours in memory are
    neighbours in the image, which suits caches. Their order has no meaning.
    """
    channels, height, width = target.shape
    n = max(1, round(density * height * width))
    generator = torch.Generator().manual_seed(seed)
    position = torch.rand(n, 2, generator=generator)
    rest = torch.rand(n, 3 + channels, generator=generator)
    x, y = position.unbind(1)
    order = torch.argsort((y * height / 4).floor() + x, stable=True)
    # In double precision, as in `field_of`: torch's float32 rounding of these depends on the instruction set.
    p = torch.atanh(2 * position.double() - 1).float()
    return torch.cat([p, rest], 1)[order].T.contiguous()


def field_of(parameters: Tensor, bound: tuple[float, float, float], size: tuple[int, int]) -> GaussianField:
    """Return the field (B = 1) of parameters [5 + C, N]; differentiable."""
    extent = parameters.new_tensor([size[1], size[0]])
    means = torch.sigmoid(2 * parameters[:2].T.double()).float() * extent
    l11, l21, l22 = (parameters[2:5].T + parameters.new_tensor(bound)).unbind(-1)
    # Entries may become negative; the sign of a column does not change the covariance.
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
    """Do what `splat2d.backends.cpu.fit_gaussianimage` does, with its arguments, in torch."""
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
    """Take step number `count` of Adan (Xie et al. 2022, Algorithm 1) in place, without decay or restarts.

    `state` [4, ...] stacks momentum, change, second moment and the previous gradient.
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
