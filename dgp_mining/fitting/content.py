"""Six image descriptors per crop (contrast, gradient, ...), used to relate the prior to image content."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
import scipy.fft

from ..native.pixels import measure_pixels

CONTENT = ("contrast", "gradient", "sharpness", "coherence", "noise", "spectral_slope")
"""The descriptors of a crop, in order; `measure_content` defines them."""

BLOCK = 8
"""Side in pixels of the blocks over which `coherence` averages directions."""

FREQUENCIES = (0.02, 0.4)
"""The band, in cycles per pixel, in which the spectral slope is fitted: lower frequencies have too few
periods in a crop, and cameras and codecs alter higher ones."""

_NOISE_NORM = 6 * 0.6745
"""Median absolute value of the noise filter's response to white noise of unit variance: the filter has norm
6, and half of a normal distribution lies within 0.6745."""

_LOG_2 = 0.6931471805599453


def measure_content(pixels: np.ndarray) -> np.ndarray:  # [6] float64
    """Return the descriptors CONTENT of a crop [H, W, C] in [0, 1], computed on the mean of its channels.

    - contrast: standard deviation of the pixels.
    - gradient: root mean square of the gradient, per pixel; small for flat crops.
    - sharpness: root mean square of the Laplacian divided by that of the gradient, per pixel; 0 for a
      constant crop. It does not depend on contrast, and is smallest for blurred crops.
    - coherence: how much the gradients within blocks of 8x8 pixels share a direction, in [0, 1]: large for
      edges, small for texture.
    - noise: standard deviation of white noise, from the median response of Immerkaer's filter (CVIU 64,
      1996).
    - spectral_slope: alpha of power ~ frequency^-alpha, about 2 for photographs; NaN for a constant crop.

    >>> measure_content(np.full((16, 16, 3), 0.5, np.float32))[:2].tolist()
    [0.0, 0.0]
    """
    height, width = pixels.shape[:2]
    spectrum = _rings(height, width)
    found = measure_pixels(pixels, spectrum.window, BLOCK)
    squares, energy, curvature, differences, eigenvalues = found.sums.tolist()
    number = (height - 2) * (width - 2)
    return np.array(
        [
            np.sqrt(squares / (height * width)),
            np.sqrt(energy / number),
            np.sqrt(curvature / energy) if energy else 0.0,
            differences / eigenvalues if eigenvalues else 0.0,
            found.middle.mean() / _NOISE_NORM,
            _spectral_slope(found.windowed, spectrum),
        ]
    )


@dataclass(frozen=True, eq=False)
class _Rings:
    """The window and the rings (bands of frequencies) of power spectra of crops of one size."""

    window: np.ndarray
    """[H, W] float32: a Hann window."""
    columns: int
    """Number of columns of the half spectrum that have coefficients in a ring."""
    ring: np.ndarray
    """[H * columns] int: the ring, from 1, of each coefficient; 0 outside FREQUENCIES."""
    number: np.ndarray
    """[rings] float64: coefficients of each ring."""
    log_frequency: np.ndarray
    """[rings] float64: logarithm of each ring's central frequency."""


def _spectral_slope(windowed: np.ndarray, rings: _Rings) -> float:
    rows = scipy.fft.rfft(windowed, axis=1)[:, : rings.columns]
    coefficients = scipy.fft.fft(rows, axis=0, overwrite_x=True)
    power = coefficients.real**2 + coefficients.imag**2
    total = np.bincount(rings.ring, weights=power.ravel(), minlength=len(rings.number) + 1)[1:]
    seen = total > 0
    if seen.sum() < 2:
        return float("nan")
    # The standard error of the logarithm of a ring's mean power is proportional to 1 / sqrt(coefficients).
    return -_slope(rings.log_frequency[seen], _log(total[seen] / rings.number[seen]), rings.number[seen])


def _slope(x: np.ndarray, y: np.ndarray, weights: np.ndarray) -> float:
    """Return the slope of the line through points by weighted least squares."""
    x = x - (weights * x).sum() / weights.sum()
    return float((weights * x * y).sum() / (weights * x * x).sum())


def _log(values: np.ndarray) -> np.ndarray:
    """Return the natural logarithms of positive floats; numpy's have other last bits on other processors."""
    fraction, exponent = np.frexp(values)
    root = np.sqrt(0.5)
    t = (fraction - root) / (fraction + root)  # log(fraction / root) = 2 artanh(t), |t| < 0.18
    series = np.zeros_like(t)
    for k in range(23, 0, -2):
        series = series * (t * t) + 1 / k
    return (exponent - 0.5) * _LOG_2 + 2 * t * series


@functools.lru_cache(maxsize=8)
def _rings(height: int, width: int) -> _Rings:
    # Rounded, since cosines and powers have other last bits on other processors.
    hann = [np.round(np.hanning(side + 2)[1:-1], 12) for side in (height, width)]
    edges = np.round(np.geomspace(*FREQUENCIES, 17), 12)
    across = np.fft.rfftfreq(width)
    across = across[across < FREQUENCIES[1]]
    frequency = np.sqrt(np.fft.fftfreq(height)[:, None] ** 2 + across**2).ravel()
    ring = np.digitize(frequency, edges)
    ring[ring == len(edges)] = 0
    filled = np.unique(ring[ring > 0])  # a small crop has rings without a coefficient
    renumbered = np.zeros(len(edges), np.int64)
    renumbered[filled] = np.arange(1, len(filled) + 1)
    return _Rings(
        window=np.outer(*hann).astype(np.float32),
        columns=len(across),
        ring=renumbered[ring],
        number=np.bincount(renumbered[ring], minlength=len(filled) + 1)[1:].astype(np.float64),
        log_frequency=_log(edges[filled - 1] * edges[filled]) / 2,
    )
