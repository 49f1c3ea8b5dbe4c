"""The trials behind the defaults of the recipe `fast`, each with its PSNR and time.

    python workflows/benchmarks/recipes.py --images KODAK --crops 6

Each row changes one number of the recipe, or fits in another way altogether (other_optimisers.py): PSNR on
the fitted pixels, held-out-pixel PSNR, its difference from bicubic interpolation, and CPU seconds. Means over
the centre crops (256x256) of the first photographs.
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
from splat2d.matlab_imresize import imresize

SIDE = 256
BASE = FastRecipe()


@dataclass(frozen=True)
class Variant:
    """A way to fit."""

    fit: Callable[[torch.Tensor], GaussianField]
    """From pixels [C, H, W] to a field."""
    double: Callable[[GaussianField], GaussianField] = lambda field: field.scale(2)
    """From a field to the field at x2."""


def fast(target: torch.Tensor, **changes: float) -> GaussianField:
    """Fit with the recipe, some of its numbers changed."""
    return fit_image(target.permute(1, 2, 0), recipe=replace(BASE, **changes)).field


def with_last_colours(target: torch.Tensor) -> GaussianField:
    return other_optimisers.project_colours(fast(target), target)


VARIANTS = {
    "fast, the default": Variant(fast),
    "start 0.45 spacings": Variant(partial(fast, start_sigma=0.45)),
    "start 0.7": Variant(partial(fast, start_sigma=0.7)),
    "almost no floor (0.02)": Variant(partial(fast, min_sigma=0.02)),
    "floor 0.3": Variant(partial(fast, min_sigma=0.3)),
    "rates of means halved": Variant(partial(fast, rate_mean=BASE.rate_mean / 2)),
    "rates of means doubled": Variant(partial(fast, rate_mean=BASE.rate_mean * 2)),
    "rates of shapes halved": Variant(partial(fast, rate_shape=BASE.rate_shape / 2)),
    "rates of shapes doubled": Variant(partial(fast, rate_shape=BASE.rate_shape * 2)),
    "rates of colours halved": Variant(partial(fast, rate_color=BASE.rate_color / 2)),
    "rates of colours doubled": Variant(partial(fast, rate_color=BASE.rate_color * 2)),
    "Adam's usual betas (0.9, 0.999)": Variant(partial(fast, beta1=0.9, beta2=0.999)),
    "betas (0.9, 0.95)": Variant(partial(fast, beta1=0.9, beta2=0.95)),
    "almost no warm-up (0.01)": Variant(partial(fast, warm_up=0.01)),
    "a warm-up of 0.2": Variant(partial(fast, warm_up=0.2)),
    "constant rates": Variant(partial(fast, final=1.0)),
    "plain Adam": Variant(partial(fast, opposed=1.0)),
    "150 iterations": Variant(partial(fast, iterations=150)),
    "600 iterations": Variant(partial(fast, iterations=600)),
    "least-squares colours at the end": Variant(with_last_colours),
    "least-squares colours at the start": Variant(other_optimisers.colours_solved),
    "variable projection, every 30": Variant(partial(other_optimisers.colours_solved, every=30)),
    "Levenberg-Marquardt, equal passes": Variant(other_optimisers.levenberg_marquardt),
    "Levenberg-Marquardt, 4x the passes": Variant(partial(other_optimisers.levenberg_marquardt, passes=1200)),
    "faint Gaussians moved to errors": Variant(other_optimisers.relocated),
    "every second step between pixels": Variant(other_optimisers.shifted),
    "nine of ten steps between pixels": Variant(partial(other_optimisers.shifted, of=10)),
    "with the pixel's footprint": Variant(fast, other_optimisers.sharpened),
}


def measure(crop: torch.Tensor, variant: Variant) -> tuple[float, float, float]:
    """Return PSNR and held-out-pixel PSNR of one crop [3, H, W], and the CPU seconds of the fit to it."""
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
    parser.add_argument("--variants", default="", help="only rows whose names contain this")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    crops = [centre_crop(path) for path in list_images(arguments.images)[: arguments.crops]]
    halves = [imresize(crop, size=(SIDE // 2, SIDE // 2)) for crop in crops]
    bicubic = np.mean([psnr(imresize(h, size=(SIDE, SIDE)), c) for h, c in zip(halves, crops, strict=True)])
    print(f"{len(crops)} crops of {arguments.images}; held-out-pixel PSNR of bicubic: {bicubic:.2f} dB")
    print(f"{'':34s}{'PSNR, dB':>9s}{'held-out, dB':>14s}{'over bicubic':>14s}{'seconds':>9s}")
    for name, variant in VARIANTS.items():
        if arguments.variants in name:
            on, off, seconds = np.mean([measure(crop, variant) for crop in crops], axis=0)
            print(f"{name:34s}{on:9.2f}{off:14.2f}{off - bicubic:+14.2f}{seconds:9.2f}", flush=True)


if __name__ == "__main__":
    main()
