"""A network starts with the picture of the upsampler that was published with its encoder."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import public_layouts as public
import pytest
import torch
import torch.nn.functional as F
from random_weights import FLAT, random_continuoussr

from splat2d import GaussianField
from sr_model import PRESETS, CheckpointError, ContinuousSR
from sr_model.checkpoints.pretrained import load_encoder_weights, published_upsampler
from sr_model.networks.continuoussr.upsampler import Upsampler, unblurring_taps
from sr_model.training.published import take_upsampler

SIGMA = 0.65


def smooth(cells: int, side: int) -> torch.Tensor:
    """A picture [1, 3, side, side] without detail finer than an LR pixel."""
    place = torch.arange(side) / cells
    rows = torch.stack([torch.sin(place + shift) for shift in (0.0, 1.0, 2.0)])
    return 0.5 + 0.2 * rows[None, :, :, None] * torch.cos(0.7 * place)


def picture_of(cells: int, picture: torch.Tensor, normalised: bool) -> torch.Tensor:
    """The colours with which an upsampler starts whose published weights give `picture`."""
    features = F.pixel_unshuffle(picture, cells)
    channels = features.shape[1]
    upsampler = Upsampler(channels, cells)
    weight = torch.zeros(channels, channels, 3, 3)
    weight[range(channels), range(channels), 1, 1] = 1.0
    upsampler.take(weight, torch.zeros(channels), SIGMA, normalised)
    with torch.no_grad():
        return F.pixel_shuffle(upsampler(features), cells)


@pytest.mark.parametrize("cells", [2, 3, 4])  # whose neighbours within REACH are in a 3x3 kernel
def test_the_published_picture_is_filtered_by_the_inverse_of_the_blur(cells):
    picture = torch.rand(1, 3, 6 * cells, 6 * cells, generator=torch.Generator().manual_seed(0))
    taps = unblurring_taps(SIGMA, normalised=True).float()
    right = picture.flatten(0, 1)[:, None]
    for shape in ((-1, 1), (1, -1)):
        right = F.conv2d(right, taps.view(1, 1, *shape), padding="same")
    inner = slice(cells, -cells)  # beyond the border there are zeros
    found = picture_of(cells, picture, True)[..., inner, inner]
    torch.testing.assert_close(found, right.transpose(0, 1)[..., inner, inner], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("normalised", [True, False])
@pytest.mark.parametrize("cells", [2, 3, 4])
def test_rendered_it_is_the_published_picture(cells, normalised):
    side = 10 * cells
    picture = smooth(cells, side)
    place = torch.arange(side) + 0.5
    means = torch.stack(torch.meshgrid(place, place, indexing="xy"), -1).view(1, -1, 2)
    kernel = torch.tensor([SIGMA, 0.0, SIGMA]).expand(1, side * side, 3)
    errors = []
    for colours in (picture_of(cells, picture, normalised), picture):
        colours = colours.flatten(2).transpose(1, 2)
        field = GaussianField(means, kernel, colours, size=(side, side), averaged=True, normalised=normalised)
        inner = slice(2 * cells, -2 * cells)
        errors.append((field.render((side, side)) - picture)[..., inner, inner].abs().max())
    assert errors[0] < 0.01
    assert errors[0] < 0.4 * errors[1]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    torch.save(public.fabricate(public.span(12, 4)), tmp_path / "span.pth")
    return tmp_path / "span.pth"


def small(kernels: torch.Tensor, cells: int, **changes) -> ContinuousSR:
    torch.manual_seed(0)
    settings = replace(PRESETS["span"].network, width=12, cells=cells, dictionary_size=None, **changes)
    return ContinuousSR(settings, kernels).eval()


def test_with_the_encoders_public_weights_it_starts_as_published(file, kernels):
    network = small(kernels, 4, contrast=0.0)
    load_encoder_weights(network.encoder, file)
    image = torch.rand(1, 3, 9, 11)
    before = network(image)
    assert take_upsampler(network, file, "") == ", with its upsampler to x4"
    with torch.no_grad():
        taken = F.pixel_shuffle(network.upsampler(network.encoder(image)), 4)
        field = network(image)
    torch.testing.assert_close(field.colors, taken.flatten(2).transpose(1, 2), atol=1e-4, rtol=1e-4)
    assert (field.colors - before.colors).abs().max() > 1
    assert torch.equal(field.means, before.means)


def test_an_upsampler_to_another_scale_is_not_taken_and_named(file, kernels):
    network = small(kernels, 3)
    assert take_upsampler(network, file, "") == ", but without an upsampler to x3, which it does not have"
    assert not any(parameter.any() for parameter in network.upsampler.parameters())
    without = small(kernels, 4, upsampler=False)
    assert take_upsampler(without, file, "") == ""
    with pytest.raises(ValueError, match="no upsampler"):
        without.take_upsampler(torch.zeros(48, 12, 3, 3), torch.zeros(48))


@pytest.mark.parametrize(
    ("layout", "encoder", "cells"),
    [(public.rlfn(12, 4), "rlfn", 4), (public.safmn(12, 3, 2), "safmn", 2)],
    ids=["rlfn", "safmn"],
)
def test_those_of_rlfn_and_safmn_are_found_in_the_unit_of_the_image(tmp_path, layout, encoder, cells):
    weights = public.fabricate(layout)
    torch.save(weights, tmp_path / "a.pth")
    name = {"rlfn": "upsampler.0", "safmn": "to_img.0"}[encoder]
    found = published_upsampler(tmp_path / "a.pth", "", 12, cells)
    assert found is not None
    assert torch.equal(found[0], weights[f"{name}.weight"])
    torch.testing.assert_close(found[1], weights[f"{name}.bias"] / {"rlfn": 255, "safmn": 1}[encoder])


def test_biases_that_do_not_fit_are_refused(tmp_path):
    weights = public.fabricate(public.span(12, 4))
    torch.save(weights | {"upsampler.0.bias": torch.zeros(1)}, tmp_path / "a.pth")
    with pytest.raises(CheckpointError, match="1 biases for 48 outputs"):
        published_upsampler(tmp_path / "a.pth", "", 12, 4)


def test_without_contrast_it_changes_nothing(dictionary):
    network = random_continuoussr(dictionary, 0.1, **FLAT)
    flat = torch.tensor([0.2, 0.4, 0.6])[None, :, None, None].expand(1, 3, 9, 9)
    plain = random_continuoussr(dictionary, 0.1, **{**FLAT, "upsampler": False})
    torch.testing.assert_close(network(flat).colors, plain(flat).colors)
    varied = torch.rand(1, 3, 9, 9)
    assert (network(varied).colors - plain(varied).colors).abs().max() > 0.1


@pytest.mark.parametrize(
    "changes", [{"interpolate": False, "contrast": 0.0}, {"encoder": "swinir", "cells": 2}]
)
def test_settings_that_do_not_fit_are_refused(changes):
    with pytest.raises(ValueError, match="upsampler needs"):
        replace(PRESETS["span"].network, **changes)
