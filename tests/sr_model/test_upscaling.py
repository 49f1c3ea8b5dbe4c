"""Upscaling promises the type it was given, at any size."""

import numpy as np
import pytest
import torch

from dgp_mining.dictionary import Dictionary
from sr_model import ContinuousSR, Preset, upscale


@pytest.fixture
def network(dictionary: Dictionary, tiny: Preset) -> ContinuousSR:
    return ContinuousSR(tiny.network, torch.tensor(dictionary.cholesky))


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64])
@pytest.mark.parametrize("shape", [(9, 7), (9, 7, 1), (9, 7, 3)])
def test_the_result_has_the_type_and_channels_of_the_image(network: ContinuousSR, dtype, shape):
    image = np.random.default_rng(0).random(shape)
    image = (image * 255).astype(np.uint8) if dtype == np.uint8 else image.astype(dtype)
    upscaled = upscale(image, 3.7, model=network)
    assert upscaled.dtype == dtype
    assert upscaled.shape == (33, 26, *shape[2:])
    assert upscaled.min() >= 0
    assert upscaled.max() <= (255 if dtype == np.uint8 else 1)
    assert abs(upscaled.mean() / image.mean() - 1) < 0.05


def test_an_exact_size_may_have_unequal_ratios(network: ContinuousSR):
    assert upscale(np.zeros((8, 6, 3), np.uint8), size=(33, 7), model=network).shape == (33, 7, 3)


def test_eight_bits_and_floats_agree(network: ContinuousSR):
    image = np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8)
    whole = upscale(image, 2.5, model=network)
    real = upscale(image / np.float32(255), 2.5, model=network)
    assert abs(whole / 255 - real).max() <= 0.5 / 255 + 1e-6


@pytest.mark.parametrize("arguments", [{}, {"scale": 0}, {"scale": -2}, {"scale": float("nan")},
                                       {"scale": float("inf")}, {"size": (0, 4)},
                                       {"scale": 2, "size": (4, 4)}])  # fmt: skip
def test_impossible_sizes_are_refused(network: ContinuousSR, arguments):
    with pytest.raises(ValueError):
        upscale(np.zeros((4, 4, 3), np.uint8), **arguments, model=network)


@pytest.mark.parametrize("shape", [(4,), (4, 4, 5), (2, 4, 4, 3), (0, 4, 3)])
def test_what_is_no_image_is_refused(network: ContinuousSR, shape):
    with pytest.raises(ValueError, match="the image must be"):
        upscale(np.zeros(shape, np.uint8), 2, model=network)
