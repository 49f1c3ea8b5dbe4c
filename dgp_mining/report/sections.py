"""The sections of the report that need only the Gaussians, not the dictionary or images."""

from __future__ import annotations

import math

import numpy as np

from ..covariance import covariance_from_cholesky, principal_axes
from ..fitting.content import CONTENT
from ..fitting.statistics import BINS, BORDER, COUNTS, ENTRIES, MOMENTS, RANGES, SAMPLE
from ..prior.continuoussr_table import PIXELS_PER_SPACING, VALUES
from ..store.crop_results import EXACT_PSNR
from ..store.store import Store
from . import svg
from .html import decimal, figure, html_table, interval, mean_decibels, number, with_interval
from .pooled_statistics import BLOCK, PooledStatistics

SYMBOLS = dict(
    zip(
        ENTRIES,
        ("ℓ₁₁", "ℓ₂₁", "ℓ₂₂", "S_xx", "S_xy", "S_yy", "long axis", "axis ratio", "direction"),
        strict=True,
    )
)

UNITS = dict.fromkeys(ENTRIES, "spacings") | {
    **dict.fromkeys(("S_xx", "S_xy", "S_yy"), "squared spacings"),
    "ratio": "shorter / longer",
    "angle": "degrees from x towards y",
}

BARS = 60
"""Number of bars of a histogram."""


def distributions(pooled: PooledStatistics, start: float | None) -> str:
    """Show the distribution of each entry, with ContinuousSR's range and the initial width `start`."""
    table = [(min(values) / PIXELS_PER_SPACING, max(values) / PIXELS_PER_SPACING) for values in VALUES]
    shapes, amplitude = _shapes(pooled)
    marks = dict.fromkeys(("l11", "l22", "long_axis"), start)
    if start is not None:
        marks |= dict.fromkeys(("S_xx", "S_yy"), start * start)
    figures = []
    for i, (entry, values) in enumerate(shapes.items()):
        view = RANGES[i] if entry in ("ratio", "angle") else _view(pooled, entry)
        plain, weighted = (
            np.histogram(values.clip(*view), BARS, view, weights=weights)[0] for weights in (None, amplitude)
        )
        drawn = svg.histogram(
            *(plain, view, f"distribution of {SYMBOLS[entry]}"),
            line=weighted,
            band=table[i] if i < 3 else None,
            mark=marks.get(entry),
        )
        figures.append(figure(drawn, f"{SYMBOLS[entry]}, {UNITS[entry]}"))
    rows = []
    for i, entry in enumerate(ENTRIES[:8]):
        found = pooled.estimate({entry: 1})
        spread = math.sqrt(max(pooled.means()[f"{entry}*{entry}"] - found.value**2, 0))
        quantiles = [decimal(q, 2) for q in pooled.quantile(entry, 0.005, 0.5, 0.995)]
        by_amplitude = decimal(pooled.estimate({entry: 1}, "amplitude").value)
        compared = ["", ""]
        if i < 3:
            low, high = table[i]
            within = ((shapes[entry] >= low) & (shapes[entry] <= high)).mean()
            compared = [f"{decimal(low, 2)} to {decimal(high, 2)}", f"{within:.1%}"]
        rows.append(
            [SYMBOLS[entry], with_interval(found), by_amplitude, decimal(spread), *quantiles, *compared]
        )
    header = ["", "mean [95 %]", "mean by amplitude", "spread", "0.5 %", "median", "99.5 %"]
    header += ["ContinuousSR", "share within"]
    started = (
        " The dashed line is the initial width of every Gaussian: values near it come as much from the "
        "recipe as from the photographs."
        if start is not None
        else ""
    )
    return (
        "<h2>Distributions</h2>"
        "<p>As in the paper's Figure 2(b): first the three Cholesky entries, then the covariance, then its "
        f"ellipse. Bars are shares of {len(amplitude):,} sampled Gaussians; the line weights each Gaussian "
        "by its amplitude; the end bars include all values outside the range. The stroke below the axis is "
        "the range of the ContinuousSR table, the dictionary in ContinuousSR's code: Cholesky entries in "
        "pixels at ×4 (the paper's text calls them variances), halved here to grid spacings."
        f"{started} The table counts all Gaussians; its last columns "
        f'are that range and the share of Gaussians within it.</p><div class="row">{"".join(figures)}</div>'
        + html_table(header, rows)
        + '<p class="note">Intervals are from 2,000 bootstrap samples of the images, and cover the choice of '
        "photographs of this kind. They do not cover the choice of recipe, density and stopping, on which a "
        "prior depends more.</p>"
    )


