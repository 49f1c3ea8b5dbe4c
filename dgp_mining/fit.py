"""Fitting a field of 2D Gaussians to a crop: `fit_image`, and how well the field stands for the image."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from splat2d import DEFAULT_CUTOFF, GaussianField, backend
from splat2d.backends import cpu, fallback
from splat2d.resample import imresize

from . import published
from .recipes import DEFAULT_DENSITY, FastRecipe, GaussianImageRecipe, Recipe, make_recipe

CHECK_EVERY = 10
"""Iterations between two looks at `target_psnr`."""
MOST_AT_ONCE = 1000
"""Iterations in one call of the kernels: each makes its memory anew, and none can be interrupted."""

Stop = Callable[[float], bool]
"""Asked with the PSNR so far, dB."""


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


def off_lattice_psnr(
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


def psnr(image: Tensor, target: Tensor) -> float:
    """dB between an image, clamped to [0, 1] first, and its target of equal shape; inf if equal."""
    return decibels((image.clamp(0, 1) - target).double().square().mean().item())


def decibels(error: float) -> float:
    """PSNR of a mean squared error; inf of none."""
    return -10 * math.log10(error) if error > 0 else math.inf


def halved(pixels: np.ndarray | Tensor) -> tuple[Tensor, Tensor]:  # [h, w, C], [C, 2 h, 2 w]
    """The x2-downsampled crop that `off_lattice_psnr` fits, and the pixels that it compares with."""
    target = planar(pixels)
    height, width = target.shape[1] // 2, target.shape[2] // 2
    target = target[:, : 2 * height, : 2 * width]
    return imresize(target, size=(height, width)).permute(1, 2, 0), target


def planar(pixels: np.ndarray | Tensor) -> Tensor:  # [C, H, W]
    """Pixels [H, W, C] as the kernels take them. Raises ValueError where they cannot be fitted."""
    tensor = torch.as_tensor(pixels, dtype=torch.float32)
    if tensor.ndim != 3 or not 1 <= tensor.shape[2] <= cpu.MAX_CHANNELS:
        raise ValueError(f"pixels must be [H, W, C] with 1 to 8 channels, got {list(tensor.shape)}")
    if min(tensor.shape[:2]) < 2:
        raise ValueError(f"pixels must be at least 2 by 2, got {list(tensor.shape[:2])}")
    if not torch.isfinite(tensor).all():
        raise ValueError("pixels must be finite")
    return tensor.permute(2, 0, 1).contiguous()


def stop_at(target_psnr: float | None) -> Stop | None:
    """Whether a fit has gone far enough, where it has anywhere to stop."""
    return None if target_psnr is None else lambda psnr: psnr >= target_psnr


Fields = dict[int, GaussianField]
"""Fields by the number of iterations done."""


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
    run = cpu.fit if backend() == "cpu" else fallback.fit

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


def block_ends(iterations: int, snapshots: Collection[int], every: int) -> list[int]:
    """After how many iterations to look up from fitting, ascending, `iterations` the last."""
    looks = {*range(every, iterations, every), *snapshots, iterations}
    return sorted(look for look in looks if 0 < look <= iterations)


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


def _iterate(
    advance: Callable[[int, int], Tensor],
    look: Callable[[], GaussianField],
    values: int,
    iterations: int,
    stop: Stop | None,
    snapshots: Collection[int],
) -> tuple[int, Fields]:
    """The iterations done and the snapshots of a fit to so many `values`.

    `advance` runs iterations [begin, end) and returns the squared error before each; `look` is the field.
    """
    kept: Fields = {0: look()} if 0 in snapshots else {}
    done = 0
    for end in block_ends(iterations, snapshots, CHECK_EVERY if stop else MOST_AT_ONCE):
        error = advance(done, end)[-1].item() / values
        done = end
        if done in snapshots:
            kept[done] = look()
        if stop and stop(decibels(error)):
            break
    return done, kept
