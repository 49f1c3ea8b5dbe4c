"""Shared by the studies: crops, variants fitted to them, intervals over images, table and plot."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dgp_mining.fitting.fit import fit_image, held_out_psnr
from dgp_mining.fitting.recipes import DEFAULT_DENSITY, FastRecipe, Recipe
from dgp_mining.fitting.statistics import MOMENTS, Statistics, measure
from dgp_mining.fitting.target import held_out_pair, psnr
from dgp_mining.images.reader import ImageError, read_rgb
from dgp_mining.planning.plan import make_plan
from dgp_mining.planning.settings import Settings, resolve_settings
from dgp_mining.report.bootstrap import BootstrapEstimate, estimate_ratio
from dgp_mining.store.crop_results import EXACT_PSNR
from splat2d.atomic_write import atomic_write
from splat2d.matlab_imresize import imresize

SHOWN = ("l11", "l21", "l22", "long_axis", "ratio")
"""Moments in every table."""

FAR = 8
"""An axis is logarithmic if its last value is this many times its first."""

LEGEND = (
    "PSNR: on the fitted pixels, dB. held-out: held-out-pixel PSNR (crop halved, fitted, rendered at x2).\n"
    "Others: means over Gaussians, lengths in grid spacings. ± is half the 95 % interval over photographs."
)


@dataclass(frozen=True, eq=False)
class Crop:
    """A crop and the name of its photograph."""

    image: str
    pixels: np.ndarray
    """[side, side, 3] float32 in [0, 1]."""


@dataclass(frozen=True)
class Variant:
    """A way to fit."""

    name: str
    recipe: Recipe = field(default_factory=FastRecipe)
    density: float = DEFAULT_DENSITY
    change: Callable[[np.ndarray], np.ndarray] = np.asarray
    """Applied to the pixels first."""
    x: float | None = None
    """Position on the plot's axis; None: in order."""


@dataclass(frozen=True, eq=False)
class Fitted:
    """The result of fitting a variant to a crop."""

    image: str
    """The photograph."""
    psnr: float
    held_out: float
    bicubic: float
    """Held-out-pixel PSNR of bicubic interpolation, dB."""
    statistics: Statistics


@dataclass(frozen=True)
class Row:
    """A variant's figures over all crops, intervals over images."""

    variant: Variant
    psnr: BootstrapEstimate
    held_out: BootstrapEstimate
    gain: BootstrapEstimate
    """held_out minus bicubic's."""
    against: BootstrapEstimate | None
    """held_out minus the base variant's, crop by crop; None for the base variant, and without one."""
    moments: Mapping[str, BootstrapEstimate]
    """All MOMENTS by name."""


