"""Choosing the recipe that generalises: by held-out-pixel PSNR, on photographs it is not judged on.

    python workflows/studies/recipe.py
    python workflows/studies/recipe.py --images DIV2K --judges KODAK --crops 200 --side 256  # full size

From the default recipe, one setting after the other is moved to the best of its candidates on --images, or on
every second one of them. The result is then compared with the default on --judges, or on the other images, by
both PSNRs; and so is the recipe `lattice`, which is tuned for the fitted pixels alone.
"""

from argparse import Namespace
from dataclasses import replace
from pathlib import Path

import numpy as np
from study import Crop, Variant, compare, parse, print_rows, read_crops, write

from dgp_mining.fitting.recipes import LATTICE, FastRecipe

CANDIDATES = {
    "density": (1 / 9, 1 / 4, 1 / 2),
    "start_sigma": (0.5, 0.588, 0.7),
    "min_sigma": (0.12, 0.243, 0.36),
    "rate_mean": (0.095, 0.189, 0.38),
    "rate_shape": (0.045, 0.089, 0.18),
    "iterations": (150, 225, 450),
}


def changed(variant: Variant, setting: str, value: float) -> Variant:
    if setting == "density":
        return replace(variant, name=f"density {value:.3f}", density=value)
    return replace(variant, name=f"{setting} {value:g}", recipe=replace(variant.recipe, **{setting: value}))


def both_halves(options: Namespace) -> tuple[list[Crop], list[Crop]]:
    """Return crops to choose by, and crops of other photographs to judge by."""
    crops = read_crops(options)
    if options.judges:
        return crops, read_crops(options, options.judges)
    images = sorted({crop.image for crop in crops})
    if len(images) < 2:
        raise SystemExit("At least two photographs are needed: one to choose by, one to judge by.")
    halves = [[crop for crop in crops if images.index(crop.image) % 2 == half] for half in (0, 1)]
    return halves[0], halves[1]


def main() -> None:
    judges = {"--judges": {"type": Path, "help": "folder of other photographs, to judge by"}}
    options = parse(__doc__, "recipe", crops=12, side=96, extra=judges)
    chosen_on, judged_on = both_halves(options)
    best = Variant("the default", FastRecipe())
    print(f"\nchosen on {len(chosen_on)} crops:")
    for setting, candidates in CANDIDATES.items():
        variants = [changed(best, setting, value) for value in candidates]
        rows = compare(variants, chosen_on, options.quick)
        print_rows(rows, ("long_axis", "ratio"))
        best = variants[int(np.argmax([row.held_out.value for row in rows]))]
    print(f"\njudged on {len(judged_on)} others:")
    variants = [
        Variant("the default"),
        replace(best, name="the chosen"),
        Variant("lattice", LATTICE),
    ]
    rows = compare(variants, judged_on, options.quick, "the default")
    print_rows(rows)
    print(f"the chosen: density {best.density:.3f}, {best.recipe}")
    write(options, rows, "")


if __name__ == "__main__":
    main()
