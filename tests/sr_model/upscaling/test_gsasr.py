"""Upscaling works with a GSASR, whose field depends on the scale and whose windows limit attention."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from random_weights import random_gsasr

from splat2d.matlab_imresize import imresize
from sr_model import GSASR, upscale
from sr_model.evaluation.metrics import psnr
from sr_model.upscaling.tiling import OVERLAP, encode, spans, to_lr

PARTS = ("means", "cholesky", "colors")


def photograph(height: int, width: int) -> np.ndarray:
    """Smooth shapes and noise, [H, W, 3] uint8."""
    random = np.random.default_rng(0)
    smooth = imresize(torch.from_numpy(random.random((3, height // 5, width // 5))), (height, width))
    noisy = smooth.permute(1, 2, 0).numpy() + 0.05 * random.normal(size=(height, width, 3))
    return (noisy.clip(0, 1) * 255).astype(np.uint8)


@pytest.mark.parametrize("scale", [(2.0, 2.0), (3.7, 3.7), (2.0, 4.5), (1.0, 1.0), (48.0, 48.0), (0.5, 0.5)])
def test_images_are_enlarged_by_whole_broken_and_unequal_scales(tiny_gsasr, scale):
    image = photograph(10, 15)
    enlarged = upscale(image, scale, model=GSASR(tiny_gsasr.network).eval())
    assert enlarged.shape == (round(10 * scale[0]), round(15 * scale[1]), 3)
    assert abs(enlarged.mean() / image.mean() - 1) < 0.05


@pytest.mark.parametrize("encoder", ["edsr", "swinir"])
def test_tiles_leave_no_step_and_cost_no_tenth_of_a_decibel(tiny_gsasr, encoder):
    network = random_gsasr(tiny_gsasr.network, 0.03, encoder=encoder, width=12, interaction=(2, 2))
    height, width, tile = 40, 120, 40
    image, size = photograph(height, width), (80, 240)
    whole, tiled = (encode(network, image, scale=2, tile=t).render(size)[0] for t in (1000, tile))
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


@pytest.mark.parametrize("margin", [0, 1])
def test_one_tile_is_the_network_itself(tiny_gsasr, margin):
    network = random_gsasr(tiny_gsasr.network, margin=margin)
    image = photograph(13, 18)
    whole, one = network(to_lr(image, torch.device("cpu")), 3), encode(network, image, scale=3)
    for part in PARTS:
        torch.testing.assert_close(getattr(one, part), getattr(whole, part))
