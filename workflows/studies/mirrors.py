"""Whether the recipe treats x and y, and left and right, alike: crops as they are, mirrored, transposed.

    python workflows/studies/mirrors.py
    python workflows/studies/mirrors.py --images DIV2K --crops 400 --side 256  # full size

The mean S_xy of mirrored crops must be the negative of the crops' own, and the mean S_xx of transposed crops
must equal the crops' S_yy. The residuals are printed last: rounding makes single Gaussians diverge, but not
the mean.
"""

import numpy as np
from study import Variant, compare, parse, print_rows, read_crops, write


def mirrored(pixels: np.ndarray) -> np.ndarray:
    return pixels[:, ::-1]


def transposed(pixels: np.ndarray) -> np.ndarray:
    return pixels.transpose(1, 0, 2)


def main() -> None:
    options = parse(__doc__, "mirrors")
    variants = [
        Variant("as they are"),
        Variant("mirrored", change=mirrored),
        Variant("transposed", change=transposed),
    ]
    shown = ("S_xx", "S_xy", "S_yy", "sin_2angle", "cos_2angle")
    rows = compare(variants, read_crops(options), options.quick)
    print_rows(rows, shown)
    plain, mirror, transpose = ({name: found.value for name, found in row.moments.items()} for row in rows)
    left = {
        "S_xy + S_xy mirrored": plain["S_xy"] + mirror["S_xy"],
        "S_xx - S_xx mirrored": plain["S_xx"] - mirror["S_xx"],
        "S_xx - S_yy transposed": plain["S_xx"] - transpose["S_yy"],
        "S_xy - S_xy transposed": plain["S_xy"] - transpose["S_xy"],
    }
    for name, value in left.items():
        print(f"{name:<26}{value:+.2e}")
    write(options, rows, "", shown)


if __name__ == "__main__":
    main()