def joint_densities(pooled: PooledStatistics, floor: float | None) -> str:
    """Show the joint densities of pairs of entries; `floor` is the recipe's smallest width."""
    shapes, amplitude = _shapes(pooled)
    l11, l21, l22, xx, _, yy, long, ratio, angle = shapes.values()
    l11_view, l21_view, l22_view, long_view = (
        _view(pooled, entry) for entry in ("l11", "l21", "l22", "long_axis")
    )
    long_label, bright = "long axis, spacings", (0.0, _upper_limit(amplitude))
    pairs = [
        (l11, l22, (l11_view, l22_view), ("ℓ₁₁, spacings", "ℓ₂₂, spacings")),
        (l21, l22, (l21_view, l22_view), ("ℓ₂₁, spacings", "ℓ₂₂, spacings")),
        (np.sqrt(xx), np.sqrt(yy), (long_view, long_view), ("√S_xx, spacings", "√S_yy, spacings")),
        (long, ratio, (long_view, (0.0, 1.0)), (long_label, "axis ratio")),
        (angle, ratio, ((-90.0, 90.0), (0.0, 1.0)), ("direction, degrees", "axis ratio")),
        (long, amplitude, (long_view, bright), (long_label, "amplitude (white: 1)")),
    ]
    figures = "".join(figure(svg.density(*pair), "") for pair in pairs)
    edge = f" The edge at {floor:g} is the recipe's floor on a Gaussian's width." if floor else ""
    return (
        "<h2>Joint densities</h2>"
        "<p>Joint densities of the sampled Gaussians; opacity is the cube root of their number. Eq. 6 draws "
        "S_xx, S_xy and S_yy independently of each other; if a density here is not the product of its "
        f'marginals, Eq. 6 draws shapes that no fit has.{edge}</p><div class="row">{figures}</div>'
    )


