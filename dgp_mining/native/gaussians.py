"""Classes, moments and histograms of the Gaussians of a fitted field: in C++, or the same with numpy."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np

from ..covariance import covariance_from_cholesky, major_axis
from . import library

AVERAGED = 10
"""Entries of a Gaussian that are averaged: l11, l21, l22; S_xx, S_xy, S_yy; the longer axis, the ratio of the
shorter to the longer one, and the cosine and sine of twice the longer one's direction."""

ENTRIES = 9
"""Entries that are counted in histograms: the first eight of those, and the direction."""

PAIRS = tuple(
    (a, b) for block in (range(3), range(3, 6), range(6, AVERAGED)) for a in block for b in block if b >= a
)
"""Averaged entries of which the products are averaged as well: both of the same block."""

DEGENERATE, OUTSIDE, DEAD, BORDER, INTERIOR = range(5)
"""The classes of Gaussians."""

_LANES = 8  # of sums over Gaussians: the i-th is added to the (i % 8)-th, and these then in halves


@dataclass(frozen=True)
class Limits:
    """What the classes and the histograms depend on."""

    cutoff: float
    """Radius of a Gaussian, in standard deviations."""
    dead: float
    """Smallest largest absolute colour of one that lives."""
    border: float
    """Smallest distance from the crop's sides of one in the interior, in grid spacings."""
    ranges: np.ndarray
    """[9, 2] float64, lower and upper end of each histogram."""
    bins: int
    """Number of bins of each histogram; even."""

    @functools.cached_property
    def turns(self) -> np.ndarray:  # [bins / 2 - 1]
        """The cosines of the bins' edges within the half turn of the doubled angle, descending.

        Rounded, since cosines have other last bits on other processors.
        """
        return np.round(np.cos(np.arange(1, self.bins // 2) * (2 * np.pi / self.bins)), 15) + 0.0


@dataclass(frozen=True, eq=False)
class MeasuredGaussians:
    """What the Gaussians of a field add up to; those of the interior, but for the classes."""

    classes: np.ndarray
    """[N] uint8, the first that applies."""
    sums: np.ndarray
    """[2, 33] float64, weights 1 and the largest absolute colour: weighted sums of the averaged entries and
    of the products PAIRS, and the sum of weights."""
    histograms: np.ndarray
    """[2, 9, bins] float64, weighted; values outside of the ranges count in the end bins."""


def measure_gaussians(
    means: np.ndarray,
    cholesky: np.ndarray,
    colors: np.ndarray,
    size: tuple[float, float],
    spacing: float,
    limits: Limits,
) -> MeasuredGaussians:
    """Measure Gaussians with means [N, 2] and Cholesky factors [N, 3], px, and colours [N, C], all float32.

    `size` is the crop's (height, width), px; entries are in units of `spacing`, px. The result has the same
    bits on every processor.
    """
    means, cholesky, colors = (
        np.ascontiguousarray(values, np.float32) for values in (means, cholesky, colors)
    )
    if library.LIBRARY is None:
        return _with_numpy(means, cholesky, colors, size, spacing, limits)
    gaussians, channels = colors.shape
    found = MeasuredGaussians(
        classes=np.empty(gaussians, np.uint8),
        sums=np.empty((2, AVERAGED + len(PAIRS) + 1)),
        histograms=np.empty((2, ENTRIES, limits.bins)),
    )
    ranges, turns = np.ascontiguousarray(limits.ranges, np.float64), limits.turns
    library.call(
        "gaussians",
        library.GaussiansArguments(
            gaussians=gaussians,
            channels=channels,
            bins=limits.bins,
            height=size[0],
            width=size[1],
            spacing=spacing,
            cutoff=limits.cutoff,
            dead=limits.dead,
            border=limits.border,
            means=library.pointer(means),
            cholesky=library.pointer(cholesky),
            colors=library.pointer(colors),
            ranges=library.pointer(ranges),
            turns=library.pointer(turns),
            classes=library.pointer(found.classes),
            sums=library.pointer(found.sums),
            histograms=library.pointer(found.histograms),
        ),
    )
    return found


def _with_numpy(
    means: np.ndarray,
    cholesky: np.ndarray,
    colors: np.ndarray,
    size: tuple[float, float],
    spacing: float,
    limits: Limits,
) -> MeasuredGaussians:
    columns = np.concatenate([means.T, cholesky.T, colors.T]).astype(np.float64)  # [5 + C, N]
    amplitude = np.abs(columns[5:]).max(axis=0)
    with np.errstate(invalid="ignore"):
        classes = _classify(columns, amplitude, size, spacing, limits)
    interior = classes == INTERIOR
    entries, amplitude = _entries(columns[2:5, interior].T / spacing), amplitude[interior]
    return MeasuredGaussians(
        classes=classes,
        sums=_sums(entries, amplitude),
        histograms=_histograms(entries, amplitude, limits),
    )


def _classify(
    columns: np.ndarray, amplitude: np.ndarray, size: tuple[float, float], spacing: float, limits: Limits
) -> np.ndarray:  # [N] uint8
    (height, width), (x, y, l11, l21, l22) = size, columns[:5]
    determinant = (l11 * l11) * (l21 * l21 + l22 * l22) - (l11 * l21) ** 2
    definite = (l11 > 0) & (l22 > 0) & (determinant > 0)  # the last one fails on underflow
    reach_x, reach_y = limits.cutoff * l11, limits.cutoff * np.sqrt(l21 * l21 + l22 * l22)
    outside = (x + reach_x < 0) | (x - reach_x > width) | (y + reach_y < 0) | (y - reach_y > height)
    distance = np.minimum(np.minimum(x, width - x), np.minimum(y, height - y))
    classes = np.full(len(x), INTERIOR, np.uint8)
    classes[distance < limits.border * spacing] = BORDER  # from the last one to the first that applies
    classes[amplitude < limits.dead] = DEAD
    classes[outside] = OUTSIDE
    classes[~(np.isfinite(columns).all(axis=0) & definite)] = DEGENERATE
    return classes


def _entries(cholesky: np.ndarray) -> np.ndarray:  # [n, 3] -> [10, n]
    covariance = covariance_from_cholesky(cholesky)
    long, cos, sin = major_axis(covariance)
    ratio = cholesky[:, 0] * cholesky[:, 2] / long  # sqrt(determinant) / longer axis squared
    return np.stack([*cholesky.T, *covariance.T, np.sqrt(long), ratio, cos, sin])


def _sums(entries: np.ndarray, amplitude: np.ndarray) -> np.ndarray:  # [10, n], [n] -> [2, 33]
    products = [entries[a] * entries[b] for a, b in PAIRS]
    rows = np.stack([*entries, *products, np.ones_like(amplitude)])
    padded = np.zeros((2, len(rows), -(-len(amplitude) // _LANES) * _LANES))
    padded[0, :, : len(amplitude)], padded[1, :, : len(amplitude)] = rows, rows * amplitude
    lanes = padded.reshape(2, len(rows), -1, _LANES).sum(axis=2)
    while lanes.shape[2] > 1:
        half = lanes.shape[2] // 2
        lanes = lanes[:, :, :half] + lanes[:, :, half:]
    return lanes[:, :, 0] + 0.0  # no negative zeros


def _histograms(entries: np.ndarray, amplitude: np.ndarray, limits: Limits) -> np.ndarray:
    low, high = limits.ranges[: ENTRIES - 1].T[:, :, None]
    bins = np.empty((ENTRIES, len(amplitude)), np.int64)
    bins[:-1] = np.clip((entries[: ENTRIES - 1] - low) * (limits.bins / (high - low)), 0, limits.bins - 1)
    bins[-1] = _direction_bins(entries[8], entries[9], limits)
    bins += limits.bins * np.arange(ENTRIES)[:, None]
    number = ENTRIES * limits.bins
    plain = np.bincount(bins.ravel(), None, number).astype(np.float64)
    weighted = np.bincount(bins.ravel(), np.tile(amplitude, ENTRIES), number)
    return np.stack([plain, weighted]).reshape(2, ENTRIES, limits.bins)


def _direction_bins(cos: np.ndarray, sin: np.ndarray, limits: Limits) -> np.ndarray:  # [n] int
    """The bins of directions, of which the cosine and sine of the doubled angle are given.

    By comparing cosines: the arctangent has other last bits on other processors.
    """
    ascending, half = limits.turns[::-1], limits.bins // 2
    forwards = half + len(ascending) - np.searchsorted(ascending, cos, "left")
    backwards = half - 1 - (len(ascending) - np.searchsorted(ascending, cos, "right"))
    return np.where((cos == 0) & (sin == 0), half, np.where(sin < 0, backwards, forwards))
