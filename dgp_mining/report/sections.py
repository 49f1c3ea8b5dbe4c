"""The sections of the page on a prior that follow from its Gaussians alone."""

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
from .html import decimal, figure, limits, number, table, with_interval
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
    "ratio": "shorter by longer",
    "angle": "degrees from x towards y",
}

BARS = 60


def distributions(pooled: PooledStatistics, start: float | None) -> str:
    """How each entry is distributed, beside the released dictionary and the width that fits `start` with."""
    released = [(min(values) / PIXELS_PER_SPACING, max(values) / PIXELS_PER_SPACING) for values in VALUES]
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
            beside=weighted,
            band=released[i] if i < 3 else None,
            mark=marks.get(entry),
        )
        figures.append(figure(drawn, f"{SYMBOLS[entry]}, {UNITS[entry]}"))
    rows = []
    for i, entry in enumerate(ENTRIES[:8]):
        found = pooled.estimate({entry: 1})
        spread = math.sqrt(max(pooled.means()[f"{entry}*{entry}"] - found.value**2, 0))
        quantiles = [decimal(q, 2) for q in pooled.quantile(entry, 0.005, 0.5, 0.995)]
        by_amplitude = decimal(pooled.estimate({entry: 1}, "amplitude").value)
        theirs = ["", ""]
        if i < 3:
            low, high = released[i]
            within = ((shapes[entry] >= low) & (shapes[entry] <= high)).mean()
            theirs = [f"{decimal(low, 2)} to {decimal(high, 2)}", f"{within:.1%}"]
        rows.append(
            [SYMBOLS[entry], with_interval(found), by_amplitude, decimal(spread), *quantiles, *theirs]
        )
    header = ["", "mean [95 %]", "by amplitude", "spread", "0.5 %", "median", "99.5 %"]
    header += ["the paper's range", "of ours within"]
    started = (
        " The dashed line is the width that every fit starts from: what stays near it is as much the "
        "recipe's as the photographs'."
        if start is not None
        else ""
    )
    return (
        "<h2>Distributions</h2>"
        "<p>As the paper's Figure 2(b): the three Cholesky entries first, then the covariance, then its "
        f"ellipse. Bars are shares of {len(amplitude):,} sampled Gaussians, each counted once; the line "
        "counts each by its amplitude; the end bars hold what lies outside. The stroke below the axis is the "
        "paper's range, that of the dictionary in its released code, whose numbers are Cholesky entries in "
        "pixels at ×4, halved here to grid spacings (the paper's text calls them variances)."
        f'{started} The table counts all Gaussians.</p><div class="row">{"".join(figures)}</div>'
        + table(header, rows)
        + '<p class="note">Intervals resample images, 2,000 times: what other photographs of this kind would '
        "have given. They do not cover the choice of recipe, density and stopping, on which a prior depends "
        "more.</p>"
    )


def joint_densities(pooled: PooledStatistics, floor: float | None) -> str:
    """Which entries occur together; no fit is narrower than `floor`."""
    shapes, amplitude = _shapes(pooled)
    l11, l21, l22, xx, _, yy, long, ratio, angle = shapes.values()
    l11_view, l21_view, l22_view, long_view = (
        _view(pooled, entry) for entry in ("l11", "l21", "l22", "long_axis")
    )
    long_label, bright = "long axis, spacings", (0.0, _reach(amplitude))
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
        "<h2>What occurs together</h2>"
        "<p>Joint densities of the sampled Gaussians, the denser the more there are (by the cube root). Eq. "
        "6 draws S_xx, S_xy and S_yy independently of each other; where a picture here is no product of its "
        f'margins, that draws shapes which no fit has.{edge}</p><div class="row">{figures}</div>'
    )


