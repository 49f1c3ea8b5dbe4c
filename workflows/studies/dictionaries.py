"""Which method makes the best dictionary, judged on Gaussians of photographs that it was not made from.

    python workflows/studies/dictionaries.py
    python workflows/studies/dictionaries.py --store dgp.zarr --images KODAK --crops 96 --side 176  # full

Dictionaries are made from the store and judged on the photographs; without a store, they are made from every
second photograph and judged on the others. The first columns are coverage, the share of the judging Gaussians
that a network can blend, in each blending space; then the coverage of the eight corners of the dictionary's
bounding box. `distance` is the root mean square of the affine-invariant distance from a Gaussian to the
nearest kernel (0.1: 7 % along each axis); `redundant` is the share of kernels with another within 0.1;
`condition` is the ratio of the larger eigenvalue to the smaller, median and largest.
"""

from argparse import Namespace
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from study import Crop, Variant, fit_variants, parse, print_table, read_crops, save, write_json

from dgp_mining.fitting.recipes import make_recipe
from dgp_mining.fitting.statistics import prior_sample
from dgp_mining.prior.build import gaussians_of_both
from dgp_mining.prior.condense import METHODS, can_be_symmetric, condense
from dgp_mining.prior.continuoussr_table import continuoussr_dictionary
from dgp_mining.prior.coverage import SPACES, coverage, covered
from dgp_mining.prior.dictionary import Dictionary, DictionaryError
from dgp_mining.prior.distance import nearest
from dgp_mining.prior.quality import kernel_quality
from dgp_mining.report.bootstrap import BootstrapEstimate, estimate_ratio
from dgp_mining.store.store import Store, StoreError

SIZES = (9, 65, 217, 730, 9262)
"""n^3 + 1, which a grid can have."""


def fitted(crops: list[Crop], variant: Variant, quick: bool) -> list[tuple[str, np.ndarray]]:
    """Return each crop's photograph and Gaussians [m, 3], Cholesky factors in grid spacings."""
    ((_, ones),) = fit_variants([variant], crops, quick)
    return [(one.image, prior_sample(one.statistics.sample)) for one in ones]


def gaussians(options: Namespace) -> tuple[np.ndarray, list[tuple[str, np.ndarray]]]:
    """Return Gaussians to make dictionaries from, [M, 3], and crops of other photographs to judge them on."""
    if options.store:
        try:
            settings, (made_of, _) = Store.open(options.store).settings, gaussians_of_both(options.store)
        except (StoreError, DictionaryError) as error:
            raise SystemExit(str(error)) from error
        recipe = make_recipe(settings.recipe, settings.iterations)
        variant = Variant(settings.recipe, recipe, settings.density)
        return made_of, fitted(read_crops(options), variant, options.quick)
    ones = fitted(read_crops(options), Variant("fast"), options.quick)
    images = sorted({image for image, _ in ones})
    if len(images) < 2:
        raise SystemExit(
            "At least two photographs are needed: one to make dictionaries from, one to judge them on."
        )
    made_of = [of_crop for image, of_crop in ones if images.index(image) % 2 == 0]
    return np.concatenate(made_of), [one for one in ones if images.index(one[0]) % 2 == 1]


def dictionaries(made_of: np.ndarray, sizes: list[int]) -> dict[str, Dictionary]:
    """Make dictionaries by every method and of every size, symmetric and not; return them by name."""
    made = {
        f"{method}, {size}" + ", symmetric" * symmetric: condense(made_of, size, method, symmetric=symmetric)
        for size in sizes
        for method in METHODS
        for symmetric in (False, True)
        if can_be_symmetric(method) or not symmetric
    }
    return {name: Dictionary(kernels) for name, kernels in made.items()} | {
        "ContinuousSR table, 730": continuoussr_dictionary()
    }


