"""Fitting a field of 2D Gaussians to a crop, `fit_image`, and judging such fits, `held_out_psnr`."""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from splat2d import GaussianField

from .fast import FastRun
from .gaussianimage import GaussianImageRun
from .loop import Run, optimise
from .recipes import DEFAULT_DENSITY, FastRecipe, Recipe, make_recipe
from .target import channels_first, held_out_pair, psnr, psnr_of_each


@dataclass(frozen=True)
class Snapshot:
    """An intermediate result of a fit."""

    iterations: int
    """Iterations done; 0 is the start."""
    field: GaussianField
    """One field (B = 1) in the crop's pixel coordinates."""
    psnr: float
    """PSNR on the fitted pixels, dB; the rendering is clamped to [0, 1] but not rounded."""


@dataclass(frozen=True)
class Fit:
    """A fitted crop."""

    field: GaussianField
    """One field (B = 1) in the crop's pixel coordinates."""
    start: Tensor
    """[N, 2] float32 means at the start, pixels."""
    psnr: float
    """PSNR on the fitted pixels, dB; the rendering is clamped to [0, 1] but not rounded."""
    iterations: int
    """Iterations done: fewer than the recipe's if `target_psnr` was reached."""
    seconds: float
    """Wall time, s."""
    snapshots: tuple[Snapshot, ...] = ()
    """Intermediate results at the requested iterations that were reached, in order."""


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
    """Fit 2D Gaussians to an image, on the CPU and the calling thread.

    Args:
        pixels: [H, W, C] float, sRGB values in [0, 1], C from 1 to 8. Integers are refused: divide those of 8
            bits by 255, those of 16 by 65,535.
        density: Gaussians per pixel, above 0 and at most 4; `fast` and `lattice` round down to a full grid.
        recipe: "fast", "lattice" (highest PSNR on the fitted pixels, not for a prior), "gaussianimage"
            (GaussianImage's, for comparison), or a recipe object with your own numbers.
        iterations: default: the recipe's own: 225, 400 or 50,000 of the named ones.
        target_psnr: stop as soon as PSNR on the fitted pixels reaches this, dB.
        seed: seed of the random initialisation of "gaussianimage"; the other recipes are deterministic.
        snapshots: iterations at which to keep the field as well; they do not change the fit.

    Returns the `Fit`, on the CPU; the same arguments give the same bits.

    Raises ValueError if an argument is out of range or the pixels cannot be fitted.

    >>> import numpy as np
    >>> pixels = np.random.default_rng(0).random((16, 16, 3))
    >>> fit = fit_image(pixels, density=0.25, iterations=20)
    >>> fit.field.means.shape, fit.iterations
    (torch.Size([1, 64, 2]), 20)
    """
    (fit,) = fit_batch(
        channels_first(pixels)[None],
        make_recipe(recipe, iterations),
        density=density,
        target_psnr=target_psnr,
        seeds=[seed],
        snapshots=snapshots,
        device="cpu",
    )
    return fit


def held_out_psnr(
    pixels: np.ndarray | Tensor,
    *,
    density: float = DEFAULT_DENSITY,
    recipe: str | Recipe = "fast",
    iterations: int | None = None,
    target_psnr: float | None = None,
    seed: int = 0,
) -> float:
    """Return the held-out-pixel PSNR, dB: how well such fits predict pixels that they never saw.

    Fits the x2-downsampled crop (MATLAB bicubic), renders the field at x2 and compares with the crop. An odd
    row or column at the end is left out. Arguments and errors are those of `fit_image`.

    >>> import numpy as np
    >>> ramp = np.linspace(0, 1, 32, dtype=np.float32)[None, :, None].repeat(32, axis=0)
    >>> held_out_psnr(ramp) > 30
    True
    """
    small, target = held_out_pair(pixels)
    fit = fit_image(
        small, density=density, recipe=recipe, iterations=iterations, target_psnr=target_psnr, seed=seed
    )
    return psnr(fit.field.render((target.shape[1], target.shape[2]))[0], target)


def fit_batch(
    targets: Tensor,
    recipe: Recipe,
    *,
    density: float,
    target_psnr: float | None,
    seeds: Sequence[int],
    snapshots: Collection[int],
    device: str,
) -> list[Fit]:
    """Fit `targets` [B, C, H, W], given on the CPU, on `device`; other arguments are those of `fit_image`.

    `Fit.seconds` is each crop's share of the batch. Raises ValueError if `density` is out of range.
    """
    if not 0 < density <= 4:
        raise ValueError(f"density must be above 0 and at most 4 Gaussians per pixel, got {density}")
    began = time.perf_counter()
    run: Run
    if isinstance(recipe, FastRecipe):
        run = FastRun(targets.to(device), recipe, density)
    else:
        run = GaussianImageRun(targets.to(device), recipe, density, seeds)
    starts = [run.field(crop).means[0] for crop in range(len(targets))]
    kept = optimise(run, recipe.iterations, target_psnr, snapshots)
    seconds = (time.perf_counter() - began) / len(targets)

    reached: list[list[Snapshot]] = [[] for _ in kept]  # for each crop, including its last field
    for at in sorted(set().union(*kept)):
        crops = [crop for crop, fields in enumerate(kept) if at in fields]
        fields = [kept[crop][at] for crop in crops]
        found = psnr_of_each(fields, targets[crops], device)
        for crop, field, value in zip(crops, fields, found, strict=True):
            reached[crop].append(Snapshot(at, field, value))
    return [
        Fit(
            (end := looks[-1]).field,
            start,
            end.psnr,
            end.iterations,
            seconds,
            tuple(look for look in looks if look.iterations in snapshots),
        )
        for start, looks in zip(starts, reached, strict=True)
    ]
