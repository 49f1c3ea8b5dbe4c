"""The statistics of a fitted crop: counts, moments, histograms, and a uniform sample of its Gaussians.

All lengths are in grid spacings, 1 / sqrt(Gaussians per pixel of this fit).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from splat2d import DEFAULT_CUTOFF, GaussianField

from ..native import gaussians as native
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

MOMENTS = (*AVERAGED, *(f"{AVERAGED[a]}*{AVERAGED[b]}" for a, b in native.PAIRS))
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


_LIMITS = native.Limits(DEFAULT_CUTOFF, DEAD_AMPLITUDE, BORDER, np.array(RANGES), BINS)


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
        tensor[0].detach().to("cpu", torch.float32).numpy()
        for tensor in (field.means, field.cholesky, field.colors)
    )
    spacing = float(np.sqrt(height * width / max(1, len(means))))  # px
    found = native.measure_gaussians(means, cholesky, colors, field.size, spacing, _LIMITS)
    chosen = np.flatnonzero(found.classes >= native.BORDER)
    if len(chosen) > SAMPLE_SIZE:
        chosen = np.sort(rng.choice(chosen, SAMPLE_SIZE, replace=False))
    x_y, lengths = means[chosen].astype(np.float64), cholesky[chosen].astype(np.float64)
    sample = np.full((SAMPLE_SIZE, len(SAMPLE)), np.nan, np.float32)
    sample[: len(chosen)] = np.column_stack(
        [
            lengths / spacing,
            np.abs(colors[chosen]).max(axis=1),
            (x_y - np.asarray(start)[chosen]) / spacing,
            border_distance(x_y, height, width) / spacing,
        ]
    )
    number = [np.count_nonzero(found.classes == number) for number in range(len(CLASSES))]
    return Statistics(
        counts=np.array(
            [len(means), *(number[CLASSES.index(c)] for c in COUNTS[1:-1]), len(chosen)], np.int64
        ),
        moments=_moments(found.sums),
        histograms=found.histograms,
        sample=sample,
    )


def _moments(sums: np.ndarray) -> np.ndarray:  # [2, 33] -> [2, 32]
    if not sums[0, -1]:
        return np.full((len(WEIGHTS), len(MOMENTS)), np.nan)
    return sums[:, :-1] / sums[:, -1:]


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
