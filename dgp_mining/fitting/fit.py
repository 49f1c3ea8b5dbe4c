"""Fitting a field of 2D Gaussians to a crop: `fit_image`, and how well the field stands for the image."""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from splat2d import GaussianField

from .fast import _fit_fast
from .gaussianimage import _fit_gaussianimage
from .loop import stop_at
from .recipes import DEFAULT_DENSITY, FastRecipe, Recipe, make_recipe
from .target import halved, planar, psnr


@dataclass(frozen=True)
class Snapshot:
    """A crop half fitted."""

    iterations: int
    """Iterations done; 0: the start."""
    field: GaussianField
    """As of a `Fit`."""
    psnr: float
    """As of a `Fit`."""


@dataclass(frozen=True)
class Fit:
    """A fitted crop."""

    field: GaussianField
    """One field (B = 1) in the crop's pixel coordinates."""
    start: Tensor
    """[N, 2] float32 means at the start, pixels."""
    psnr: float
    """dB on the fitted pixels, the rendering clamped to [0, 1] and not rounded."""
    iterations: int
    """Iterations done: fewer than the recipe's where `target_psnr` was reached."""
    seconds: float
    """Wall time."""
    snapshots: tuple[Snapshot, ...] = ()
    """By the way, where they were asked for and reached, in order."""


def fit_image(
    pixels: np.ndarray | Tensor,
    *,
    density: float = DEFAULT_DENSITY,
    recipe: str | Recipe = "fast",
    iterations: int | None = None,
    target_psnr: float | None = None,
    seed: int = 0,
    snapshots: Collection[int] = (),
) -> Fit:
    """Fit 2D Gaussians to an image, on the calling thread.

    Args:
        pixels: [H, W, C] float, sRGB values in [0, 1], C from 1 to 8.
        density: Gaussians per pixel; `fast` puts them on the largest grid with no more than that.
        recipe: "fast", "lattice" (for the fitted pixels alone), "gaussianimage" (the published one, for
            comparison), or one with your own numbers.
        iterations: default the named recipe's: 300, 400 or 50,000.
        target_psnr: stop once PSNR on the fitted pixels reaches this, dB.
        seed: of the random start of "gaussianimage"; the others have nothing random.
        snapshots: iterations to keep the field of; they change nothing else.

    Raises ValueError where an argument is out of range. The same arguments give the same bits.
    """
    target = planar(pixels)
    if not 0 < density <= 4:
        raise ValueError(f"density must be above 0 and at most 4 Gaussians per pixel, got {density}")
    chosen = make_recipe(recipe, iterations) if isinstance(recipe, str) else recipe
    began = time.perf_counter()
    stop = stop_at(target_psnr)
    run = _fit_fast if isinstance(chosen, FastRecipe) else _fit_gaussianimage
    field, start, done, kept = run(target, chosen, density, seed, stop, snapshots)
    seconds, quality = time.perf_counter() - began, psnr(field.render()[0], target)
    looks = tuple(Snapshot(at, look, psnr(look.render()[0], target)) for at, look in kept.items())
    return Fit(field, start, quality, done, seconds, looks)


def held_out_psnr(
    pixels: np.ndarray | Tensor,
    *,
    density: float = DEFAULT_DENSITY,
    recipe: str | Recipe = "fast",
    iterations: int | None = None,
    target_psnr: float | None = None,
    seed: int = 0,
) -> float:
    """How well fits of this kind stand for the image between its pixels, dB.

    Fits the x2-downsampled crop (MATLAB bicubic), renders the field at x2 and compares with the pixels that
    the fit never saw. Odd rows and columns at the end are left out.
    """
    small, target = halved(pixels)
    fit = fit_image(
        small, density=density, recipe=recipe, iterations=iterations, target_psnr=target_psnr, seed=seed
    )
    return psnr(fit.field.render(target.shape[1:])[0], target)
