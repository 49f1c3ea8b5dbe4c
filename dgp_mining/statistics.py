"""What is kept of every fitted crop: counts, moments, histograms and a uniform sample of its Gaussians.

All lengths are in grid spacings, 1 / sqrt(Gaussians per pixel of this very fit) (README, Conventions).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from splat2d import DEFAULT_CUTOFF, GaussianField

SAMPLE_SIZE = 256
"""Gaussians sampled from each crop."""

DEAD_AMPLITUDE = 0.5 / 255
"""Largest absolute colour below which a Gaussian is dead: it moves no pixel of an 8-bit image by a level."""

BORDER = 1.0
"""Grid spacings from the crop's border within which a Gaussian belongs to the border: the cut through the
image shapes it, not the image."""

COUNTS = ("gaussians", "degenerate", "outside", "dead", "border", "sampled")
"""Columns of the counts. The first four classes exclude each other, in this order; what is left is the
interior, which alone enters the moments, the histograms and the prior."""

SAMPLE = ("l11", "l21", "l22", "amplitude", "displacement_x", "displacement_y", "border_distance")
"""Columns of the sample; it is drawn from interior and border Gaussians alike, NaN where there are fewer."""

ENTRIES = ("l11", "l21", "l22", "S_xx", "S_xy", "S_yy")
"""The entries whose moments and histograms are kept."""

RANGES = ((0.0, 4.0), (-2.0, 2.0), (0.0, 4.0), (0.0, 8.0), (-4.0, 4.0), (0.0, 8.0))
"""Histogram range of each entry, in (squared) grid spacings; what lies outside counts in the end bins."""

BINS = 80

_PAIRS = tuple((a, b) for block in (0, 3) for a in range(block, block + 3) for b in range(a, block + 3))

MOMENTS = (*ENTRIES, *(f"{ENTRIES[a]}*{ENTRIES[b]}" for a, b in _PAIRS))
"""Columns of the moments: the six means, then the mean products within each triple (raw second moments)."""

NBYTES = 8 * (len(COUNTS) + len(MOMENTS) + len(ENTRIES) * BINS) + 4 * SAMPLE_SIZE * len(SAMPLE)
"""Size of one crop's statistics before compression."""

SETTINGS = {"sample": SAMPLE_SIZE, "dead": DEAD_AMPLITUDE, "border": BORDER, "bins": BINS, "ranges": RANGES}
"""The numbers that determine the statistics, for the fingerprint of a store."""


CLASSES = ("degenerate", "outside", "dead", "border", "interior")
"""What a Gaussian can be: not positive definite, or not finite; with a cut-off ellipse that misses the crop;
invisible; near the side of the crop, which distorts it; or what a prior is made of."""


@dataclass(frozen=True, eq=False)
class Statistics:
    """The statistics of one fitted crop."""

    counts: np.ndarray
    """[6] int64, columns COUNTS."""
    moments: np.ndarray
    """[18] float64, columns MOMENTS, over the interior Gaussians; NaN where there are none."""
    histograms: np.ndarray
    """[6, BINS] int64, rows ENTRIES, over the interior Gaussians."""
    sample: np.ndarray
    """[SAMPLE_SIZE, 7] float32, columns SAMPLE."""


def measure(field: GaussianField, start: np.ndarray, rng: np.random.Generator) -> Statistics:
    """The statistics of a field of one row, fitted from means `start` [N, 2] (both in pixels of the crop)."""
    height, width = field.size
    means, cholesky, colors = (
        tensor[0].detach().cpu().double().numpy() for tensor in (field.means, field.cholesky, field.colors)
    )
    spacing = np.sqrt(height * width / max(1, len(means)))  # px
    classes = classify(means, cholesky, colors, height, width, spacing)
    interior = classes == CLASSES.index("interior")
    living = interior | (classes == CLASSES.index("border"))

    chosen = np.flatnonzero(living)
    if len(chosen) > SAMPLE_SIZE:
        chosen = np.sort(rng.choice(chosen, SAMPLE_SIZE, replace=False))
    sample = np.full((SAMPLE_SIZE, len(SAMPLE)), np.nan, np.float32)
    sample[: len(chosen)] = np.column_stack(
        [
            cholesky[chosen] / spacing,
            np.abs(colors[chosen]).max(axis=1),
            (means[chosen] - np.asarray(start)[chosen]) / spacing,
            border_distance(means[chosen], height, width) / spacing,
        ]
    )
    l11, l21, l22 = cholesky[interior].T / spacing
    entries = np.stack([l11, l21, l22, l11 * l11, l11 * l21, l21 * l21 + l22 * l22])  # [6, n]
    number = np.bincount(classes, minlength=len(CLASSES))
    return Statistics(
        counts=np.array(
            [len(means), *(number[CLASSES.index(c)] for c in COUNTS[1:-1]), len(chosen)], np.int64
        ),
        moments=_moments(entries),
        histograms=np.stack([_histogram(row, *limits) for row, limits in zip(entries, RANGES, strict=True)]),
        sample=sample,
    )


def classify(
    means: np.ndarray,  # [N, 2] px
    cholesky: np.ndarray,  # [N, 3] px
    colors: np.ndarray,  # [N, C]
    height: float,
    width: float,
    spacing: float,  # px
) -> np.ndarray:  # [N] int
    """The class of each Gaussian, as an index into CLASSES: the first that applies."""
    columns = np.concatenate([means.T, cholesky.T, colors.T])  # [5 + C, N]: numpy is slow along short axes
    x, y, l11, l21, l22 = columns[:5]
    determinant = (l11 * l11) * (l21 * l21 + l22 * l22) - (l11 * l21) ** 2
    definite = (l11 > 0) & (l22 > 0) & (determinant > 0)  # the last for what underflows
    reach_x, reach_y = DEFAULT_CUTOFF * l11, DEFAULT_CUTOFF * np.hypot(l21, l22)
    outside = (x + reach_x < 0) | (x - reach_x > width) | (y + reach_y < 0) | (y - reach_y > height)
    applies = [
        ~(np.isfinite(columns).all(axis=0) & definite),
        outside,
        np.abs(columns[5:]).max(axis=0) < DEAD_AMPLITUDE,
        border_distance(means, height, width) < BORDER * spacing,
    ]
    return np.select(applies, range(len(applies)), CLASSES.index("interior"))


def border_distance(means: np.ndarray, height: float, width: float) -> np.ndarray:  # [N]
    """Distance of each mean [N, 2] from the nearest side of the crop; negative outside of it."""
    x, y = means.T
    return np.minimum(np.minimum(x, width - x), np.minimum(y, height - y))


def prior_sample(sample: np.ndarray) -> np.ndarray:
    """The Cholesky factors [n, 3], float64 grid spacings, of the interior Gaussians in stored samples
    [..., SAMPLE_SIZE, 7], in their order: what a dictionary is made of."""
    rows = sample.reshape(-1, len(SAMPLE)).astype(np.float64)
    return rows[rows[:, SAMPLE.index("border_distance")] >= BORDER, :3]  # false for NaN


def _moments(entries: np.ndarray) -> np.ndarray:  # [6, n] -> [18]
    if not entries.size:
        return np.full(len(MOMENTS), np.nan)
    return np.array([*entries.mean(axis=1), *((entries[a] * entries[b]).mean() for a, b in _PAIRS)])


def _histogram(values: np.ndarray, low: float, high: float) -> np.ndarray:  # [n] -> [BINS] int64
    bins = np.clip((values - low) * (BINS / (high - low)), 0, BINS - 1).astype(np.int64)
    return np.bincount(bins, minlength=BINS)
