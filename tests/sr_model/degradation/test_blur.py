"""Blur kernels have the covariance that is set, and the image is convolved with them."""

import math

import numpy as np
import pytest
import torch
from scipy import ndimage, stats

from sr_model.degradation import Blur
from sr_model.degradation.blur import convolve, gaussian_kernel


@pytest.mark.parametrize("angle", [0.0, 0.4, 1.2, 2.5])
@pytest.mark.parametrize(("first", "second"), [(1.5, 1.5), (2.5, 0.8), (0.7, 3.0)])
def test_a_kernel_is_the_density_of_its_covariance(first, second, angle):
    """As BSRGAN computes it, with scipy."""
    turned = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    covariance = turned @ np.diag([first**2, second**2]) @ turned.T
    kernel = gaussian_kernel(first, second, angle, 41)
    y, x = np.mgrid[-20:21, -20:21]
    density = stats.multivariate_normal([0, 0], covariance).pdf(np.stack([x, y], -1))
    np.testing.assert_allclose(kernel, density / density.sum(), atol=1e-12)
    moments = [[(kernel * a * b).sum() for b in (x, y)] for a in (x, y)]
    np.testing.assert_allclose(moments, covariance, atol=0.01 * max(first, second) ** 2)


def test_a_kernel_without_a_size_reaches_three_standard_deviations():
    assert gaussian_kernel(1.9, 0.5, 1.0).shape == (13, 13)
    assert gaussian_kernel(0.0, 0.0, 0.0).tolist() == [[1.0]]
    assert gaussian_kernel(0.0, 0.0, 0.0, 3).tolist() == [[0, 0, 0], [0, 1, 0], [0, 0, 0]]


@pytest.mark.parametrize("side", [1, 3, 9, 31])
def test_convolution_is_scipys_with_mirrored_borders(side):
    random = np.random.default_rng(side)
    image = random.random((3, 11, 14)).astype(np.float32)
    kernel = random.random((side, side))
    kernel /= kernel.sum()
    expected = np.stack([ndimage.convolve(channel.astype(float), kernel, mode="mirror") for channel in image])
    ours = convolve(torch.from_numpy(image), kernel)
    assert ours.dtype == torch.float32
    np.testing.assert_allclose(ours.numpy(), expected, atol=1e-6)


def spread(blur: Blur, seed: int, pixel: float = 1.0) -> np.ndarray:
    """The covariance that blur gives to a point, [2, 2]."""
    point = torch.zeros(3, 61, 61)
    point[:, 30, 30] = 1
    blurred = blur(point, np.random.default_rng(seed), pixel)[0].numpy()
    y, x = np.mgrid[-30:31, -30:31]
    return np.array([[(blurred * a * b).sum() for b in (x, y)] for a in (x, y)])


def test_round_and_elongated_kernels_have_deviations_within_the_range():
    for seed in range(30):
        variances = np.linalg.eigvalsh(spread(Blur(sigma=(1, 2), isotropic=1), seed, 2.0))
        assert variances[0] == pytest.approx(variances[1], rel=1e-4)
        assert 3.9 < variances[0] < 16.1
    elongated = [np.linalg.eigvalsh(spread(Blur(sigma=(1, 4), isotropic=0), seed)) for seed in range(30)]
    assert 0.95 < min(v[0] for v in elongated) < max(v[1] for v in elongated) < 16.1
    assert max(v[1] / v[0] for v in elongated) > 4


def test_kernels_are_cut_off_at_an_odd_size_of_the_range():
    sides = set()
    for seed in range(60):
        point = torch.zeros(3, 41, 41)
        point[:, 20, 20] = 1
        blurred = Blur(sigma=(50, 50), isotropic=1, size=(6, 12))(point, np.random.default_rng(seed))
        sides.add(int((blurred[0, 20] > 1e-6).sum()))
    assert sides == {7, 9, 11}


def test_blur_is_as_frequent_as_asked_for():
    image = torch.rand(3, 8, 8)
    often = Blur(sigma=(1, 1), probability=0.3)
    blurred = sum(not torch.equal(often(image, np.random.default_rng(seed)), image) for seed in range(400))
    assert 90 < blurred < 150


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("sigma", (2, 1)),
        ("sigma", (-1, 1)),
        ("sigma", (0, 1000)),
        ("size", (0, 3)),
        ("size", (3, 100_001)),
        ("size", (4, 4)),
        ("probability", -0.1),
        ("isotropic", 2),
    ],
)
def test_wrong_settings_are_named(name, value):
    with pytest.raises(ValueError, match=rf"{name} of blur"):
        Blur(**{name: value})
