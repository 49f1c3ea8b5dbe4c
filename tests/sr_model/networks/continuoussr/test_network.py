"""The network's field starts as bicubic interpolation and keeps to the paper's bounds; every ablation of the
paper is one setting."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from random_weights import with_random_weights

from dgp_mining import Dictionary
from sr_model import PRESETS, PROTOCOLS, ContinuousSR, Preset
from sr_model.evaluation.protocol import mean_score, score
from sr_model.networks.continuoussr import network as network_module
from sr_model.networks.continuoussr.dictionary_choice import chosen_kernels

SET5 = Path(__file__).parents[5] / "shared" / "images" / "set5" / "HR"


PLAIN = {"keys": "plain", "interpolate": False}


ABLATIONS = [
    {"latent": 3},
    {"latent": 3, **PLAIN},
    {"latent": 256, **PLAIN},
    {"latent": 512, **PLAIN},
    {"cells": 1},
    {"cells": 3},
    {"drift": 0.5},
    {"drift": 2.0},
    {"hidden": ()},
    {"hidden": (8, 8, 8), "offset_hidden": (4,)},
    {"offset_hidden": ()},
    {"trunk": (8, 6)},
    {"positions": "initial"},
    {"positions": "offsets", "interpolate": False},
    {"phase": "corner", "interpolate": False},
    {"covariance": "learned"},
    {"covariance": "learned", **PLAIN},
    {"covariance": "direct"},
    {"covariance": "direct", "interpolate": False},
    {"covariance": "bounded"},
    {"covariance": "bounded", "interpolate": False},
    {"covariance": "fixed"},
    {"blending": "cholesky"},
    {"blending": "covariance", "covariance": "learned"},
    {"blending": "covariance", **PLAIN},
    {"encoder": "rdn"},
    {"residual_scale": 0.1},
]


def named(changes: dict) -> str:
    return "-".join(f"{key}={value}" for key, value in changes.items())


@pytest.mark.skipif(not SET5.exists(), reason="needs ../shared/images/set5")
@pytest.mark.parametrize("covariance", ["dictionary", "fixed"])
def test_step_zero_is_within_fifteen_hundredths_of_a_decibel_of_bicubic_on_set5(kernels, covariance):
    network = ContinuousSR(replace(PRESETS["demo"].network, covariance=covariance), kernels)
    images = [torch.from_numpy(np.array(Image.open(p))).permute(2, 0, 1) for p in SET5.glob("*.png")]
    scores = mean_score(score(network, image, 4, PROTOCOLS["benchmark"]) for image in images)
    assert scores.psnr > scores.bicubic_psnr - 0.15


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (6, 5)])
def test_a_constant_image_starts_as_that_constant_up_to_its_borders(tiny: Preset, kernels, size):
    network = ContinuousSR(tiny.network, kernels)
    image = torch.tensor([0.2, 0.5, 0.9]).view(1, 3, 1, 1).expand(1, 3, *size)
    rendered = network(image).render((size[0] * 4, size[1] * 4))
    torch.testing.assert_close(rendered, image[..., :1, :1].expand_as(rendered), atol=0.01, rtol=0)


def test_the_field_is_in_lr_pixels_and_four_gaussians_per_pixel_with_its_margin(tiny: Preset, kernels):
    field = ContinuousSR(tiny.network, kernels)(torch.rand(2, 3, 5, 7))
    assert field.size == (5, 7)
    assert field.means.shape == (2, 4 * (5 + 2) * (7 + 2), 2)
    torch.testing.assert_close(field.means[0, :2], torch.tensor([[-0.75, -0.75], [-0.25, -0.75]]))
    torch.testing.assert_close(field.means[0, -1], torch.tensor([7.75, 5.75]))
    sigma = tiny.network.start_sigma / 2  # grid spacings are half LR pixels
    start = torch.tensor([sigma, 0, sigma]).expand_as(field.cholesky)
    torch.testing.assert_close(field.cholesky, start, atol=1e-5, rtol=0)


def test_gaussians_drift_at_most_one_lr_pixel(tiny: Preset, kernels):
    network = with_random_weights(ContinuousSR(tiny.network, kernels))
    rest = ContinuousSR(tiny.network, kernels)
    image = torch.rand(1, 3, 6, 6)
    drift = (network(image).means - rest(image).means).abs()
    assert 0 < drift.max() <= 1


def test_every_parameter_is_learnt(tiny: Preset, kernels):
    network = with_random_weights(ContinuousSR(tiny.network, kernels))
    network(torch.rand(1, 3, 6, 6)).render((12, 12)).square().mean().backward()
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in network.parameters())


def test_the_paper_preset_has_the_published_widths(kernels):
    network = ContinuousSR(PRESETS["paper"].network, kernels)
    assert network.bicubic_start is None
    assert network.kernels.query.weight.shape == (512, 256, 3, 3)
    field = network(torch.rand(1, 3, 4, 5))
    assert field.means.shape == (1, 80, 2)


@pytest.mark.parametrize("changes", ABLATIONS, ids=named)
def test_every_ablation_renders_and_learns(tiny: Preset, kernels, changes):
    network = with_random_weights(ContinuousSR(replace(tiny.network, **changes), kernels))
    field = network(torch.rand(2, 3, 5, 6))
    field.render((10, 14)).square().mean().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
        assert parameter.grad.abs().max() > 0, name


def positions(tiny: Preset, kernels, **changes) -> torch.Tensor:  # [N, 2]
    settings = replace(tiny.network, margin=0, **changes)
    return with_random_weights(ContinuousSR(settings, kernels))(torch.rand(1, 3, 4, 6)).means[0].detach()


def test_initial_positions_are_the_cells_centres_or_corners(tiny: Preset, kernels):
    centres = positions(tiny, kernels, positions="initial")
    corners = positions(tiny, kernels, positions="initial", phase="corner", interpolate=False)
    assert centres[0].tolist() == [0.25, 0.25]
    assert centres[-1].tolist() == [5.75, 3.75]
    torch.testing.assert_close(corners, centres - 0.25)


@pytest.mark.parametrize("drift", [0.5, 1.0, 2.0])
def test_gaussians_drift_as_far_as_allowed(tiny: Preset, kernels, drift):
    network = with_random_weights(ContinuousSR(replace(tiny.network, margin=0, drift=drift), kernels))
    with torch.no_grad():
        network.offset[-1].weight.zero_()
        network.offset[-1].bias.fill_(20.0)
    moved = network(torch.rand(1, 3, 4, 6)).means[0] - positions(tiny, kernels, positions="initial")
    torch.testing.assert_close(moved, torch.full_like(moved, drift))


def test_unaided_offsets_reach_all_of_the_canvas(tiny: Preset, kernels):
    network = with_random_weights(
        ContinuousSR(replace(tiny.network, positions="offsets", interpolate=False), kernels)
    )
    image = torch.rand(1, 3, 4, 6)
    for bias, place in ((-20.0, [0, 0]), (20.0, [6, 4])):
        with torch.no_grad():
            network.offset[-1].weight.zero_()
            network.offset[-1].bias.fill_(bias)
        means = network(image).means
        torch.testing.assert_close(means, torch.tensor(place).expand_as(means).float())


def test_bands_of_rows_without_gradients_give_the_field_of_the_whole(monkeypatch):
    monkeypatch.setattr(network_module, "BAND", 40)  # two rows of cells
    torch.manual_seed(0)
    settings = replace(PRESETS["light"].network, depth=1, query_size=1, contrast=0.01, trunk=(16,))
    kernels = chosen_kernels(settings, Dictionary.reference())
    network = ContinuousSR(settings, torch.tensor(kernels.cholesky))
    for parameter in network.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    image = torch.rand(2, 3, 7, 8)
    whole = network(image)
    with torch.no_grad():
        assert len(network.bands(network.cell_features(image))) > 2
        by_bands = network(image)
    for name in ("means", "cholesky", "colors"):
        torch.testing.assert_close(getattr(by_bands, name), getattr(whole, name), rtol=1e-4, atol=1e-5)
