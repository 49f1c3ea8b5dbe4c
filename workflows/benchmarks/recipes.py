"""What was tried for the `fast` recipe, on the lattice and off it: the numbers behind its defaults.

    python workflows/benchmarks/recipes.py --images KODAK --crops 6

Each row changes one thing about the recipe, or fits in another way altogether (other_optimisers.py). `on` is
PSNR on the fitted pixels, `off` that of the x2 rendering of a fit to the x2-downsampled crop, beside
bicubic's, and seconds are the processor's. Means over the centre crops (256x256) of the first photographs.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import other_optimisers
import torch

from dgp_mining.fitting.fit import fit_image
from dgp_mining.fitting.recipes import FastRecipe
from dgp_mining.fitting.target import psnr
from dgp_mining.images.paths import list_images
from dgp_mining.images.reader import read_rgb
from splat2d import GaussianField
from splat2d.resample import imresize

SIDE = 256
BASE = FastRecipe()


@dataclass(frozen=True)
class Variant:
    """A way to fit."""

    fit: Callable[[torch.Tensor], GaussianField]
    """Of pixels [C, H, W]."""
    double: Callable[[GaussianField], GaussianField] = lambda field: field.scale(2)
    """The field at x2, off the lattice."""


def fast(target: torch.Tensor, **changes: float) -> GaussianField:
    """The recipe with some of its numbers changed."""
    return fit_image(target.permute(1, 2, 0), recipe=replace(BASE, **changes)).field


def with_last_colours(target: torch.Tensor) -> GaussianField:
    return other_optimisers.project_colours(fast(target), target)


VARIANTS = {
    "fast, the default": Variant(fast),
    "start 0.45 spacings": Variant(partial(fast, start_sigma=0.45)),
    "start 0.7": Variant(partial(fast, start_sigma=0.7)),
    "no floor to speak of (0.02)": Variant(partial(fast, min_sigma=0.02)),
    "floor 0.3": Variant(partial(fast, min_sigma=0.3)),
    "rates of means halved": Variant(partial(fast, rate_mean=BASE.rate_mean / 2)),
    "rates of means doubled": Variant(partial(fast, rate_mean=BASE.rate_mean * 2)),
    "rates of shapes halved": Variant(partial(fast, rate_shape=BASE.rate_shape / 2)),
    "rates of shapes doubled": Variant(partial(fast, rate_shape=BASE.rate_shape * 2)),
    "rates of colours halved": Variant(partial(fast, rate_color=BASE.rate_color / 2)),
    "rates of colours doubled": Variant(partial(fast, rate_color=BASE.rate_color * 2)),
    "Adam's usual betas (0.9, 0.999)": Variant(partial(fast, beta1=0.9, beta2=0.999)),
    "betas (0.9, 0.95)": Variant(partial(fast, beta1=0.9, beta2=0.95)),
    "hardly a warm-up (0.01)": Variant(partial(fast, warm_up=0.01)),
    "a warm-up of 0.2": Variant(partial(fast, warm_up=0.2)),
    "constant rates": Variant(partial(fast, final=1.0)),
    "150 iterations": Variant(partial(fast, iterations=150)),
    "600 iterations": Variant(partial(fast, iterations=600)),
    "least-squares colours at last": Variant(with_last_colours),
    "least-squares colours at first": Variant(other_optimisers.colours_solved),
    "variable projection, every 30": Variant(partial(other_optimisers.colours_solved, every=30)),
    "Levenberg-Marquardt, equal passes": Variant(other_optimisers.levenberg_marquardt),
    "Levenberg-Marquardt, 4 times them": Variant(partial(other_optimisers.levenberg_marquardt, passes=1200)),
    "faint Gaussians to the error": Variant(other_optimisers.relocated),
    "every second step between pixels": Variant(other_optimisers.shifted),
    "every tenth on the pixels only": Variant(partial(other_optimisers.shifted, of=10)),
    "with the pixel's footprint": Variant(fast, other_optimisers.sharpened),
}


def measure(crop: torch.Tensor, variant: Variant) -> tuple[float, float, float]:
    """PSNR on and off the lattice of one crop [3, H, W], and the seconds of the fit on it."""
    began = time.process_time()
    field = variant.fit(crop)
    seconds = time.process_time() - began
    between = variant.double(variant.fit(imresize(crop, size=(SIDE // 2, SIDE // 2))))
    return psnr(field.render()[0], crop), psnr(between.render((SIDE, SIDE))[0], crop), seconds


def centre_crop(path: Path) -> torch.Tensor:  # [3, SIDE, SIDE]
    pixels = read_rgb(path)
    row, column = ((extent - SIDE) // 2 for extent in pixels.shape[:2])
    return torch.from_numpy(pixels[row : row + SIDE, column : column + SIDE]).permute(2, 0, 1).contiguous()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    samples = Path(__file__).resolve().parents[2] / "data" / "samples" / "mining"
    parser.add_argument("--images", type=Path, default=samples, help="folder of photographs")
    parser.add_argument("--crops", type=int, default=6, help="how many of them")
    parser.add_argument("--variants", default="", help="only the rows with this in their names")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    crops = [centre_crop(path) for path in list_images(arguments.images)[: arguments.crops]]
    halves = [imresize(crop, size=(SIDE // 2, SIDE // 2)) for crop in crops]
    bicubic = np.mean([psnr(imresize(h, size=(SIDE, SIDE)), c) for h, c in zip(halves, crops, strict=True)])
    print(f"{len(crops)} crops of {arguments.images}; bicubic off the lattice: {bicubic:.2f} dB")
    print(f"{'':34s}{'on, dB':>8s}{'off, dB':>9s}{'less bicubic':>14s}{'seconds':>9s}")
    for name, variant in VARIANTS.items():
        if arguments.variants in name:
            on, off, seconds = np.mean([measure(crop, variant) for crop in crops], axis=0)
            print(f"{name:34s}{on:8.2f}{off:9.2f}{off - bicubic:+14.2f}{seconds:9.2f}", flush=True)


if __name__ == "__main__":
    main()
