"""How a crop is fitted: the numbers of each recipe, and their schedules.

Lengths are in grid spacings, 1 / sqrt(density), so that a recipe means the same at every density.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

RECIPES = ("fast", "lattice", "gaussianimage")
DEFAULT_DENSITY = 0.25
"""Gaussians per pixel: one per 2x2 pixels, where the released dictionary's units agree with ours."""


@dataclass(frozen=True)
class FastRecipe:
    """Deterministic grid start, isotropic kernels, exact gradients, Adam with a rate per kind of parameter.

    The start, rates and floor were chosen by PSNR on and off the lattice, on smooth photographs as well as on
    Kodak's; `workflows/benchmarks/recipes.py` prints what was tried and lost.
    """

    iterations: int = 300
    """Adam steps; the schedule spans them."""
    start_sigma: float = 0.6
    """Standard deviation of every Gaussian at the start, grid spacings."""
    min_sigma: float = 0.2
    """Floor of the standard deviation along any direction, grid spacings. Narrower Gaussians slip between the
    pixels: they lift PSNR on the lattice and spoil the image between its samples."""
    rate_mean: float = 0.15
    """Peak learning rate of positions, grid spacings."""
    rate_shape: float = 0.05
    """Peak learning rate of the covariances' symmetric roots, grid spacings."""
    rate_color: float = 0.025
    """Peak learning rate of colours."""
    warm_up: float = 0.05
    """Fraction of the iterations over which the rates rise (half a cosine)."""
    final: float = 0.02
    """The rates at the end, as a fraction of their peak (half a cosine)."""
    beta1: float = 0.8
    beta2: float = 0.95
    epsilon: float = 1e-4
    """Adam's; epsilon in units of the gradient of half the summed squared error."""

    def rates(self, spacing: float) -> Tensor:
        """[iterations, 3] float32 learning rates of means (pixels), roots (pixels) and colours."""
        t = (np.arange(self.iterations) + 0.5) / self.iterations
        rise = 0.04 + 0.96 * 0.5 * (1 - np.cos(np.pi * t / self.warm_up))
        fall = self.final + (1 - self.final) * 0.5 * (
            1 + np.cos(np.pi * (t - self.warm_up) / (1 - self.warm_up))
        )
        shape = np.where(t < self.warm_up, rise, fall)
        peak = [self.rate_mean * spacing, self.rate_shape * spacing, self.rate_color]
        return torch.tensor(np.outer(shape, peak), dtype=torch.float32)


@dataclass(frozen=True)
class GaussianImageRecipe:
    """The published recipe (GaussianImage, Zhang et al. 2024), with the exact gradient; for comparison.

    Random start; positions through tanh; Cholesky entries offset by (0.5, 0, 0.5) pixels; MSE after clamping.
    """

    iterations: int = 50_000
    rate: float = 1e-3
    """Adan's learning rate, of every parameter."""
    betas: tuple[float, float, float] = (0.98, 0.92, 0.99)
    halve_every: int = 20_000
    """Iterations after which the rate is halved."""
    cholesky_bound: tuple[float, float, float] = (0.5, 0.0, 0.5)
    """Pixels, not grid spacings, as published."""
    epsilon: float = 1e-8

    def rates(self) -> Tensor:
        """[iterations] float32 learning rates."""
        halvings = np.arange(self.iterations) // self.halve_every
        return torch.tensor(self.rate * 0.5**halvings, dtype=torch.float32)


Recipe = FastRecipe | GaussianImageRecipe

LATTICE = FastRecipe(
    iterations=400,
    start_sigma=0.4,
    min_sigma=0.05,
    rate_mean=0.3,
    rate_shape=0.07,
    rate_color=0.02,
    warm_up=0.2,
    final=0.05,
    beta1=0.9,
    beta2=0.9,
)
"""The most PSNR on the fitted pixels for the time, whatever the field is between them: for images stored as
Gaussians, and beside `gaussianimage`, which is judged by nothing else. Not for a prior."""

_NAMED = {"fast": FastRecipe(), "lattice": LATTICE, "gaussianimage": GaussianImageRecipe()}


def make_recipe(name: str, iterations: int | None = None) -> Recipe:
    """The recipe of that name, with its own number of iterations unless one is given.

    Raises ValueError for an unknown name or fewer than one iteration.
    """
    if name not in RECIPES:
        raise ValueError(f"unknown recipe {name!r}: choose one of {', '.join(RECIPES)}")
    if iterations is None:
        return _NAMED[name]
    if iterations < 1:
        raise ValueError(f"iterations must be at least 1, got {iterations}")
    return replace(_NAMED[name], iterations=iterations)
