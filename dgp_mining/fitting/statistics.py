"""The statistics of a fitted crop: counts, moments, histograms, and a uniform sample of its Gaussians.

All lengths are in grid spacings, 1 / sqrt(Gaussians per pixel of this fit).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from splat2d import DEFAULT_CUTOFF, GaussianField

from ..covariance import covariance_from_cholesky, major_axis
from .content import CONTENT

SAMPLE_SIZE = 256
"""Gaussians sampled from each crop."""

DEAD_AMPLITUDE = 0.5 / 255
"""A Gaussian whose largest absolute colour is below this is dead: it changes no pixel of an 8-bit image."""

BORDER = 1.0
"""A Gaussian within this many grid spacings of the crop's border is a border Gaussian: the crop's edge
shapes it more than the image."""

COUNTS = ("gaussians", "degenerate", "outside", "dead", "border", "sampled")
"""Columns of the counts. The classes from degenerate to border are exclusive (the first that applies);
all other Gaussians are interior, and only these enter the moments, the histograms and the prior."""

SAMPLE = ("l11", "l21", "l22", "amplitude", "displacement_x", "displacement_y", "border_distance")
"""Columns of the sample. It is drawn from interior and border Gaussians alike; unused rows are NaN."""

ENTRIES = ("l11", "l21", "l22", "S_xx", "S_xy", "S_yy", "long_axis", "ratio", "angle")
"""The entries with histograms: the Cholesky factor; the covariance; and of its ellipse, the standard
deviation along the longer axis, the ratio of the shorter to the longer axis, and the direction of the longer
axis in degrees from x towards y, in (-90, 90]."""

RANGES = (
    *((0.0, 4.0), (-2.0, 2.0), (0.0, 4.0)),
    *((0.0, 8.0), (-4.0, 4.0), (0.0, 8.0)),
    *((0.0, 4.0), (0.0, 1.0), (-90.0, 90.0)),
)
"""Histogram range of each entry, in (squared) grid spacings; values outside count in the end bins."""

BINS = 80

AVERAGED = (*ENTRIES[:8], "cos_2angle", "sin_2angle")
"""The entries with moments: the direction, which has no mean, is replaced by its doubled angle's vector."""

_PAIRS = tuple(
    (a, b) for block in (range(3), range(3, 6), range(6, 10)) for a in block for b in block if b >= a
)

MOMENTS = (*AVERAGED, *(f"{AVERAGED[a]}*{AVERAGED[b]}" for a, b in _PAIRS))
"""Columns of the moments: the means, then the mean products within each block (raw second moments)."""

WEIGHTS = ("plain", "amplitude")
"""The weights of Gaussians in moments and histograms: 1, or the largest absolute colour of each."""

NBYTES = 8 * (
    len(COUNTS) + len(CONTENT) + len(WEIGHTS) * (len(MOMENTS) + len(ENTRIES) * BINS)
) + 4 * SAMPLE_SIZE * len(SAMPLE)
"""Size of one crop's statistics and content before compression."""

CLASSES = ("degenerate", "outside", "dead", "border", "interior")
"""The classes of Gaussians: not positive definite or not finite; with a cut-off ellipse whose bounding box
misses the crop; too faint to see; near a side of the crop, which distorts it; and all others, the prior's."""


@dataclass(frozen=True, eq=False)
class Statistics:
    """The statistics of one fitted crop."""

    counts: np.ndarray
    """[6] int64, columns COUNTS."""
    moments: np.ndarray
    """[2, 32] float64, rows WEIGHTS, columns MOMENTS, over the interior Gaussians; NaN if there are none."""
    histograms: np.ndarray
    """[2, 9, BINS] float64, by WEIGHTS and ENTRIES: sums of weights over the interior Gaussians."""
    sample: np.ndarray
    """[SAMPLE_SIZE, 7] float32, columns SAMPLE."""


