"""Tiles give the field of the whole image, without seams."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from dgp_mining.prior.dictionary import Dictionary
from splat2d.matlab_imresize import imresize
from sr_model import GSASR, ContinuousSR, Preset
from sr_model.checkpoints.checkpoint import load_reference
from sr_model.evaluation.metrics import psnr
from sr_model.memory import TensorMemory
from sr_model.native.library import torch_alone
from sr_model.upscaling import tiling
from sr_model.upscaling.tiling import (
    OVERLAP,
    TooLarge,
    automatic_tile,
    bytes_per_pixel,
    encode,
    most_bytes_per_pixel,
    spans,
    to_lr,
)

PARTS = ("means", "cholesky", "colors")


def random_network(preset: Preset, dictionary: Dictionary, noise: float = 0.1, **settings) -> ContinuousSR:
    """A network in which every pixel matters: random weights instead of the bicubic start's zeros."""
    torch.manual_seed(0)
    network = ContinuousSR(replace(preset.network, **settings), torch.tensor(dictionary.cholesky)).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(noise * torch.randn_like(parameter))
    return network


def photograph(height: int, width: int) -> np.ndarray:
    """Smooth shapes and noise, [H, W, 3] uint8."""
    random = np.random.default_rng(0)
    small = torch.from_numpy(random.random((3, height // 5, width // 5)))
    smooth = imresize(small, (height, width)).permute(1, 2, 0).numpy()
    return ((smooth + 0.05 * random.normal(size=smooth.shape)).clip(0, 1) * 255).astype(np.uint8)


@pytest.mark.parametrize("tile", [16, 23, 1000])
@pytest.mark.parametrize(
    "settings",
    [
        {"cells": 1, "margin": 0},
        {"cells": 2, "margin": 1},
        {"cells": 3, "margin": 2, "depth": 3},
        {"encoder": "rdn", "depth": 2},
        {"encoder": "span", "depth": 1},
        {"encoder": "safmn", "depth": 1},
        {"covariance": "fixed", "interpolate": False},
    ],
)
def test_tiles_of_convolutional_encoders_make_the_field_of_the_whole_image(tiny, dictionary, settings, tile):
    network = random_network(tiny, dictionary, **settings)
    image = photograph(41, 57)
    with torch.inference_mode():
        whole = network(to_lr(image, torch.device("cpu")))
    tiled = encode(network, image, tile=tile)
    assert tiled.size == whole.size
    for part in PARTS:
        torch.testing.assert_close(getattr(tiled, part), getattr(whole, part), atol=2e-5, rtol=1e-4)


def test_too_small_an_overlap_would_show(tiny, dictionary, monkeypatch):
    network = random_network(tiny, dictionary, depth=3)
    monkeypatch.setattr("sr_model.upscaling.tiling.tile_overlap", lambda network: 2)
    image = photograph(41, 57)
    colors = encode(network, image, tile=16).colors
    assert (colors - encode(network, image, tile=1000).colors).abs().max() > 1e-3


@pytest.mark.parametrize(
    "settings",
    [
        {"depth": 2},
        {"encoder": "rdn", "depth": 2},
        {"encoder": "span", "depth": 2},
        {"encoder": "safmn", "depth": 2},
        {"depth": 1, "cells": 3},
    ],
)
def test_no_gaussian_depends_on_pixels_beyond_the_reach(tiny, dictionary, settings):
    network = random_network(tiny, dictionary, **settings)
    image = torch.rand(1, 3, 3, 70)
    changed = image.clone()
    changed[..., 0] = 1 - changed[..., 0]
    cells, margin = network.settings.cells, network.settings.margin
    columns = cells * (70 + 2 * margin)
    moved = (network(image).colors - network(changed).colors)[0].abs().amax(1).view(-1, columns).amax(0) > 0
    farthest = moved.nonzero().max().item() // cells - margin
    assert 2 <= farthest <= network.radius


@pytest.mark.parametrize("encoder", ["rlfn", "swinir", "hat"])
def test_tiles_of_attention_leave_no_step_and_cost_no_tenth_of_a_decibel(tiny, dictionary, encoder):
    network = random_network(tiny, dictionary, 0.03, encoder=encoder, width=30, depth=1)
    height, width, tile = 40, 120, 40
    image = photograph(height, width)
    assert network.radius is None
    size = (2 * height, 2 * width)
    whole, tiled = (encode(network, image, tile=side).render(size)[0] for side in (1000, tile))
    hr = imresize(torch.from_numpy(image).permute(2, 0, 1) / 255, size)
    assert psnr(whole, hr) > 10  # in the range where a tenth of a decibel means something
    assert abs(psnr(tiled, hr) - psnr(whole, hr)) < 0.1
    assert psnr(tiled, whole) > psnr(whole, hr)

    borders = [2 * span.owned[0] for span in spans(width, tile, OVERLAP, network.window)][1:]
    steps = (tiled - whole).diff(dim=2).abs().mean((0, 1))  # that tiles add, by column
    usual = whole.diff(dim=2).abs().mean((0, 1))  # that the image has
    assert len(borders) == 2
    for border in borders:
        assert steps[border - 1] < 0.02 * usual.median()


def test_an_image_of_grey_makes_a_field_of_one_channel_that_renders_as_the_mean_of_three(tiny, dictionary):
    network = random_network(tiny, dictionary)
    grey = photograph(20, 24)[..., :1]
    three = encode(network, np.repeat(grey, 3, axis=2))
    one = encode(network, grey, tile=16)
    torch.testing.assert_close(
        one.render((50, 60)), three.render((50, 60)).mean(1, keepdim=True), atol=1e-5, rtol=0
    )


@pytest.mark.parametrize("align", [1, 8])
@pytest.mark.parametrize(
    ("extent", "tile", "overlap"), [(100, 30, 7), (16, 16, 32), (17, 16, 32), (5, 64, 0)]
)
def test_spans_own_every_pixel_once_and_see_the_overlap(extent, tile, overlap, align):
    parts = list(spans(extent, tile, overlap, align))
    assert [pixel for span in parts for pixel in range(*span.owned)] == list(range(extent))
    for span in parts:
        assert span.owned[1] - span.owned[0] <= tile
        assert span.encoded[0] % align == 0
        assert span.encoded[0] <= max(0, span.owned[0] - overlap)
        assert span.encoded[1] == min(extent, span.owned[1] + overlap)


def test_tiles_follow_the_memory(tiny, dictionary):
    network = random_network(tiny, dictionary)
    memories = [side**2 * bytes_per_pixel(network) for side in (0, 100, 200, 10_000)]
    sides = [automatic_tile(network, memory, (5000, 5000)) for memory in memories]
    assert sides == sorted(sides)
    assert sides[1] < 100 < sides[2] < 200 < sides[3]


def test_the_memory_of_encoding_is_that_of_its_tensors_or_little_more(tiny, tiny_gsasr, dictionary):
    kernels = torch.tensor(dictionary.cholesky)
    for network in (load_reference(), ContinuousSR(tiny.network, kernels), GSASR(tiny_gsasr.network)):
        with torch.inference_mode(), torch_alone(), TensorMemory() as memory:
            network.eval()(torch.zeros(1, 3, 96, 96), 2.0)
        # Much of the small image that is measured is margin, whose share is largest in tiny networks.
        assert memory.peak < 96**2 * bytes_per_pixel(network) < 5 * memory.peak
        assert memory.peak < 96**2 * most_bytes_per_pixel(network)
    assert bytes_per_pixel(load_reference()) < most_bytes_per_pixel(load_reference()) / 10


def test_a_tile_that_fits_for_certain_is_not_measured(tiny, dictionary, monkeypatch):
    monkeypatch.setattr(tiling, "bytes_per_pixel", lambda network: pytest.fail("measured"))
    network = random_network(tiny, dictionary)
    assert automatic_tile(network, 10**9, (50, 40)) == tiling.LARGEST_TILE


def test_a_field_larger_than_memory_is_refused_before_any_work(tiny, dictionary):
    network = random_network(tiny, dictionary)
    image = np.broadcast_to(np.uint8(0), (20_000, 30_000, 3))
    with pytest.raises(
        TooLarge, match=r"30000x20000 pixels take [\d.,]+ GB of memory, and memory= allows 1\.0 GB"
    ):
        encode(network, image, memory=10**9)


def test_offsets_over_the_whole_canvas_are_never_cut(tiny, dictionary):
    network = random_network(tiny, dictionary, positions="offsets", interpolate=False)
    image = photograph(20, 40)
    assert torch.equal(encode(network, image, tile=16).means, encode(network, image).means)


def test_tiles_of_a_wide_image_own_few_pixels(tiny, dictionary, monkeypatch):
    network, encoded = random_network(tiny, dictionary), []
    image = photograph(40, 400)
    network.register_forward_pre_hook(lambda _, arguments: encoded.append(arguments[0].shape[2:]))
    whole = encode(network, image)
    assert encoded == [image.shape[:2]]
    monkeypatch.setattr(tiling, "LARGEST_TILE", 100)
    monkeypatch.setattr(tiling, "TILE_PIXELS", 1000)
    encoded.clear()
    tiled = encode(network, image)
    around = 2 * network.radius
    assert len(encoded) == 400 // 25
    assert max(height * width for height, width in encoded) <= 40 * (25 + around)
    for part in PARTS:
        torch.testing.assert_close(getattr(tiled, part), getattr(whole, part), atol=1e-4, rtol=1e-4)
