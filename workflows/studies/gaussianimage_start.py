"""What the start of `gaussianimage` leaves in its statistics: l21 drawn from [0, 1], or from [-1/2, 1/2].

    python workflows/studies/gaussianimage_start.py
    python workflows/studies/gaussianimage_start.py --images DIV2K --crops 40 --side 256 --iterations 20000

A photograph and its mirror image have opposite l21, so the mean l21 over photographs should be zero.
"""

from dataclasses import replace

from study import Variant, compare, parse, print_rows, read_crops, write

from dgp_mining.fitting.recipes import FastRecipe, GaussianImageRecipe


def main() -> None:
    options = parse(
        __doc__,
        "gaussianimage_start",
        crops=6,
        side=64,
        extra={"--iterations": {"type": int, "default": 1500, "help": "optimiser steps of gaussianimage"}},
    )
    recipe = GaussianImageRecipe(iterations=options.iterations)
    variants = [
        Variant("fast", FastRecipe()),
        Variant("gaussianimage", recipe),
        Variant("gaussianimage, l21 symmetric", replace(recipe, cholesky_bound=(0.5, -0.5, 0.5))),
    ]
    shown = ("l11", "l21", "l22", "sin_2angle", "cos_2angle")
    rows = compare(variants, read_crops(options), options.quick, "fast")
    print_rows(rows, shown)
    write(options, rows, "", shown)


if __name__ == "__main__":
    main()
