"""Which method makes the best dictionary, judged on Gaussians of photographs that it was not made from.

    python workflows/studies/dictionaries.py
    python workflows/studies/dictionaries.py --store dgp.zarr  # full size

The first columns are coverage, the share of Gaussians that a network can blend, in each blending space, and
that of the eight corners of the dictionary's box; `distance` is the root mean square of the affine-invariant
distance to the nearest kernel (0.1: 7 % along each axis); `redundant` the share of kernels with another
within 0.1; `condition` the larger eigenvalue by the smaller, median and largest.
"""

from argparse import Namespace
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from study import Arm, fit_arms, parse, print_table, read_crops, save, write_json

from dgp_mining.condense import condense
from dgp_mining.dictionary import Dictionary, DictionaryError
from dgp_mining.prior import gaussians_of_both
from dgp_mining.quality import quality
from dgp_mining.released import released_dictionary
from dgp_mining.statistics import prior_sample
from dgp_mining.store import StoreError

METHODS = ("marginal", "sample", "kmeans", "grid")
SIZES = (65, 217, 730)


def mined(options: Namespace) -> tuple[np.ndarray, np.ndarray]:
    """Gaussians [M, 3] to make dictionaries from, and of other photographs, to judge them by."""
    if options.store:
        try:
            return gaussians_of_both(options.store)
        except (StoreError, DictionaryError) as error:
            raise SystemExit(str(error)) from error
    crops = read_crops(options)
    ((_, fitted),) = fit_arms([Arm("fast")], crops, options.quick)
    images = sorted({one.image for one in fitted})
    halves = [
        np.concatenate(
            [prior_sample(one.statistics.sample) for one in fitted if images.index(one.image) % 2 == half]
        )
        for half in (0, 1)
    ]
    return halves[0], halves[1]


def dictionaries(gaussians: np.ndarray, sizes: tuple[int, ...]) -> dict[str, Dictionary]:
    """By name, of every method and size; symmetric ones of the largest."""
    made = {f"{method}, {size}": condense(gaussians, size, method) for size in sizes for method in METHODS}
    for method in METHODS[:3]:
        made[f"{method}, {sizes[-1]}, symmetric"] = condense(gaussians, sizes[-1], method, symmetric=True)
    return {name: Dictionary(kernels) for name, kernels in made.items()} | {
        "released, 730": released_dictionary()
    }


def main() -> None:
    store = {"--store": {"type": Path, "help": "a finished store, instead of photographs"}}
    options = parse(__doc__, "dictionaries", crops=40, extra=store)
    made_of, judged_by = mined(options)
    print(f"made of {len(made_of):,} Gaussians, judged by {len(judged_by):,}")
    sizes = (9, 28) if options.quick else SIZES
    found = {name: quality(one, judged_by) for name, one in dictionaries(made_of, sizes).items()}
    spaces = ("cholesky", "covariance", "sqrt")
    rows = [
        [
            name,
            *(f"{one['coverage'][space]['dictionary']:.1%}" for space in spaces),
            *(f"{one['coverage'][space]['box_corners']:.1%}" for space in spaces),
            *(f"{one['quantisation']:.3f}", f"{one['redundant']:.1%}"),
            f"{one['condition_median']:.1f}, {one['condition_max']:.3g}",
        ]
        for name, one in found.items()
    ]
    corners = (f"corners: {space}" for space in spaces)
    print_table(["", *spaces, *corners, "distance", "redundant", "condition"], rows)
    write_json(options, found)
    save(plot(found, spaces), options)


def plot(found: dict[str, dict], spaces: tuple[str, ...]) -> Figure:
    """Coverage by distance, a panel for each space, a line for each method through its sizes."""
    figure = Figure(figsize=(13, 4.4), dpi=120, layout="constrained")
    for axes, space in zip(figure.subplots(1, len(spaces), sharey=True), spaces, strict=True):
        for kind in dict.fromkeys((name.split(",")[0], "symmetric" in name) for name in found):
            ones = [one for name, one in found.items() if (name.split(",")[0], "symmetric" in name) == kind]
            x = [one["quantisation"] for one in ones]
            y = [one["coverage"][space]["dictionary"] for one in ones]
            axes.plot(x, y, "*-" if kind[1] else "o-", label=kind[0] + ", symmetric" * kind[1])
        axes.set(title=f"blended in {space} space", xlabel="distance to the nearest kernel")
        axes.spines[["top", "right"]].set_visible(False)
    figure.axes[0].set_ylabel("coverage")
    figure.axes[-1].legend(frameon=False, fontsize=8)
    return figure


if __name__ == "__main__":
    main()
