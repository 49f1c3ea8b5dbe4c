"""Six image descriptors per crop (contrast, gradient, ...), used to relate the prior to image content."""

from __future__ import annotations

import functools

import numpy as np
import scipy.fft

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
    grey = np.ascontiguousarray(pixels.mean(axis=2, dtype=np.float32))
    across, along = grey[:, 2:] - grey[:, :-2], grey[2:] - grey[:-2]
    gx, gy = across[1:-1] / 2, along[:, 1:-1] / 2
    energy = float(np.mean(gx * gx + gy * gy, dtype=np.float64))
    second_x = grey[:, 2:] - 2 * grey[:, 1:-1] + grey[:, :-2]  # [H, W - 2]
    second_y = grey[2:] - 2 * grey[1:-1] + grey[:-2]  # [H - 2, W]
    laplacian = second_x[1:-1] + second_y[:, 1:-1]
    fourth = second_x[2:] - 2 * second_x[1:-1] + second_x[:-2]
    curvature = float(np.mean(laplacian * laplacian, dtype=np.float64))
    return np.array(
        [
            grey.std(dtype=np.float64),
            np.sqrt(energy),
            np.sqrt(curvature / energy) if energy else 0.0,
            _coherence(gx, gy),
            np.median(np.abs(fourth)) / _NOISE_NORM,
            _spectral_slope(grey),
        ]
    )


def _coherence(gx: np.ndarray, gy: np.ndarray) -> float:
    """The difference of the structure tensor's eigenvalues divided by their sum, each summed over blocks."""
    xx, xy, yy = (_block_sums(product) for product in (gx * gx, gx * gy, gy * gy))
    total = float((xx + yy).sum())
    return float(np.hypot(xx - yy, 2 * xy).sum()) / total if total else 0.0


def _block_sums(values: np.ndarray) -> np.ndarray:
    rows, columns = values.shape[0] // BLOCK, values.shape[1] // BLOCK
    whole = values[: rows * BLOCK, : columns * BLOCK]
    return whole.reshape(rows, BLOCK, columns, BLOCK).sum(axis=(1, 3), dtype=np.float64)


def _spectral_slope(grey: np.ndarray) -> float:
    window, ring, log_frequency = _rings(*grey.shape)
    power = np.abs(scipy.fft.rfft2((grey - grey.mean()) * window)) ** 2
    number = np.bincount(ring, minlength=len(log_frequency) + 1)[1:]
    total = np.bincount(ring, weights=power.ravel(), minlength=len(log_frequency) + 1)[1:]
    seen = total > 0
    if seen.sum() < 2:
        return float("nan")
    number, total = number[seen], total[seen]
    # The standard error of the logarithm of a ring's mean power is proportional to 1 / sqrt(coefficients).
    return float(-np.polyfit(log_frequency[seen], np.log(total / number), 1, w=np.sqrt(number))[0])


@functools.lru_cache(maxsize=8)
def _rings(height: int, width: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the window and the frequency bands of power spectra of crops of this size.

    A Hann window [height, width]; the ring (band of frequencies, from 1) of each coefficient of the half
    spectrum, flattened, 0 outside FREQUENCIES; and the logarithm of each ring's central frequency.
    """
    window = np.outer(np.hanning(height + 2)[1:-1], np.hanning(width + 2)[1:-1]).astype(np.float32)
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)).ravel()
    edges = np.geomspace(*FREQUENCIES, 17)
    ring = np.digitize(frequency, edges)
    ring[ring == len(edges)] = 0
    filled = np.unique(ring[ring > 0])  # a small crop has rings without a coefficient
    renumbered = np.zeros(len(edges), np.int64)
    renumbered[filled] = np.arange(1, len(filled) + 1)
    return window, renumbered[ring], np.log(edges[filled - 1] * edges[filled]) / 2