def measure(field: GaussianField, start: np.ndarray, rng: np.random.Generator) -> Statistics:
    """Measure a field (B = 1) that was fitted from means `start` [N, 2], both in pixels of the crop.

    `rng` draws the sample, if more than SAMPLE_SIZE Gaussians are interior or at the border.
    """
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
            _largest(colors[chosen]),
            (means[chosen] - np.asarray(start)[chosen]) / spacing,
            border_distance(means[chosen], height, width) / spacing,
        ]
    )
    entries, amplitude = _entries(cholesky[interior] / spacing), _largest(colors[interior])
    number = np.bincount(classes, minlength=len(CLASSES))
    return Statistics(
        counts=np.array(
            [len(means), *(number[CLASSES.index(c)] for c in COUNTS[1:-1]), len(chosen)], np.int64
        ),
        moments=_moments(entries, amplitude),
        histograms=_histograms(entries, amplitude),
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
    """Return the class of each Gaussian: the index of the first of CLASSES that applies."""
    columns = np.concatenate([means.T, cholesky.T, colors.T])  # [5 + C, N]: numpy is slow along short axes
    x, y, l11, l21, l22 = columns[:5]
    determinant = (l11 * l11) * (l21 * l21 + l22 * l22) - (l11 * l21) ** 2
    definite = (l11 > 0) & (l22 > 0) & (determinant > 0)  # the last one fails on underflow
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
    """Return the distance of each mean [N, 2] from the nearest side of the crop; negative outside it."""
    x, y = means.T
    return np.minimum(np.minimum(x, width - x), np.minimum(y, height - y))


def prior_sample(sample: np.ndarray) -> np.ndarray:
    """Return the Cholesky factors of the interior Gaussians in stored samples, from which priors are built.

    [..., SAMPLE_SIZE, 7] -> [n, 3] float64, grid spacings, in the order of the samples.
    """
    rows = sample.reshape(-1, len(SAMPLE)).astype(np.float64)
    return rows[rows[:, SAMPLE.index("border_distance")] >= BORDER, :3]  # false for NaN


def _entries(cholesky: np.ndarray) -> np.ndarray:  # [n, 3] -> [11, n]
    """The rows AVERAGED, and the direction of the longer axis in degrees."""
    covariance = covariance_from_cholesky(cholesky)
    long, cos, sin = major_axis(covariance)
    ratio = cholesky[:, 0] * cholesky[:, 2] / long  # sqrt(determinant) / longer axis squared
    angle = np.degrees(np.arctan2(sin, cos)) / 2
    return np.stack([*cholesky.T, *covariance.T, np.sqrt(long), ratio, cos, sin, angle])


def _moments(entries: np.ndarray, amplitude: np.ndarray) -> np.ndarray:  # [11, n], [n] -> [2, 32]
    if not entries.size:
        return np.full((len(WEIGHTS), len(MOMENTS)), np.nan)
    rows = entries[: len(AVERAGED)]
    plain, weighted = (
        [*scaled.mean(axis=1), *((scaled[a] * rows[b]).mean() for a, b in _PAIRS)]
        for scaled in (rows, rows * amplitude)
    )
    return np.array([plain, np.array(weighted) / amplitude.mean()])


def _histograms(entries: np.ndarray, amplitude: np.ndarray) -> np.ndarray:  # [11, n], [n] -> [2, 9, BINS]
    rows = entries[[*range(8), 10]]
    low, high = np.array(RANGES).T[:, :, None]
    bins = np.clip((rows - low) * (BINS / (high - low)), 0, BINS - 1).astype(np.int64)
    bins += BINS * np.arange(len(ENTRIES))[:, None]
    return np.stack(
        [
            np.bincount(bins.ravel(), weights, BINS * len(ENTRIES)).reshape(len(ENTRIES), BINS)
            for weights in (None, np.tile(amplitude, len(ENTRIES)))
        ]
    ).astype(np.float64)


def _largest(colors: np.ndarray) -> np.ndarray:  # [n, C] -> [n]
    """Return the largest absolute colour of each Gaussian; transposed: numpy is slow along short axes."""
    return np.abs(np.ascontiguousarray(colors.T)).max(axis=0)
