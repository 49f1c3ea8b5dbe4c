"""How the prior depends on the ratio of learning rates: Gaussians that move, or change shape, earlier.

    python workflows/studies/rates.py
    python workflows/studies/rates.py --images DIV2K --crops 400 --side 256  # full size

Each rate alone is divided and multiplied by four. A prior that follows the rates belongs as much to the
optimiser as to the photographs.
"""

from dataclasses import replace

from study import Variant, compare, parse, print_rows, read_crops, write

from dgp_mining.fitting.recipes import FastRecipe

FACTORS = (0.25, 1, 4)


def main() -> None:
    options = parse(__doc__, "rates", crops=12)
    base = FastRecipe()
    variants = [Variant("the default", base)]
    for what, rate in (("means", "rate_mean"), ("shapes", "rate_shape"), ("colours", "rate_color")):
        variants += [
            Variant(f"{what} x{factor:g}", replace(base, **{rate: factor * getattr(base, rate)}))
            for factor in FACTORS
            if factor != 1
        ]
    rows = compare(variants, read_crops(options), options.quick, "the default")
    print_rows(rows)
    write(options, rows, "")


if __name__ == "__main__":
    main()