def judge(dictionary: Dictionary, crops: list[tuple[str, np.ndarray]]) -> dict:
    """Return the figures of one dictionary, JSON-serialisable, with intervals over photographs."""
    judges = np.concatenate([of_crop for _, of_crop in crops])
    image = np.unique(
        np.repeat([image for image, _ in crops], [len(of_crop) for _, of_crop in crops]), return_inverse=True
    )[1]
    weight = np.bincount(image).astype(float)

    def over_images(values: np.ndarray) -> BootstrapEstimate:
        return estimate_ratio(np.bincount(image, values), weight)

    squared = over_images(nearest(judges, dictionary.cholesky) ** 2)
    return {
        **kernel_quality(dictionary),
        "distance": {name: float(np.sqrt(getattr(squared, name))) for name in ("value", "low", "high")},
        "coverage": {
            space: vars(over_images(covered(dictionary.cholesky, judges, space))) for space in SPACES
        },
        "box_corners": {
            space: shares["box_corners"] for space, shares in coverage(dictionary.cholesky, judges).items()
        },
    }


def main() -> None:
    store = {"--store": {"type": Path, "help": "a finished store to make dictionaries from"}}
    options = parse(__doc__, "dictionaries", crops=40, extra=store)
    made_of, crops = gaussians(options)
    images = {image for image, _ in crops}
    print(f"made of {len(made_of):,} Gaussians, judged by those of {len(crops)} crops, {len(images)} images")
    sizes = [size for size in (SIZES[:2] if options.quick else SIZES) if size <= len(made_of) // 2]
    found = {name: judge(one, crops) for name, one in dictionaries(made_of, sizes).items()}
    print_table(
        ["", *SPACES, *(f"corners: {space}" for space in SPACES), "distance", "redundant", "condition"],
        [
            [
                name,
                *(_with_half_interval(one["coverage"][space], 100, 1) + " %" for space in SPACES),
                *(f"{one['box_corners'][space]:.1%}" for space in SPACES),
                *(_with_half_interval(one["distance"], 1, 3), f"{one['redundant']:.0%}"),
                f"{one['condition_median']:.1f}, {one['condition_max']:.3g}",
            ]
            for name, one in found.items()
        ],
    )
    write_json(options, found)
    save(plot(found, sizes), options)


def _with_half_interval(found: dict, factor: float, digits: int) -> str:
    half = factor * (found["high"] - found["low"]) / 2
    return f"{factor * found['value']:.{digits}f} ±{half:.{digits}f}"


def plot(found: dict[str, dict], sizes: list[int]) -> Figure:
    """Plot the share of Gaussians out of reach against distance: a panel per space, a line per method."""
    figure = Figure(figsize=(14.5, 4.4), dpi=120, layout="constrained")
    kinds = list(dict.fromkeys((name.split(",")[0], "symmetric" in name) for name in found))
    methods = list(dict.fromkeys(method for method, _ in kinds))
    for axes, space in zip(figure.subplots(1, len(SPACES), sharey=True), SPACES, strict=True):
        for method, symmetric in kinds:
            of_kind = [
                one
                for name, one in found.items()
                if (name.split(",")[0], "symmetric" in name) == (method, symmetric)
            ]
            axes.plot(
                [one["distance"]["value"] for one in of_kind],
                [100 * (1 - one["coverage"][space]["value"]) for one in of_kind],
                "*--" if symmetric else "o-",
                color=f"C{methods.index(method)}",
                label=method + ", symmetric" * symmetric,
            )
        axes.set(title=f"blended in {space} space", xlabel="distance to the nearest kernel", yscale="log")
        axes.spines[["top", "right"]].set_visible(False)
    figure.axes[0].set_ylabel("Gaussians out of reach, %")
    figure.legend(*figure.axes[0].get_legend_handles_labels(), frameon=False, loc="outside right upper")
    figure.suptitle(
        f"each line: {', '.join(map(str, sizes))} kernels from right to left; lower left is better"
    )
    return figure


if __name__ == "__main__":
    main()
