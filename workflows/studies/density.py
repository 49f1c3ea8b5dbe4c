"""How the prior depends on the number of Gaussians per pixel, 1/16 to 1/2, in units of their spacing.

    python workflows/studies/density.py
    python workflows/studies/density.py --images DIV2K --crops 400 --side 256  # full size

If the spacing is the prior's only scale, its moments are the same at every density.
"""

from study import Variant, compare, parse, print_rows, read_crops, write

DENSITIES = (1 / 16, 1 / 9, 1 / 4, 1 / 2)


def main() -> None:
    options = parse(__doc__, "density")
    variants = [Variant(f"{density:.3f} per pixel", density=density, x=density) for density in DENSITIES]
    rows = compare(variants, read_crops(options), options.quick, "0.250 per pixel")
    print_rows(rows)
    write(options, rows, "Gaussians per pixel")


if __name__ == "__main__":
    main()
