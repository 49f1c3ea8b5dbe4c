"""The paper's Table 18: does a field fitted to the low-resolution image super-resolve it?

    python workflows/studies/low_resolution.py
    python workflows/studies/low_resolution.py --images DIV2K --crops 100 --side 256  # full size

Crops are downsampled by four (MATLAB bicubic), fitted, rendered at x4 and compared with bicubic
interpolation. A network has four Gaussians per LR pixel; the default density is a quarter of one.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from matplotlib.figure import Figure
from study import (
    Crop,
    capped,
    draw,
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
from dgp_mining.fitting.recipes import LATTICE, FastRecipe, Recipe
from dgp_mining.fitting.target import psnr
from dgp_mining.report.bootstrap import BootstrapEstimate
from dgp_mining.store.crop_results import EXACT_PSNR
from splat2d.matlab_imresize import imresize

SCALE = 4
DENSITIES = (1 / 4, 1, 4)
RECIPES: dict[str, Recipe] = {
    "fast": FastRecipe(),
    "fast, start 0.9": replace(FastRecipe(), start_sigma=0.9),
    "lattice": LATTICE,
}


def measure(crop: Crop, quick: bool) -> dict[str, tuple[float, float]]:
    """PSNR of the fit on the LR pixels and of its rendering at x4, dB, by variant."""
    target = torch.from_numpy(crop.pixels).permute(2, 0, 1).contiguous()
    height, width = target.shape[1:]
    small = imresize(target, size=(height // SCALE, width // SCALE))
    pixels = small.permute(1, 2, 0).contiguous()
    found = {"bicubic": (EXACT_PSNR, capped(psnr(imresize(small, size=(height, width)), target)))}
    for name, recipe in RECIPES.items():
        for density in DENSITIES:
            fit = fit_image(pixels, density=density, recipe=shortened(recipe, quick))
            at_x4 = psnr(fit.field.render((height, width))[0], target)
            found[f"{name}, {density:g} per LR pixel"] = (capped(fit.psnr), capped(at_x4))
    return found


def main() -> None:
    options = parse(__doc__, "low_resolution", side=192)
    crops = read_crops(options)
    measured = []
    for done, crop in enumerate(crops):
        print_progress(f"crop {done + 1} of {len(crops)}")
        measured.append(measure(crop, options.quick))
    print_progress("")
    found = estimates([crop.image for crop in crops], measured)
    print_table(
        ["", "on LR, dB", "at x4, dB", "over bicubic"],
        [
            [name, *("" if name == "bicubic" and i != 1 else within(one, 2) for i, one in enumerate(row))]
            for name, row in found.items()
        ],
    )
    print("± is half the 95 % interval over photographs.")
    names = ("on_lr", "at_x4", "over_bicubic")
    write_json(
        options,
        {name: {key: vars(one) for key, one in zip(names, row, strict=True)} for name, row in found.items()},
    )
    save(plot(found), options)


def estimates(
    images: Sequence[str], measured: Sequence[dict[str, tuple[float, float]]]
) -> dict[str, list[BootstrapEstimate]]:
    """By variant: PSNR on the LR pixels, at x4, and its difference from bicubic's, crop by crop."""
    found = {}
    for name in measured[0]:
        on, at_x4 = (np.array([one[name][i] for one in measured]) for i in (0, 1))
        over = at_x4 - [one["bicubic"][1] for one in measured]
        found[name] = [mean_over_images(images, values) for values in (on, at_x4, over)]
    return found


def plot(found: dict[str, list[BootstrapEstimate]]) -> Figure:
    """PSNR at x4 over bicubic's by density, a line for each recipe."""
    figure = Figure(figsize=(7, 4.4), dpi=120, layout="constrained")
    axes = figure.subplots()
    for name in RECIPES:
        draw(axes, DENSITIES, [found[f"{name}, {density:g} per LR pixel"][2] for density in DENSITIES], name)
    axes.axhline(0, color="grey", linewidth=1, label="bicubic")
    axes.set(xscale="log", xlabel="Gaussians per LR pixel", ylabel="PSNR at x4, dB over bicubic")
    axes.set_xticks(DENSITIES, [f"{density:g}" for density in DENSITIES])
    axes.minorticks_off()
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    return figure


if __name__ == "__main__":
    main()
