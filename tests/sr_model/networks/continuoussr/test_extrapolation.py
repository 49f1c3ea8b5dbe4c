"""Where a network adds far more than the contrast around, interpolation remains; else nothing changes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from random_weights import FLAT, random_continuoussr

from splat2d.matlab_imresize import imresize
from sr_model import upscale
from sr_model.checkpoints.checkpoint import load_reference
from sr_model.networks.continuoussr import network as network_module
from sr_model.networks.continuoussr.extrapolation import FLOOR, faded, relative_additions
from sr_model.networks.continuoussr.flatness import largest_additions
from sr_model.networks.mlp import output_layer
from sr_model.upscaling.tiling import encode

PARTS = ("means", "cholesky", "colors")


def board(side: int, low: int = 0, high: int = 255) -> np.ndarray:
    return np.where(np.indices((side, side)).sum(0) % 2, high, low).astype(np.uint8)[..., None].repeat(3, 2)


@pytest.fixture
def extrapolating(dictionary):
    """A network that adds hundreds of times white where there is contrast."""
    network = random_continuoussr(dictionary, 0.1, **FLAT)
    output_layer(network.colour).weight *= 1e4
    return network


def test_what_extrapolates_is_the_interpolation_that_the_network_starts_from(extrapolating, dictionary):
    start = random_continuoussr(dictionary, 0.0, **FLAT)
    image = torch.from_numpy(board(12)).permute(2, 0, 1)[None] / 255
    found, right = extrapolating(image), start(image)
    for part in PARTS:
        torch.testing.assert_close(getattr(found, part), getattr(right, part), atol=1e-6, rtol=1e-5)


def test_what_is_believed_keeps_its_bits(dictionary, monkeypatch):
    network = random_continuoussr(dictionary, 0.05, **FLAT)
    image = torch.rand(2, 3, 9, 11, generator=torch.Generator().manual_seed(0))
    found = [network(image)]
    with torch.no_grad():
        found.append(network(image))
    monkeypatch.setattr(network_module, "faded", lambda parts, *_: [predicted for _, predicted in parts])
    for part in PARTS:
        assert torch.equal(getattr(found[0], part), getattr(network(image), part))
    with torch.no_grad():
        assert torch.equal(found[1].colors, network(image).colors)


def test_additions_are_compared_with_the_contrast_around():
    image = torch.full((1, 3, 9, 9), 0.5)
    image[..., 5] = 0.8  # contrast 0.3 within two columns of it
    added = torch.zeros(1, 3, 18, 18)
    added[0, 1, 8, 9] = -0.8
    found = relative_additions(largest_additions(added, 2), image)[0, 0]
    near = torch.zeros(9, 9, dtype=torch.bool)
    near[2:7, 2:7] = True
    assert (found[~near] == 0).all()
    assert (found[2:7, 3:7] - 0.8 / (0.3 + FLOOR)).abs().max() < 1e-6
    assert (found[2:7, 2] - 0.8 / FLOOR).abs().max() < 1e-6  # the contrast is farther away


def test_parts_are_mixed_by_belief():
    believed = torch.tensor([[[[0.0, 0.25], [1.0, 0.5]]]])
    start, predicted = torch.tensor([1.0]), torch.full((1, 16, 1), 3.0)
    (found,) = faded([(start, predicted)], believed, 2)
    right = torch.tensor([[1, 1, 1.5, 1.5]] * 2 + [[3, 3, 2, 2]] * 2)
    assert torch.equal(found[0, :, 0], right.flatten())


@pytest.mark.parametrize("weights", ["random", "reference"])
@pytest.mark.parametrize(("low", "high"), [(0, 255), (51, 204)])
def test_a_checkerboard_of_pixels_keeps_its_mean(extrapolating, weights, low, high):
    network = extrapolating if weights == "random" else load_reference()
    image = board(24, low, high)
    for scale in (2.0, 3.0, 4.0):
        for reduction in (None, "none"):
            found = upscale(image, scale, model=network, reduction=reduction)
            assert abs(found.mean() - image.mean()) < 1


def test_without_it_the_reference_model_loses_the_mean_of_a_checkerboard():
    image, network = board(24), load_reference()
    network.extrapolation.believed.fill_(1e9)
    assert abs(upscale(image, 4.0, model=network).mean() - image.mean()) > 5


def test_the_reference_model_draws_a_line_of_one_pixel_no_wider_than_bicubic():
    image = np.zeros((24, 24, 3), np.uint8)
    image[:, 12] = 255
    planes = torch.from_numpy(image / 255.0).permute(2, 0, 1)
    bicubic = imresize(planes, (96, 96)).clamp(0, 1).mean().item() * 255
    assert abs(upscale(image, 4.0, model=load_reference()).mean() - bicubic) < 1


def test_tiles_make_the_field_of_the_whole_image_where_a_network_extrapolates(dictionary):
    network = random_continuoussr(dictionary, 0.1, **FLAT)
    output_layer(network.colour).weight *= 20
    image = np.random.default_rng(0).random((40, 37, 3), np.float32)
    planes = torch.from_numpy(image).permute(2, 0, 1)[None]
    colours = network.heads(network.cell_features(planes))[1].view(1, 80, 74, 3).permute(0, 3, 1, 2)
    seen = network.extrapolation(relative_additions(largest_additions(colours, 2), planes))
    assert (seen < 1).any()
    assert (seen > 0).any()
    whole, tiled = (encode(network, image, tile=side) for side in (1000, 16))
    for part in PARTS:
        torch.testing.assert_close(getattr(tiled, part), getattr(whole, part), atol=2e-4, rtol=1e-3)
