"""Upscaling keeps the dtype of its input, at any size."""

import numpy as np
import pytest
import torch
from random_weights import random_continuoussr

from sr_model import ContinuousSR, upscale
from sr_model.upscaling import upscale as upscaling
from sr_model.upscaling.tiling import TooLarge


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32, np.float64])
@pytest.mark.parametrize("shape", [(9, 7), (9, 7, 1), (9, 7, 2), (9, 7, 3), (9, 7, 4)])
def test_the_result_has_the_type_and_channels_of_the_image(network: ContinuousSR, dtype, shape):
    largest = np.iinfo(dtype).max if np.dtype(dtype).kind == "u" else 1
    image = (np.random.default_rng(0).random(shape) * largest).astype(dtype)
    upscaled = upscale(image, 3.7, model=network)
    assert upscaled.dtype == dtype
    assert upscaled.shape == (33, 26, *shape[2:])
    assert upscaled.min() >= 0
    assert upscaled.max() <= largest
    assert abs(upscaled.mean() / image.mean() - 1) < 0.05


def test_an_exact_size_may_have_unequal_ratios(network: ContinuousSR):
    assert upscale(np.zeros((8, 6, 3), np.uint8), size=(33, 7), model=network).shape == (33, 7, 3)


def test_two_scales_are_of_height_and_width(network: ContinuousSR):
    assert upscale(np.zeros((8, 6, 3), np.uint8), (2, 3.5), model=network).shape == (16, 21, 3)


def test_below_one_pixels_are_averages(network: ContinuousSR):
    image = np.random.default_rng(0).random((32, 40, 3)).astype(np.float32)
    small = upscale(image, 0.25, model=network)
    assert small.shape == (8, 10, 3)
    averages = image.reshape(8, 4, 10, 4, 3).mean((1, 3))
    assert np.abs(small - averages)[1:-1, 1:-1].max() < 0.12
    assert np.abs(small - averages).std() < 0.5 * averages.std()


def test_alpha_is_enlarged_with_edges_as_sharp_as_those_of_grey(network: ContinuousSR):
    image = np.full((10, 12, 4), 255, np.uint8)
    image[:, 6:, 3] = 0
    alpha = upscale(image, 4, model=network)[..., 3]
    assert np.array_equal(alpha, upscale(image[..., 3], 4, model=network))
    assert alpha[20, 4] > 250 > 5 > alpha[20, -4]


def test_what_transparent_pixels_hide_does_not_show_at_edges(network: ContinuousSR):
    image = np.full((10, 12, 4), 200, np.uint8)
    image[:, 6:] = 0  # black, and hidden
    seen = upscale(image, 4, model=network)[..., :3]
    assert abs(seen.astype(int) - 200).max() <= 3


def test_an_image_of_nothing_visible_stays_as_it_is(network: ContinuousSR):
    image = np.full((6, 6, 2), 100, np.uint8)
    image[..., 1] = 0
    upscaled = upscale(image, 2, model=network)
    assert abs(upscaled[..., 0].astype(int) - 100).max() <= 2
    assert upscaled[..., 1].max() <= 1


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


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_an_image_with_holes_is_refused(network: ContinuousSR, value):
    image = np.zeros((4, 4, 3), np.float32)
    image[1, 1, 1] = value
    with pytest.raises(ValueError, match="NaN"):
        upscale(image, 2, model=network)


@pytest.mark.parametrize("factor", [255, -1])
def test_floats_of_another_range_are_refused(network: ContinuousSR, factor):
    image = np.linspace(-0.1, 1.1, 48, dtype=np.float32).reshape(4, 4, 3)  # as a filter may overshoot
    assert upscale(image, 2, model=network).max() <= 1
    with pytest.raises(ValueError, match=r"floats from .* to .*, but \[0, 1\]"):
        upscale(factor * image, 2, model=network)


@pytest.mark.parametrize("image", [torch.zeros(4, 4), [[0, 1], [1, 0]]])
def test_what_is_no_array_is_refused(network: ContinuousSR, image):
    with pytest.raises(TypeError, match="numpy array, got"):
        upscale(image, 2, model=network)


@pytest.mark.parametrize("tile", [0, -5])
def test_a_tile_of_no_pixels_is_refused(network: ContinuousSR, tile):
    with pytest.raises(ValueError, match=f"tile must be 1 or more, got {tile}"):
        upscale(np.zeros((4, 4, 3), np.uint8), 2, model=network, tile=tile)


def test_values_of_other_types_are_refused(network: ContinuousSR):
    with pytest.raises(ValueError, match="int64"):
        upscale(np.zeros((4, 4, 3), np.int64), 2, model=network)


def test_results_larger_than_memory_are_refused(network: ContinuousSR, monkeypatch):
    monkeypatch.setattr(upscaling, "free_memory", lambda: 10**9)
    with pytest.raises(TooLarge, match=r"40000x40000 pixels take 4\.8 GB.*sr-upscale"):
        upscale(np.zeros((4, 4, 3), np.uint8), 10_000, model=network)


def test_bands_are_the_image_whatever_their_height(network: ContinuousSR, monkeypatch):
    image = np.random.default_rng(0).integers(0, 256, (8, 9, 4), np.uint8)
    whole = upscale(image, 7.3, model=network)
    monkeypatch.setattr("sr_model.upscaling.rendering.BAND_BYTES", 10_000)
    assert np.array_equal(upscale(image, 7.3, model=network), whole)


@pytest.mark.parametrize(("shape", "size"), [((170, 20, 3), (441, 52)), ((150, 18, 4), (150, 18))])
def test_strips_of_a_large_image_are_the_whole(dictionary, monkeypatch, shape, size):
    network = random_continuoussr(dictionary)
    image = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    window, told = (0.0, 0.0, float(shape[1]), float(shape[0])), []

    def drawn():
        told.clear()
        how = {"progress": lambda activity, fraction: told.append(activity)}
        return np.concatenate(list(upscaling.draw(image, window, size, np.uint8, network, **how)))

    whole = drawn()
    assert not any("strip" in activity for activity in told)
    monkeypatch.setattr(upscaling, "STRIP_BYTES", 1000)
    strips = drawn()
    assert any("strip 3 of 3" in activity for activity in told)
    assert strips.shape == (*size, shape[2])
    assert np.abs(strips.astype(int) - whole).max() <= 1
    assert (strips != whole).mean() < 0.01