def parse(
    doc: str,
    name: str,
    crops: int = 16,
    side: int = 128,
    extra: Mapping[str, Mapping[str, Any]] | None = None,
) -> argparse.Namespace:
    """Parse the options that every study has, and `extra` ones; `crops` and `side` are its reduced size."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=_Help, prog=f"{name}.py")
    samples = Path(__file__).resolve().parents[2] / "data" / "samples" / "mining"
    parser.add_argument("--images", type=Path, default=samples, help="folder of photographs")
    parser.add_argument("--crops", type=int, default=crops, help="crops, sampled evenly across the images")
    parser.add_argument("--side", type=int, default=side, help="side of a crop, pixels")
    parser.add_argument("--seed", type=int, default=0, help="seed of the choice of crops")
    parser.add_argument(
        "--quick", action="store_true", help="tiny, to see that it runs: the figures mean nothing"
    )
    parser.add_argument("--out", type=Path, default=Path("studies", f"{name}.json"), help="figures")
    parser.add_argument("--plot", type=Path, default=Path("studies", f"{name}.png"), help="plot")
    for option, description in (extra or {}).items():
        parser.add_argument(option, **description)
    options = parser.parse_args()
    if options.quick:
        options.crops, options.side = 4, 32
    torch.set_num_threads(1)
    return options


class _Help(argparse.RawDescriptionHelpFormatter, argparse.ArgumentDefaultsHelpFormatter):
    pass


def shortened(recipe: Recipe, quick: bool) -> Recipe:
    """Return the recipe, with only a few iterations if `quick`."""
    return type(recipe)(**{**vars(recipe), "iterations": min(recipe.iterations, 6)}) if quick else recipe


def read_crops(options: argparse.Namespace, folder: Path | None = None) -> list[Crop]:
    """Read the crops of --images or another folder, chosen as `dgp-mine fit` chooses them. Exits if there are
    none."""
    folder = folder or options.images
    try:
        settings = Settings(crop=options.side, max_crops=options.crops, seed=options.seed)
        plan = make_plan(folder, resolve_settings(settings))
        crops, loaded = [], (-1, np.empty(0))
        for image, (row, column) in zip(plan.image.tolist(), plan.position.tolist(), strict=True):
            if image != loaded[0]:
                loaded = image, read_rgb(folder / plan.names[image])
            pixels = loaded[1][row : row + options.side, column : column + options.side]
            crops.append(Crop(plan.names[image], np.ascontiguousarray(pixels)))
    except (ImageError, ValueError) as error:
        sys.exit(f"{error}")
    images = len({crop.image for crop in crops})
    print(f"{len(crops)} crops of {options.side}x{options.side} from {images} images of {folder.name}")
    return crops


def compare(
    variants: Sequence[Variant],
    crops: Sequence[Crop],
    quick: bool = False,
    base: str | None = None,
) -> list[Row]:
    """Fit every variant to every crop; `base` names the variant that the others are compared with, if any."""
    fitted = {variant.name: (variant, ones) for variant, ones in fit_variants(variants, crops, quick)}
    return [
        summarise(variant, ones, fitted[base][1] if base not in (None, variant.name) else ())
        for variant, ones in fitted.values()
    ]


def fit_variants(
    variants: Sequence[Variant], crops: Sequence[Crop], quick: bool = False
) -> Iterable[tuple[Variant, list[Fitted]]]:
    """Fit every variant to every crop, with progress on stderr; yield each variant with its results."""
    for number, variant in enumerate(variants):
        fitted = []
        for done, crop in enumerate(crops):
            print_progress(
                f"variant {number + 1} of {len(variants)} ({variant.name}): crop {done + 1} of {len(crops)}"
            )
            fitted.append(fit_one(variant, crop, quick))
        print_progress("")
        yield variant, fitted


def fit_one(variant: Variant, crop: Crop, quick: bool = False) -> Fitted:
    """Fit one variant to one crop."""
    recipe, pixels = (
        shortened(variant.recipe, quick),
        np.ascontiguousarray(variant.change(crop.pixels)),
    )
    fit = fit_image(pixels, density=variant.density, recipe=recipe)
    small, target = held_out_pair(pixels)
    upscaled = imresize(small.permute(2, 0, 1).contiguous(), size=tuple(target.shape[1:]))
    return Fitted(
        image=crop.image,
        psnr=capped(fit.psnr),
        held_out=capped(held_out_psnr(pixels, density=variant.density, recipe=recipe)),
        bicubic=capped(psnr(upscaled, target)),
        statistics=measure(fit.field, fit.start.numpy(), np.random.default_rng(0)),
    )


def capped(decibels: float) -> float:
    """Limit dB to the value of an exact fit: one crop of a black sky must not make a mean infinite."""
    return min(decibels, EXACT_PSNR)


def summarise(variant: Variant, fitted: Sequence[Fitted], base: Sequence[Fitted] = ()) -> Row:
    """Return a variant's means and intervals; `base` holds another variant's results on the same crops."""
    weight = np.array([one.statistics.histograms[0, 0].sum() for one in fitted])
    moments = np.nan_to_num([one.statistics.moments[0] for one in fitted])
    images = [one.image for one in fitted]
    return Row(
        variant,
        psnr=mean_over_images(images, [one.psnr for one in fitted]),
        held_out=mean_over_images(images, [one.held_out for one in fitted]),
        gain=mean_over_images(images, [one.held_out - one.bicubic for one in fitted]),
        against=mean_over_images(images, [a.held_out - b.held_out for a, b in zip(fitted, base, strict=True)])
        if base
        else None,
        moments={
            name: mean_over_images(images, moments[:, column], weight) for column, name in enumerate(MOMENTS)
        },
    )


def mean_over_images(
    images: Sequence[str], values: Sequence[float], weights: np.ndarray | None = None
) -> BootstrapEstimate:
    """Return the (weighted) mean of one value per crop, with an interval that resamples images."""
    image = np.unique(images, return_inverse=True)[1]
    weights = np.ones(len(values)) if weights is None else weights
    return estimate_ratio(np.bincount(image, np.asarray(values) * weights), np.bincount(image, weights))


# --- output -------------------------------------------------------------------------------------------------


def print_progress(text: str) -> None:
    """Print progress on stderr, one line that is overwritten, if that is a terminal."""
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


def within(found: BootstrapEstimate, digits: int = 3) -> str:
    """Format a value and half its 95 % interval."""
    return f"{found.value:.{digits}f} ±{(found.high - found.low) / 2:.{digits}f}"


def print_rows(rows: Sequence[Row], shown: Sequence[str] = SHOWN) -> None:
    """Print PSNR and the shown moments of each variant; LEGEND explains them."""
    compared = any(row.against for row in rows)
    (base,) = [row.variant.name for row in rows if not row.against] if compared else [""]
    print_table(
        ["", "PSNR", "held-out", "over bicubic", *([f"over {base}"] * compared), *shown],
        [
            [
                row.variant.name,
                *(within(found, 2) for found in (row.psnr, row.held_out, row.gain)),
                *([within(row.against, 2) if row.against else ""] * compared),
                *(within(row.moments[name]) for name in shown),
            ]
            for row in rows
        ],
    )


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print aligned columns, the first to the left."""
    cells = [header, *rows]
    widths = [max(len(row[i]) for row in cells) for i in range(len(header))]
    for first, *rest in cells:
        padded = [cell.rjust(width) for cell, width in zip(rest, widths[1:], strict=True)]
        print("  ".join([first.ljust(widths[0]), *padded]).rstrip())


