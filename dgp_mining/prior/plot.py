"""A figure of a dictionary: the distributions of its Cholesky entries, and its kernels as ellipses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import EllipseCollection
from matplotlib.figure import Figure

from splat2d.atomic_write import atomic_write

from ..covariance import principal_axes
from .dictionary import Dictionary

ENTRIES = (r"$\ell_{11}$", r"$\ell_{21}$", r"$\ell_{22}$")
ENTRY_COLORS = ("#3b6fb6", "#7a5ea8", "#c0504d")
INK, FAINT = "#222222", "#8a8a8a"


def plot_dictionary(dictionary: Dictionary, path: str | Path) -> None:
    """Draw a dictionary into a file (.png, .pdf, .svg); .png is added to a name without a suffix.

    Raises OSError if the file cannot be written, ValueError for another suffix; the message names the file.
    """
    path = Path(path)
    path = path if path.suffix else path.with_name(f"{path.name}.png")
    figure = Figure(figsize=(12, 7.6), dpi=130, layout="constrained", facecolor="white")
    top, bottom = figure.subfigures(2, 1, squeeze=False, height_ratios=[1, 2.2])[:, 0]
    for i, axes in enumerate(top.subplots(1, 3)):
        _draw_distribution(axes, dictionary.cholesky[:, i], ENTRIES[i], ENTRY_COLORS[i])
    _draw_kernels(bottom.subplots(), dictionary)
    figure.suptitle(_title(dictionary), fontsize=11, color=INK, x=0.01, ha="left", parse_math=False)
    bottom.suptitle(
        "Kernels at one sigma, all at the same scale, from the smallest to the largest",
        fontsize=10,
        color=INK,
        x=0.01,
        ha="left",
    )
    try:
        with atomic_write(path) as partial:
            figure.savefig(partial, format=path.suffix[1:])
    except OSError as error:
        raise OSError(f"{path} cannot be written ({error.strerror or error}): name another file.") from error
    except ValueError as error:  # matplotlib knows no such format
        raise ValueError(f"{path} cannot be written ({error}): name another file.") from error


def _title(dictionary: Dictionary) -> str:
    parts = [f"{len(dictionary)} kernels"]
    about = dictionary.metadata
    if "method" in about:
        symmetric = "symmetric " if about.get("symmetric") else ""
        parts.append(f"{symmetric}{about['method']}")
    if not {"crops", "density", "recipe", "iterations", "psnr"} - {
        name for name, value in about.items() if value is not None
    }:
        parts.append(
            f"mined from {about['crops']:,} crops at {about['density']:g} Gaussians per pixel, "
            f"{about['recipe']} recipe, {about['iterations']} iterations, {about['psnr']:.2f} dB"
        )
    return "Deep Gaussian Prior: " + ", ".join(parts)


def _draw_distribution(axes: Axes, values: np.ndarray, label: str, color: str) -> None:
    axes.hist(values, bins=min(60, max(10, len(values) // 12)), color=color, alpha=0.85)
    axes.axvline(values.mean(), color=INK, linewidth=1)
    axes.set_title(
        f"{label}   mean {round(values.mean(), 2) + 0.0:.2f}, {values.min():.2f} to {values.max():.2f}",
        fontsize=10,
        color=INK,
        loc="left",
    )
    axes.set_xlabel("grid spacings", fontsize=9, color=FAINT)
    axes.tick_params(labelsize=8, colors=FAINT)
    axes.set_yticks([])
    axes.spines[["top", "left", "right"]].set_visible(False)


def _draw_kernels(axes: Axes, dictionary: Dictionary) -> None:
    """Draw the kernels as ellipses at one sigma and at one scale, from the smallest area to the largest."""
    order = np.argsort(dictionary.cholesky[:, 0] * dictionary.cholesky[:, 2], kind="stable")
    widths, heights, angles = (values[order] for values in ellipses(dictionary.covariance))
    columns = int(np.ceil(np.sqrt(len(order) * 2.6)))
    rows = int(np.ceil(len(order) / columns))
    y, x = np.divmod(np.arange(len(order)), columns)
    # The 98th percentile fills a cell; the few larger kernels may overlap their neighbours.
    scale = 0.95 / max(np.quantile(np.maximum(widths, heights), 0.98), 1e-12)
    roundness = np.minimum(widths, heights) / np.maximum(widths, heights)
    kernels = EllipseCollection(
        widths * scale,
        heights * scale,
        angles,
        units="xy",
        offsets=np.column_stack([x, y]),
        transOffset=axes.transData,
        cmap="viridis",
        linewidths=0.4,
        edgecolors="white",
    )
    kernels.set_array(roundness)
    kernels.set_clim(0, 1)
    axes.add_collection(kernels)
    axes.set_xlim(-0.8, columns - 0.2)
    axes.set_ylim(rows - 0.2, -0.8)  # y down, as in images
    axes.set_aspect("equal")
    axes.axis("off")
    bar = axes.figure.colorbar(kernels, ax=axes, shrink=0.5, aspect=25, pad=0.01)
    bar.set_label("shorter axis / longer axis", fontsize=9, color=FAINT)
    bar.ax.tick_params(labelsize=8, colors=FAINT)
    bar.outline.set_visible(False)


def ellipses(covariance: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the full axes at one sigma, longer and shorter, and the angle in degrees from x towards y.

    Each is [K], for covariances [K, 3].
    """
    long, short, angles = principal_axes(covariance)
    return 2 * long, 2 * short, angles