def _shapes(pooled: PooledStatistics) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Of the sampled interior Gaussians, by name all ENTRIES, [n] each; and their amplitudes [n]."""
    interior = pooled.sample[pooled.sample[:, SAMPLE.index("border_distance")] >= BORDER]
    cholesky, amplitude = interior[:, :3], interior[:, SAMPLE.index("amplitude")]
    covariance = covariance_from_cholesky(cholesky)
    long, short, angle = principal_axes(covariance)
    columns = (*cholesky.T, *covariance.T, long, short / long, angle)
    return dict(zip(ENTRIES, columns, strict=True)), amplitude


def symmetry(pooled: PooledStatistics) -> str:
    """What mirroring and transposing would change, with errors."""
    tests = {
        "ℓ₂₁: left and right": {"l21": 1},
        "S_xy: left and right": {"S_xy": 1},
        "sine of the doubled direction: left and right": {"sin_2angle": 1},
        "S_xx − S_yy: x and y": {"S_xx": 1, "S_yy": -1},
        "cosine of the doubled direction: x and y": {"cos_2angle": 1},
        "ℓ₁₁ − ℓ₂₂: not a symmetry": {"l11": 1, "l22": -1},
    }
    rows, released = [], np.mean(VALUES[1]) / PIXELS_PER_SPACING
    for name, combination in tests.items():
        found = pooled.estimate(combination)
        by = decimal(found.value / found.error, 1) if found.error else ""
        rows.append([name, decimal(found.value, 4), decimal(found.error, 4), limits(found, 4), by])
    return (
        "<h2>Symmetry</h2>"
        "<p>Mirroring a photograph negates S_xy, transposing it exchanges S_xx and S_yy. A recipe that "
        "treats x and y alike leaves in these differences only what the photographs have: horizons and "
        f"walls. The mean ℓ₂₁ of the released dictionary is {decimal(released, 2)} spacings: the published "
        "start draws it from [0, 1] pixels, and fitting keeps much of that. The last row is no such test: a "
        "Cholesky factor treats x and y unlike even where the Gaussians do not.</p>"
        + table(["", "mean", "standard error", "95 % interval", "in standard errors"], rows)
    )


def fit_quality(pooled: PooledStatistics) -> str:
    """PSNR on the pixels and between them, and what content has to do with it."""
    on, off = pooled.psnr, pooled.held_out_psnr
    at = [0, 5, 25, 50, 75, 95, 100]
    rows = [
        [name, f"{values.mean():.2f}", *(f"{q:.2f}" for q in np.percentile(values, at))]
        for name, values in (("on the pixels", on), ("between the pixels", off))
    ]
    header = ["dB", "mean", "least", "5 %", "25 %", "median", "75 %", "95 %", "most"]
    return (
        "<h2>How well the fits stand for the photographs</h2>"
        "<p>On the pixels: of the rendering against the crop. Between the pixels: the crop is halved, "
        "fitted, rendered at twice the size and compared with the pixels that the fit never saw. Only the "
        "second tells a good prior from one that has learnt the sampling lattice.</p>"
        + table(header, rows)
        + '<div class="row wide">'
        + _on_and_off(on, off)
        + "</div><h3>By content</h3><p>The quarter of the crops with the least of one property, and that "
        "with the most. <em>Contrast</em> is the pixels' standard deviation, <em>gradient</em> a root mean "
        "square, <em>sharpness</em> the Laplacian's root mean square by the gradient's, "
        "<em>coherence</em> how much the gradients within 8×8 pixels are of one direction, <em>noise</em> an "
        "estimate of its standard deviation, and power falls as frequency to the minus <em>spectral "
        "slope</em>. Pixels are in [0, 1], axes in spacings.</p>"
        + table(
            ["", "quarter", "from", "to", "dB on", "dB between", "long axis", "axis ratio"],
            _by_content(pooled, on, off),
        )
    )


def _on_and_off(on: np.ndarray, off: np.ndarray) -> str:
    drawn = on < EXACT_PSNR
    if not drawn.any():
        return ""
    caption, exact = "One point, one crop.", int((~drawn).sum())
    if exact:
        caption += f" {exact:,} of one colour, fitted exactly, are left out."
    labels = ("dB on the pixels", "dB between the pixels")
    return figure(svg.scatter(on[drawn], off[drawn], labels), caption)


def _by_content(pooled: PooledStatistics, on: np.ndarray, off: np.ndarray) -> list[list[str]]:
    rows = []
    for name, values in zip(CONTENT, pooled.content.T, strict=True):
        known = np.isfinite(values)
        if known.sum() < 8:
            continue
        limits = np.quantile(values[known], [0, 0.25, 0.5, 0.75, 1])
        for quarter in (0, 3):
            low, high = limits[quarter], limits[quarter + 1]
            chosen = known & (values >= low) & (values <= high)
            means = pooled.means(chosen)
            rows.append(
                [
                    name.replace("_", " ") if quarter == 0 else "",
                    "lowest" if quarter == 0 else "highest",
                    *(number(low), number(high)),
                    *(f"{on[chosen].mean():.2f}", f"{off[chosen].mean():.2f}"),
                    *(f"{means['long_axis']:.3f}", f"{means['ratio']:.3f}"),
                ]
            )
    return rows


def displacement(pooled: PooledStatistics) -> str:
    """The classes of Gaussians, how far they went and how bright they are."""
    counts = dict(zip(COUNTS, pooled.counts.sum(axis=0).tolist(), strict=True))
    classes = {name: counts[name] for name in ("degenerate", "outside", "dead", "border")}
    everyone = max(counts["gaussians"], 1)
    classes = {"interior": everyone - sum(classes.values()), **classes}
    meaning = {
        "interior": "what the prior is made of",
        "border": "within one spacing of the crop's side, which shapes them",
        "dead": "too faint to move an 8-bit pixel",
        "outside": "drawn nowhere in the crop",
        "degenerate": "not positive definite, or not finite",
    }
    rows = [[f"{name}: {meaning[name]}", f"{n:,}", f"{n / everyone:.2%}"] for name, n in classes.items()]
    columns = dict(zip(SAMPLE, pooled.sample.T, strict=True))
    moved = np.hypot(columns["displacement_x"], columns["displacement_y"])
    figures = [
        svg.histogram(np.histogram(values, BARS, limits)[0], limits, name)
        for name, values, limits in (
            ("displacement from the start", moved, (0.0, _reach(moved))),
            ("amplitude", columns["amplitude"], (0.0, _reach(columns["amplitude"]))),
        )
    ]
    captions = (
        f"Displacement from the start, spacings: mean {moved.mean():.2f}, 99 % below "
        f"{np.quantile(moved, 0.99):.2f}",
        f"Amplitude, the largest of the channels (white: 1): mean {columns['amplitude'].mean():.2f}",
    )
    drawn = "".join(figure(*pair) for pair in zip(figures, captions, strict=True))
    return (
        "<h2>Where the Gaussians went</h2>"
        + table(["", "Gaussians", "share"], rows)
        + f'<div class="row">{drawn}</div>'
    )


def snapshots(store: Store, pooled: PooledStatistics) -> str:
    """The prior at earlier iterations; nothing where there are no snapshots."""
    if not (looks := store.settings.snapshots):
        return ""
    psnr, pooled = _pooled_snapshots(store, pooled.crops, len(looks))
    names = ("l11", "long_axis", "ratio")
    series = {SYMBOLS[name]: pooled[:, MOMENTS.index(name)].tolist() for name in names}
    rows = [
        [f"{look:,}", f"{psnr[i]:.2f}", *(f"{values[i]:.3f}" for values in series.values())]
        for i, look in enumerate(looks)
    ]
    labels = ("iterations", "mean, spacings (ratio: of 1)")
    drawn = figure(svg.lines(looks, series, labels), "") if len(looks) > 1 else ""
    return (
        "<h2>On the way</h2><p>The prior as it would be had the fits been stopped earlier, on the same "
        "schedule of rates.</p>"
        + table(["iterations", "dB on the pixels", *series], rows)
        + f'<div class="row wide">{drawn}</div>'
    )


def _pooled_snapshots(store: Store, crops: np.ndarray, looks: int) -> tuple[np.ndarray, np.ndarray]:
    """At each look: the mean PSNR [looks], and the MOMENTS [looks, 32] over all Gaussians of the crops."""
    psnr, weight, total = np.zeros(looks), np.zeros(looks), np.zeros((looks, len(MOMENTS)))
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
    """What to show of an entry's range: all but the rarest, to whole tenths."""
    low, high = pooled.quantile(entry, 0.001, 0.999)
    least, most = RANGES[ENTRIES.index(entry)]
    bin_width = (most - least) / BINS
    low, high = math.floor(low / bin_width) * bin_width, math.ceil(high / bin_width) * bin_width
    if least < 0:
        high = max(-low, high)
        low = -high
    return max(least, min(low, 0.0)), min(most, high + bin_width)


def _reach(values: np.ndarray) -> float:
    return max(float(np.quantile(values, 0.995)) * 1.1, 1e-6)