def write(
    options: argparse.Namespace, rows: Sequence[Row], x_label: str, shown: Sequence[str] = SHOWN
) -> None:
    """Print the legend of the printed rows; write their figures as JSON and as a plot."""
    print(LEGEND)
    write_json(
        options,
        {
            row.variant.name: {
                "psnr": vars(row.psnr),
                "held_out_psnr": vars(row.held_out),
                "over_bicubic": vars(row.gain),
                "over_base": vars(row.against) if row.against else None,
                "moments": {name: vars(found) for name, found in row.moments.items()},
            }
            for row in rows
        },
    )
    save(plot(rows, x_label, shown), options)


def plot(rows: Sequence[Row], x_label: str, shown: Sequence[str]) -> Figure:
    """Plot PSNR, held-out-pixel PSNR over the base variant's or bicubic's, and moments, by variant."""
    named = any(row.variant.x is None for row in rows)
    x = list(range(len(rows))) if named else [row.variant.x for row in rows]
    line = "" if named else "-"
    compared = any(row.against for row in rows)
    zero = BootstrapEstimate(0.0, 0.0, 0.0, 0.0)
    over = [(row.against or zero) if compared else row.gain for row in rows]
    base = next(row.variant.name for row in rows if not row.against) if compared else "bicubic"
    figure = Figure(figsize=(14, 4.4), dpi=120, layout="constrained")
    on, between, moments = figure.subplots(1, 3)
    draw(on, x, [row.psnr for row in rows], "fitted pixels", line)
    draw(between, x, over, "held-out pixels", line)
    for name in shown:
        draw(moments, x, [row.moments[name] for row in rows], name, line)
    moments.legend(frameon=False, fontsize=8)
    for axes, label in (
        (on, "PSNR, dB"),
        (between, f"held-out-pixel PSNR, dB over {base}"),
        (moments, "mean over Gaussians, (squared) grid spacings"),
    ):
        axes.set(xlabel=x_label, ylabel=label)
        axes.spines[["top", "right"]].set_visible(False)
        if named:
            axes.set_xticks(x, [row.variant.name for row in rows], rotation=20, ha="right", fontsize=8)
        else:
            if max(x) >= FAR * min(x):
                axes.set_xscale("log")
                axes.minorticks_off()
            axes.set_xticks(x, [f"{value:.4g}" for value in x], fontsize=8)
    between.axhline(0, color="grey", linewidth=0.8, zorder=0)
    return figure


def draw(
    axes: Axes, x: Sequence[float], found: Sequence[BootstrapEstimate], label: str, line: str = "-"
) -> None:
    """Draw points with their intervals, and a line through them if `line` is one."""
    values = np.array([one.value for one in found])
    errors = np.nan_to_num([(one.value - one.low, one.high - one.value) for one in found]).T
    marks = {"marker": "o", "markersize": 4, "capsize": 2, "linestyle": line}
    axes.errorbar(x, values, np.maximum(errors, 0), label=label, **marks)


def save(figure: Figure, options: argparse.Namespace) -> None:
    """Write the plot."""
    options.plot.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(options.plot) as partial:
        figure.savefig(partial, format=options.plot.suffix[1:] or "png")
    print(f"{options.plot} and {options.out} written")


def write_json(options: argparse.Namespace, figures: object) -> None:
    """Write the figures and the options that they were made with."""
    about = {name: str(value) for name, value in vars(options).items() if name not in ("out", "plot")}
    for name in ("images", "judges", "store"):  # paths on this machine are private
        if about.get(name, "None") != "None":
            about[name] = Path(about[name]).name
    options.out.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(options.out) as partial:
        partial.write_text(json.dumps({"options": about, "figures": figures}, indent=2) + "\n")
