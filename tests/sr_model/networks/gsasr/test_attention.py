"""Attention stays within the image, and if it is initialised locally, the image reaches the heads."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from random_weights import random_gsasr

from dgp_mining.images.reader import read_rgb
from sr_model import GSASR, PRESETS

SAMPLE = Path(__file__).parents[4] / "data" / "samples" / "heldout" / "chelsea.png"


@torch.inference_mode()
def test_a_start_near_carries_the_image_to_the_heads():
    """Without it, the difference between the features of two images is below bfloat16's rounding."""
    settings = PRESETS["gsasr-demo"].network
    pixels = read_rgb(SAMPLE)[100:116, 100:132]
    image = torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None]
    images = torch.cat(image.split(16, -1))

    def told_apart(near: bool) -> float:
        torch.manual_seed(0)
        network = GSASR(replace(settings, near=near))
        cells = network.cell_features(images, torch.tensor([2.0, 2.0]))
        return float((cells[0] - cells[1]).std() / cells.std())

    assert told_apart(True) > 0.1 > 2**-8 > told_apart(False)


@torch.inference_mode()
def test_a_start_near_looks_at_the_pixel_itself():
    torch.manual_seed(0)
    network = GSASR(PRESETS["gsasr-demo"].network)
    attention = network.injection[0].layers[0].attention
    features = torch.zeros(1, 16, 16, network.settings.channels)
    features[0, 5, 11] = 1
    seen = attention(torch.zeros_like(features), torch.zeros(16, 16, network.settings.channels), features)
    seen = (seen - seen[0, 0, 0]).abs().sum(-1)[0]
    assert seen[5, 11] > 0.9 * seen.sum()


@pytest.mark.parametrize("part", ["injection", "interaction"])
def test_no_window_looks_across_to_the_opposite_border_unless_as_released(tiny_gsasr, part):
    blocks = {"injection": (1, 2), "interaction": (1, 1), "depth": 1}
    if part == "interaction":
        blocks = {"injection": (1, 1), "interaction": (1, 2), "depth": 1}

    def moved(compat: bool) -> torch.Tensor:  # by row of cells, of a change in the first row of pixels
        plain = {"interpolate": False, "start": None, "margin": 0, "compat": compat}
        network = random_gsasr(tiny_gsasr.network, **blocks, **plain)
        image = torch.rand(1, 3, 32, 8)
        changed = image.clone()
        changed[:, :, 0] = 1 - changed[:, :, 0]
        difference = (network(image, 2).colors - network(changed, 2).colors)[0].abs().amax(1)
        return difference.view(64, -1).amax(1)

    assert moved(compat=False)[-8:].max() == 0
    assert moved(compat=True)[-8:].max() > 1e-6