def _shapes(pooled: PooledStatistics) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Return all ENTRIES of the sampled interior Gaussians, [n] each, and their amplitudes [n]."""
    interior = pooled.sample[pooled.sample[:, SAMPLE.index("border_distance")] >= BORDER]
    cholesky, amplitude = interior[:, :3], interior[:, SAMPLE.index("amplitude")]
    covariance = covariance_from_cholesky(cholesky)
    long, short, angle = principal_axes(covariance)
    columns = (*cholesky.T, *covariance.T, long, short / long, angle)
    return dict(zip(ENTRIES, columns, strict=True)), amplitude


def symmetry(pooled: PooledStatistics) -> str:
    """Show the asymmetries of the prior under mirroring and transposing, with standard errors."""
    tests = {
        "ℓ₂₁: left and right": {"l21": 1},
        "S_xy: left and right": {"S_xy": 1},
        "sine of the doubled direction: left and right": {"sin_2angle": 1},
        "S_xx − S_yy: x and y": {"S_xx": 1, "S_yy": -1},
        "cosine of the doubled direction: x and y": {"cos_2angle": 1},
        "ℓ₁₁ − ℓ₂₂: not a symmetry": {"l11": 1, "l22": -1},
    }
    rows, table_mean = [], float(np.mean(VALUES[1])) / PIXELS_PER_SPACING
    for name, combination in tests.items():
        found = pooled.estimate(combination)
        in_errors = decimal(found.value / found.error, 1) if found.error else ""
        rows.append([name, decimal(found.value, 4), decimal(found.error, 4), interval(found, 4), in_errors])
    return (
        "<h2>Symmetry</h2>"
        "<p>Mirroring a photograph negates S_xy, transposing it exchanges S_xx and S_yy. With a recipe that "
        "treats x and y alike, these differences come from the photographs only: horizons and walls. The "
        f"mean ℓ₂₁ of the ContinuousSR table is {decimal(table_mean, 2)} spacings: GaussianImage's "
        "initialisation draws it from [0, 1] pixels, and fitting keeps much of that. The last row does not "
        "test a symmetry: a Cholesky factor treats x and y differently even if the Gaussians do not.</p>"
        + html_table(["", "mean", "standard error", "95 % interval", "in standard errors"], rows)
    )


def fit_quality(pooled: PooledStatistics) -> str:
    """Show PSNR and held-out-pixel PSNR, also by image content."""
    at = [0, 5, 25, 50, 75, 95, 100]
    measured = np.isfinite(pooled.held_out_psnr)
    some = "" if measured.all() else f" It was measured on {measured.sum():,} of the {len(measured):,} crops."
    rows = [
        [name, f"{values.mean():.2f}", *(f"{q:.2f}" for q in np.percentile(values, at))]
        for name, values in (("PSNR", pooled.psnr), ("held-out-pixel PSNR", pooled.held_out_psnr[measured]))
        if len(values)
    ]
    header = ["dB", "mean", "lowest", "5 %", "25 %", "median", "75 %", "95 %", "highest"]
    return (
        "<h2>Quality of the fits</h2>"
        "<p>PSNR compares the rendered field with the fitted pixels. Held-out-pixel PSNR fits the "
        "×2-downsampled crop, renders the field at ×2 and compares it with the crop, whose pixels the fit "
        "never saw. Only the second distinguishes a good prior from one that overfits the pixel grid."
        + f"{some}</p>"
        + html_table(header, rows)
        + '<div class="row wide">'
        + _both_psnrs(pooled.psnr[measured], pooled.held_out_psnr[measured])
        + "</div><h3>By content</h3><p>The quarters of the crops with the lowest and the highest values of "
        "each descriptor. <em>Contrast</em> is the standard deviation of the pixels, <em>gradient</em> the "
        "root mean square of the gradient, <em>sharpness</em> that of the Laplacian divided by that of the "
        "gradient, <em>coherence</em> how much the gradients within 8×8 pixels share a direction, "
        "<em>noise</em> the estimated standard deviation of the noise; power is proportional to frequency to "
        "the minus <em>spectral slope</em>. Pixels are in [0, 1], axes in spacings.</p>"
        + html_table(
            ["", "quarter", "from", "to", "PSNR", "held-out-pixel PSNR", "long axis", "axis ratio"],
            _by_content(pooled),
        )
    )


def _both_psnrs(psnr: np.ndarray, held_out_psnr: np.ndarray) -> str:
    drawn = psnr < EXACT_PSNR
    if not drawn.any():
        return ""
    caption, exact = "One point per crop.", int((~drawn).sum())
    if exact:
        caption += f" {exact:,} crops of a single colour, which are fitted exactly, are left out."
    labels = ("PSNR, dB", "held-out-pixel PSNR, dB")
    return figure(svg.scatter(psnr[drawn], held_out_psnr[drawn], labels), caption)


def _by_content(pooled: PooledStatistics) -> list[list[str]]:
    rows = []
    for name, values in zip(CONTENT, pooled.content.T, strict=True):
        known = np.isfinite(values)
        if known.sum() < 8:
            continue
        edges = np.quantile(values[known], [0, 0.25, 0.5, 0.75, 1])
        for quarter in (0, 3):
            low, high = edges[quarter], edges[quarter + 1]
            chosen = known & (values >= low) & (values <= high)
            means = pooled.means(chosen)
            rows.append(
                [
                    name.replace("_", " ") if quarter == 0 else "",
                    "lowest" if quarter == 0 else "highest",
                    *(number(low), number(high)),
                    *(mean_decibels(values[chosen]) for values in (pooled.psnr, pooled.held_out_psnr)),
                    *(f"{means['long_axis']:.3f}", f"{means['ratio']:.3f}"),
                ]
            )
    return rows


def displacement(pooled: PooledStatistics) -> str:
    """Show the classes of Gaussians, their displacement from the initialisation, and their amplitudes."""
    counts = dict(zip(COUNTS, pooled.counts.sum(axis=0).tolist(), strict=True))
    classes = {name: counts[name] for name in ("degenerate", "outside", "dead", "border")}
    total = max(counts["gaussians"], 1)
    classes = {"interior": total - sum(classes.values()), **classes}
    meaning = {
        "interior": "the prior is made from these",
        "border": "within one spacing of a side of the crop, which distorts them",
        "dead": "too faint to change a pixel of 8 bits",
        "outside": "covering no pixel of the crop",
        "degenerate": "not positive definite, or not finite",
    }
    rows = [[f"{name}: {meaning[name]}", f"{n:,}", f"{n / total:.2%}"] for name, n in classes.items()]
    columns = dict(zip(SAMPLE, pooled.sample.T, strict=True))
    distance = np.hypot(columns["displacement_x"], columns["displacement_y"])
    figures = [
        svg.histogram(np.histogram(values, BARS, limits)[0], limits, name)
        for name, values, limits in (
            ("displacement from the start", distance, (0.0, _upper_limit(distance))),
            ("amplitude", columns["amplitude"], (0.0, _upper_limit(columns["amplitude"]))),
        )
    ]
    captions = (
        f"Displacement from the start, spacings: mean {distance.mean():.2f}, 99 % below "
        f"{np.quantile(distance, 0.99):.2f}",
        f"Amplitude, the largest of the channels (white: 1): mean {columns['amplitude'].mean():.2f}",
    )
    drawn = "".join(figure(*pair) for pair in zip(figures, captions, strict=True))
    return (
        "<h2>Displacement and amplitude</h2>"
        + html_table(["", "Gaussians", "share"], rows)
        + f'<div class="row">{drawn}</div>'
    )


def snapshots(store: Store, pooled: PooledStatistics) -> str:
    """Show the prior at earlier iterations; empty if the store has no snapshots."""
    if not (iterations := store.settings.snapshots):
        return ""
    psnr, moments = _pooled_snapshots(store, pooled.crops, len(iterations))
    names = ("l11", "long_axis", "ratio")
    series = {SYMBOLS[name]: moments[:, MOMENTS.index(name)].tolist() for name in names}
    rows = [
        [f"{at:,}", f"{psnr[i]:.2f}", *(f"{values[i]:.3f}" for values in series.values())]
        for i, at in enumerate(iterations)
    ]
    labels = ("iterations", "mean, spacings (ratio: no unit)")
    drawn = figure(svg.lines(iterations, series, labels), "") if len(iterations) > 1 else ""
    return (
        "<h2>Snapshots</h2><p>The prior if the fits had been stopped earlier, with the same schedule of "
        "learning rates.</p>"
        + html_table(["iterations", "PSNR, dB", *series], rows)
        + f'<div class="row wide">{drawn}</div>'
    )


def _pooled_snapshots(store: Store, crops: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean PSNR [count] and the pooled MOMENTS [count, 32] of the crops at each snapshot."""
    psnr, weight, total = np.zeros(count), np.zeros(count), np.zeros((count, len(MOMENTS)))
    for first in range(0, len(crops), BLOCK):
        block = crops[first : first + BLOCK]
        found = store.at(block).snapshots
        counted = found.histograms[:, :, 0, 0].sum(axis=-1)
        moments = np.nan_to_num(found.moments[:, :, 0])
        psnr += found.psnr.sum(axis=0)
        weight += counted.sum(axis=0)
        total += (counted[..., None] * moments).sum(axis=0)
    return psnr / len(crops), total / np.maximum(weight, 1)[:, None]


def _view(pooled: PooledStatistics, entry: str) -> tuple[float, float]:
    """Return the range of an entry to show, in whole bins and without the rarest values."""
    low, high = pooled.quantile(entry, 0.001, 0.999)
    least, most = RANGES[ENTRIES.index(entry)]
    bin_width = (most - least) / BINS
    low, high = math.floor(low / bin_width) * bin_width, math.ceil(high / bin_width) * bin_width
    if least < 0:
        high = max(-low, high)
        low = -high
    return max(least, min(low, 0.0)), min(most, high + bin_width)


def _upper_limit(values: np.ndarray) -> float:
    return max(float(np.quantile(values, 0.995)) * 1.1, 1e-6)
