"""The numbers of each fitting recipe, and its schedule of learning rates.

Lengths are in grid spacings, 1 / sqrt(density), so that a recipe does the same at every density.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

RECIPES = ("fast", "lattice", "gaussianimage")
DEFAULT_DENSITY = 0.25
"""Gaussians per pixel: one per 2x2 pixels, the density of ContinuousSR at x4, the scale of its table."""


@dataclass(frozen=True)
class FastRecipe:
    """Recipe `fast`: grid initialisation, isotropic Gaussians, exact gradients, cautious Adam, three rates.

    Deterministic. Its numbers were found by `workflows/studies/fewer_iterations.py`, by PSNR on the fitted
    pixels and held-out-pixel PSNR, on smooth photographs as well as on detailed ones;
    `workflows/benchmarks/recipes.py` prints variants that lost.
    """

    iterations: int = 225
    """Adam steps, over which the schedule of rates extends."""
    start_sigma: float = 0.588
    """Initial standard deviation of every Gaussian, grid spacings."""
    min_sigma: float = 0.243
    """Smallest standard deviation along any direction, grid spacings. Narrower Gaussians fit between pixel
    centres: they raise PSNR on the fitted pixels and lower held-out-pixel PSNR."""
    rate_mean: float = 0.189
    """Peak learning rate of positions, grid spacings."""
    rate_shape: float = 0.089
    """Peak learning rate of the covariances' symmetric square roots, grid spacings."""
    rate_color: float = 0.043
    """Peak learning rate of colours."""
    warm_up: float = 0.018
    """Fraction of the iterations over which the rates rise, along half a period of a cosine."""
    final: float = 0.017
    """The final rates as a fraction of their peak, reached along half a period of a cosine."""
    beta1: float = 0.907
    beta2: float = 0.909
    epsilon: float = 2.9e-5
    """Adam's constants; epsilon in units of the gradient of half the summed squared error."""
    opposed: float = 0.0
    """Factor of the steps that the gradient opposes: 1 for Adam, 0 for cautious Adam (Liang et al. 2024,
    arXiv:2411.16085), which does not take them."""

    def rates(self, spacing: float) -> Tensor:
        """Return the learning rates of means (pixels), square roots (pixels) and colours.

        [iterations, 3] float32; `spacing` is the grid spacing in pixels.
        """
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
    """Recipe `gaussianimage`: GaussianImage's (Zhang et al. 2024), with the exact gradient; for comparison.

    Random initialisation; positions parametrised by tanh; Cholesky entries offset by (0.5, 0, 0.5) pixels;
    the loss is the mean squared error of the clamped image.
    """

    iterations: int = 50_000
    rate: float = 1e-3
    """Adan's learning rate of every parameter."""
    betas: tuple[float, float, float] = (0.98, 0.92, 0.99)
    halve_every: int = 20_000
    """Iterations after which the rate is halved."""
    cholesky_bound: tuple[float, float, float] = (0.5, 0.0, 0.5)
    """Offset of the Cholesky entries, in pixels instead of grid spacings, as in GaussianImage."""
    epsilon: float = 1e-8

    def rates(self) -> Tensor:
        """Return [iterations] float32: the learning rates."""
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
    epsilon=1e-4,
    opposed=1.0,
)
"""Highest PSNR on the fitted pixels in a given time, at the cost of held-out-pixel PSNR. For storing images
as Gaussians, and for comparison with `gaussianimage`, which is judged by the former; not for a prior."""

_NAMED: dict[str, Recipe] = {"fast": FastRecipe(), "lattice": LATTICE, "gaussianimage": GaussianImageRecipe()}


FAST_OF_0_1_0 = FastRecipe(
    iterations=300,
    start_sigma=0.6,
    min_sigma=0.2,
    rate_mean=0.15,
    rate_shape=0.05,
    rate_color=0.025,
    warm_up=0.05,
    final=0.02,
    beta1=0.8,
    beta2=0.95,
    epsilon=1e-4,
    opposed=1.0,
)
"""`fast` as it was in version 0.1.0: plain Adam."""

_FORMER: dict[str, tuple[Recipe, ...]] = {"fast": (FAST_OF_0_1_0,)}
"""What named recipes were in earlier versions, with which their stores go on."""


def former_recipe(name: str, recipe: Recipe) -> Recipe | None:
    """Return what the recipe `name` was in an earlier version if `recipe` has its numbers, else None.

    The iterations are those of that version.

    >>> former_recipe("fast", make_recipe("fast", 7)) is None
    True
    """
    for former in _FORMER.get(name, ()):
        if replace(recipe, iterations=former.iterations) == former:
            return former
    return None


def longest(name: str) -> int:
    """Return the most iterations that the recipe `name` has, or had in an earlier version."""
    return max(recipe.iterations for recipe in (_NAMED[name], *_FORMER.get(name, ())))


def make_recipe(recipe: str | Recipe, iterations: int | None = None) -> Recipe:
    """Return a recipe, given by its name or itself, with `iterations` in place of its own number if given.

    Raises ValueError for an unknown name or fewer than one iteration.

    >>> make_recipe("fast").iterations
    225
    """
    if isinstance(recipe, str):
        if recipe not in RECIPES:
            raise ValueError(f"unknown recipe {recipe!r}: choose one of {', '.join(RECIPES)}")
        recipe = _NAMED[recipe]
    if iterations is None:
        return recipe
    if iterations < 1:
        raise ValueError(f"iterations must be at least 1, got {iterations}")
    return replace(recipe, iterations=iterations)
