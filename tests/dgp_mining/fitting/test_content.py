"""The numbers that tell flat, edged, textured, blurred and noisy crops apart, on crops made to have them."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from dgp_mining.fitting.content import CONTENT, FREQUENCIES, measure_content

SIDE = 128


def content(grey: np.ndarray) -> dict[str, float]:
    pixels = np.repeat(grey[:, :, None], 3, axis=2).astype(np.float32)
    return dict(zip(CONTENT, measure_content(pixels).tolist(), strict=True))


def noise(sigma: float = 0.1, seed: int = 0) -> np.ndarray:
    return 0.5 + np.random.default_rng(seed).normal(0, sigma, (SIDE, SIDE))


def of_slope(alpha: float, seed: int = 0) -> np.ndarray:
    """Noise whose power falls with frequency ^ -alpha, with random phases."""
    frequency = np.hypot(np.fft.fftfreq(SIDE)[:, None], np.fft.rfftfreq(SIDE))
    frequency[0, 0] = np.inf
    spectrum = np.fft.rfft2(noise(1, seed)) * frequency ** (-alpha / 2)
    image = np.fft.irfft2(spectrum, (SIDE, SIDE))
    return 0.5 + 0.1 * image / image.std()


def ramp(degrees: float) -> np.ndarray:
    y, x = np.mgrid[:SIDE, :SIDE] / SIDE
    return x * np.cos(np.radians(degrees)) + y * np.sin(np.radians(degrees))


def test_a_flat_crop_has_nothing() -> None:
    found = content(np.full((SIDE, SIDE), 0.25))
    assert np.isnan(found.pop("spectral_slope"))
    assert set(found.values()) == {0.0}


def test_the_gradient_is_per_pixel_whatever_its_direction() -> None:
    for degrees in (0, 30, 90):
        found = content(ramp(degrees))
        assert found["gradient"] == pytest.approx(1 / SIDE, rel=1e-3)
        assert found["coherence"] == pytest.approx(1, abs=1e-3)


def test_texture_has_no_direction() -> None:
    assert content(noise())["coherence"] < 0.4


@pytest.mark.parametrize("sigma", [0.01, 0.1])
def test_white_noise_is_estimated_beside_a_picture(sigma: float) -> None:
    picture = 3 * ramp(20) ** 2
    assert content(noise(sigma))["noise"] == pytest.approx(sigma, rel=0.05)
    assert content(picture + noise(sigma))["noise"] == pytest.approx(sigma, rel=0.05)
    assert content(picture)["noise"] < 1e-4


def test_sharpness_falls_with_blur_and_not_with_contrast() -> None:
    sharp = of_slope(2)
    blurred = gaussian_filter(sharp, 2, mode="wrap")
    assert content(blurred)["sharpness"] < 0.5 * content(sharp)["sharpness"]
    assert content(sharp / 4)["sharpness"] == pytest.approx(content(sharp)["sharpness"], rel=1e-3)
    assert content(sharp / 4)["contrast"] == pytest.approx(content(sharp)["contrast"] / 4, rel=1e-3)


@pytest.mark.parametrize("alpha", [0.0, 1.0, 2.0, 3.0])
def test_the_slope_of_the_spectrum_is_found(alpha: float) -> None:
    assert content(of_slope(alpha))["spectral_slope"] == pytest.approx(alpha, abs=0.15)


@pytest.mark.parametrize("shape", [(16, 16, 1), (17, 33, 4)])
def test_small_crops_of_any_number_of_channels_are_described(shape: tuple[int, int, int]) -> None:
    assert np.isfinite(measure_content(np.random.default_rng(0).random(shape, np.float32))).all()


def test_the_spectral_slope_is_that_of_a_library_s_least_squares() -> None:
    """With its spectrum in float64, its logarithms and its fit of a line."""
    grey = (of_slope(2) + noise(0.02) - 0.5).astype(np.float32).astype(np.float64)
    window = np.outer(np.hanning(SIDE + 2)[1:-1], np.hanning(SIDE + 2)[1:-1])
    power = np.abs(np.fft.rfft2((grey - grey.mean()) * window)) ** 2
    frequency = np.hypot(np.fft.fftfreq(SIDE)[:, None], np.fft.rfftfreq(SIDE))
    edges = np.geomspace(*FREQUENCIES, 17)
    rings = [(frequency >= low) & (frequency < high) for low, high in itertools.pairwise(edges)]
    x = np.log(edges[1:] * edges[:-1]) / 2
    y = np.log([power[ring].mean() for ring in rings])
    slope, _ = np.polyfit(x, y, 1, w=np.sqrt([ring.sum() for ring in rings]))
    assert content(grey)["spectral_slope"] == pytest.approx(-slope, rel=1e-6)
