"""What was tried for the `fast` recipe, on the lattice and off it: the numbers behind its defaults.

    python workflows/benchmarks/recipes.py --images KODAK --crops 6

Each row changes one thing about the recipe. `on` is PSNR on the fitted pixels, `off` that of the x2 rendering
of a fit to the x2-downsampled crop, beside bicubic's. Means over the centre crops (256x256) of the first
photographs.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from dgp_mining.fit import fit_image, psnr
from dgp_mining.images import list_images, read_rgb
from dgp_mining.recipes import FastRecipe
from splat2d import GaussianField
from splat2d.native import render, render_backward
from splat2d.resample import imresize

SIDE = 256
Finish = Callable[[GaussianField, torch.Tensor], GaussianField]
BASE = FastRecipe()
ARMS: dict[str, FastRecipe] = {
    "fast, the default": BASE,
    "start 0.45 spacings": replace(BASE, start_sigma=0.45),
    "start 0.6": replace(BASE, start_sigma=0.6),
    "start 0.7": replace(BASE, start_sigma=0.7),
    "no floor to speak of (0.02)": replace(BASE, min_sigma=0.02),
    "floor 0.3": replace(BASE, min_sigma=0.3),
    "rates of means halved": replace(BASE, rate_mean=BASE.rate_mean / 2),
    "rates of means doubled": replace(BASE, rate_mean=BASE.rate_mean * 2),
    "rates of shapes halved": replace(BASE, rate_shape=BASE.rate_shape / 2),
    "rates of shapes doubled": replace(BASE, rate_shape=BASE.rate_shape * 2),
    "rates of colours doubled": replace(BASE, rate_color=BASE.rate_color * 2),
    "Adam's usual betas (0.9, 0.999)": replace(BASE, beta1=0.9, beta2=0.999),
    "betas (0.9, 0.95)": replace(BASE, beta1=0.9, beta2=0.95),
    "150 iterations": replace(BASE, iterations=150),
    "600 iterations": replace(BASE, iterations=600),
}


def project_colours(field: GaussianField, target: torch.Tensor, steps: int = 40) -> GaussianField:
    """Variable projection's last step: the kernels' least-squares colours, by conjugate gradients."""
    means, cholesky, size = field.means, field.cholesky, tuple(target.shape[1:])

    def image(colors: torch.Tensor) -> torch.Tensor:
        return render(means, cholesky, colors.contiguous(), None, size, 3.33)

    def transposed(pixels: torch.Tensor) -> torch.Tensor:
        return render_backward(pixels.contiguous(), means, cholesky, field.colors, None, 3.33)[2]

    colors = field.colors
    residual = transposed(target[None] - image(colors))
    direction, norm = residual, residual.square().sum()
    for _ in range(steps):
        drawn = image(direction)
        length = norm / drawn.square().sum()
        colors = colors + length * direction
        residual = residual - length * transposed(drawn)
        before, norm = norm, residual.square().sum()
        direction = residual + norm / before * direction
    return replace(field, colors=colors)


def measure(crop: torch.Tensor, recipe: FastRecipe, finish: Finish) -> tuple[float, float]:
    """PSNR on and off the lattice of one crop [3, H, W]."""
    small = imresize(crop, size=(SIDE // 2, SIDE // 2))
    fields = [finish(fit_image(t.permute(1, 2, 0), recipe=recipe).field, t) for t in (crop, small)]
    return psnr(fields[0].render()[0], crop), psnr(fields[1].render((SIDE, SIDE))[0], crop)


def centre_crop(path: Path) -> torch.Tensor:  # [3, SIDE, SIDE]
    pixels = read_rgb(path)
    row, column = ((extent - SIDE) // 2 for extent in pixels.shape[:2])
    return torch.from_numpy(pixels[row : row + SIDE, column : column + SIDE].copy()).permute(2, 0, 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    samples = Path(__file__).resolve().parents[2] / "data" / "samples" / "mining"
    parser.add_argument("--images", type=Path, default=samples, help="folder of photographs")
    parser.add_argument("--crops", type=int, default=6, help="how many of them")
    parser.add_argument("--arms", type=int, default=len(ARMS) + 1, help="only the first so many rows")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    crops = [centre_crop(path) for path in list_images(arguments.images)[: arguments.crops]]
    halves = [imresize(crop, size=(SIDE // 2, SIDE // 2)) for crop in crops]
    bicubic = np.mean([psnr(imresize(h, size=(SIDE, SIDE)), c) for h, c in zip(halves, crops, strict=True)])
    print(f"{len(crops)} crops of {arguments.images}; bicubic off the lattice: {bicubic:.2f} dB")
    print(f"{'':34s}{'on, dB':>8s}{'off, dB':>9s}{'less bicubic':>14s}")
    arms: list[tuple[str, FastRecipe, Finish]] = [(name, r, lambda f, t: f) for name, r in ARMS.items()]
    arms.insert(1, ("and least-squares colours at last", BASE, project_colours))
    for name, recipe, finish in arms[: arguments.arms]:
        on, off = np.mean([measure(crop, recipe, finish) for crop in crops], axis=0)
        print(f"{name:34s}{on:8.2f}{off:9.2f}{off - bicubic:+14.2f}", flush=True)


if __name__ == "__main__":
    main()
