"""The paper's section 4.2: the same noise added to pixels and to Gaussians, and the PSNR that is left.

    python workflows/studies/sensitivity.py
    python workflows/studies/sensitivity.py --images DIV2K --crops 100 --side 256  # full size

The paper prints 26.31 dB for noise on the pixels and 13.83 dB for the same on the Gaussians, and no units.
Noise of 0.05 on the pixels gives about the first; its meaning for a position or a covariance depends on their
unit, so each is disturbed alone, in several natural units.
"""

import numpy as np
import torch
from matplotlib.figure import Figure
from study import (
    Crop,
    capped,
    mean_over_images,
    parse,
    print_progress,
    print_table,
    read_crops,
    save,
    shortened,
    within,
    write_json,
)

from dgp_mining.fitting.fit import fit_image
from dgp_mining.fitting.recipes import FastRecipe
from dgp_mining.fitting.target import psnr
from splat2d import GaussianField

SIGMA = 0.05
PAPER = {"pixels": 26.31, "all, positions in halves of the crop's side": 13.83}


def disturbed(field: GaussianField, colors: float, shapes: float, means: float) -> torch.Tensor:
    """[C, H, W], of a field with normal noise of these standard deviations (pixels, for the last two)."""
    generator = torch.Generator().manual_seed(0)

    def noise(like: torch.Tensor, sigma: float) -> torch.Tensor:
        return like + sigma * torch.randn(like.shape, generator=generator)

    cholesky = noise(field.cholesky, shapes)
    cholesky[..., ::2] = cholesky[..., ::2].clamp_min(1e-3)
    moved = GaussianField(noise(field.means, means), cholesky, noise(field.colors, colors), field.size)
    return moved.render()[0]


def measure(crop: Crop, quick: bool) -> dict[str, float]:
    """PSNR of the crop with each kind of noise, dB."""
    fit = fit_image(crop.pixels, recipe=shortened(FastRecipe(), quick))
    target = torch.from_numpy(crop.pixels).permute(2, 0, 1)
    side, field = target.shape[1], fit.field
    spacing = side / np.sqrt(field.means.shape[1])
    noisy = target + SIGMA * torch.randn(target.shape, generator=torch.Generator().manual_seed(0))
    variants = {
        "nothing": (0, 0, 0),
        "colours": (SIGMA, 0, 0),
        "shapes, pixels": (0, SIGMA, 0),
        "shapes, grid spacings": (0, SIGMA * spacing, 0),
        "positions, pixels": (0, 0, SIGMA),
        "positions, grid spacings": (0, 0, SIGMA * spacing),
        "positions, halves of the crop's side": (0, 0, SIGMA * side / 2),
        "all, positions in grid spacings": (SIGMA, SIGMA * spacing, SIGMA * spacing),
        "all, positions in halves of the crop's side": (SIGMA, SIGMA, SIGMA * side / 2),
    }
    return {"pixels": psnr(noisy, target)} | {
        name: capped(psnr(disturbed(field, *sigmas), target)) for name, sigmas in variants.items()
    }


def main() -> None:
    options = parse(__doc__, "sensitivity")
    crops = read_crops(options)
    measured = []
    for done, crop in enumerate(crops):
        print_progress(f"crop {done + 1} of {len(crops)}")
        measured.append(measure(crop, options.quick))
    print_progress("")
    images = [crop.image for crop in crops]
    found = {name: mean_over_images(images, [one[name] for one in measured]) for name in measured[0]}
    print(f"Noise of {SIGMA} on")
    print_table(
        ["", "dB", "paper"],
        [
            [name, within(value, 2), f"{PAPER[name]:.2f}" if name in PAPER else ""]
            for name, value in found.items()
        ],
    )
    write_json(options, {name: vars(value) for name, value in found.items()})
    figure = Figure(figsize=(9, 4.2), dpi=120, layout="constrained")
    axes = figure.subplots()
    error = [(value.value - value.low, value.high - value.value) for value in found.values()]
    axes.barh(
        list(found),
        [value.value for value in found.values()],
        xerr=np.nan_to_num(error).T,
        color="#86a9d6",
        ecolor="#444444",
        capsize=2,
    )
    for name, value in PAPER.items():
        axes.plot(value, list(found).index(name), "d", color="#c8553d")
    axes.invert_yaxis()
    axes.set(xlabel="PSNR, dB; diamonds: the paper's", title=f"noise of {SIGMA} on ...")
    axes.spines[["top", "right"]].set_visible(False)
    save(figure, options)


if __name__ == "__main__":
    main()
