"""How the prior depends on when fitting stops: schedules of 30 to 1,200 iterations, each complete.

    python workflows/studies/stopping.py
    python workflows/studies/stopping.py --images DIV2K --crops 400 --side 256  # full size
    dgp-mine fit --images DIV2K --snapshots 0,50,100,300 && dgp-mine report      # within one schedule

PSNR on the fitted pixels always rises with more iterations; held-out-pixel PSNR tells when to stop.
"""

from dataclasses import replace

from study import Variant, compare, parse, print_rows, read_crops, write

from dgp_mining.fitting.recipes import FastRecipe

ITERATIONS = (30, 75, 150, 225, 450, 900)


def main() -> None:
    options = parse(__doc__, "stopping", crops=12)
    variants = [Variant(f"{n:,} iterations", replace(FastRecipe(), iterations=n), x=n) for n in ITERATIONS]
    rows = compare(variants, read_crops(options), options.quick, "225 iterations")
    print_rows(rows)
    write(options, rows, "iterations")


if __name__ == "__main__":
    main()
