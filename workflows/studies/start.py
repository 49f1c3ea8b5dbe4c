"""How much of the prior is its start: the width of the round Gaussians that a fit begins with.

    python workflows/studies/start.py
    python workflows/studies/start.py --images DIV2K --crops 400 --side 256  # full size

A prior that belongs to the photographs does not follow the start. Held-out-pixel PSNR tells which start
represents the photograph and not only its samples.
"""

from dataclasses import replace

from study import Variant, compare, parse, print_rows, read_crops, write

from dgp_mining.fitting.recipes import FastRecipe

WIDTHS = (0.4, 0.5, 0.55, 0.588, 0.7, 0.9)


def main() -> None:
    options = parse(__doc__, "start")
    variants = [Variant(f"start {w:g}", replace(FastRecipe(), start_sigma=w), x=w) for w in WIDTHS]
    rows = compare(variants, read_crops(options), options.quick, "start 0.588")
    print_rows(rows)
    write(options, rows, "width at the start, grid spacings")


if __name__ == "__main__":
    main()
