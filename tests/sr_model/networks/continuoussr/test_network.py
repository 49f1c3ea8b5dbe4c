"""The network promises a field that starts as bicubic interpolation and keeps to the paper's bounds."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from dgp_mining.prior.dictionary import Dictionary
from splat2d import GaussianField
from splat2d.resample import imresize
from sr_model import PRESETS, PROTOCOLS, ContinuousSR, Preset
from sr_model.evaluation.protocol import mean_score, score
from sr_model.networks.bicubic_start import BicubicStart
from sr_model.networks.continuoussr.blending import from_blending

SET5 = Path(__file__).parents[5] / "shared" / "images" / "set5" / "HR"


@pytest.fixture
def kernels(dictionary: Dictionary) -> torch.Tensor:
    return torch.tensor(dictionary.cholesky)


def scrambled(network: ContinuousSR) -> ContinuousSR:
    """The network with random weights throughout, in place of the zeros of its bicubic start."""
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return network


@pytest.mark.skipif(not SET5.exists(), reason="needs ../shared/images/set5")
@pytest.mark.parametrize("covariance", ["dictionary", "fixed"])
def test_step_zero_is_within_fifteen_hundredths_of_a_decibel_of_bicubic_on_set5(kernels, covariance):
    network = ContinuousSR(replace(PRESETS["demo"].network, covariance=covariance), kernels)
    images = [torch.from_numpy(np.array(Image.open(p))).permute(2, 0, 1) for p in SET5.glob("*.png")]
    scores = mean_score(score(network, image, 4, PROTOCOLS["benchmark"]) for image in images)
    assert scores.psnr > scores.bicubic_psnr - 0.15


@pytest.mark.parametrize("sigma", [0.6, 0.65, 0.7])
@pytest.mark.parametrize("cells", [1, 2, 3])
def test_interpolated_colours_render_as_the_bicubic_image_at_cell_centres(cells, sigma):
    image = torch.rand(1, 3, 12, 14, generator=torch.Generator().manual_seed(0))
    colours = BicubicStart(cells, sigma)(image)
    rows, columns = colours.shape[-2:]
    y, x = torch.meshgrid(torch.arange(rows) + 0.5, torch.arange(columns) + 0.5, indexing="ij")
    means = torch.stack([x, y], -1).view(1, -1, 2)
    round_kernels = torch.tensor([sigma, 0, sigma]).expand(1, rows * columns, 3)
    field = GaussianField(means, round_kernels, colours.flatten(2).mT, size=(rows, columns))
    inner = (..., slice(3 * cells, -3 * cells), slice(3 * cells, -3 * cells))
    expected = imresize(image, (rows, columns))
    torch.testing.assert_close(field.render()[inner], expected[inner], atol=0.02, rtol=0)


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
    network = scrambled(ContinuousSR(tiny.network, kernels))
    rest = ContinuousSR(tiny.network, kernels)
    image = torch.rand(1, 3, 6, 6)
    drift = (network(image).means - rest(image).means).abs()
    assert 0 < drift.max() <= 1


@pytest.mark.parametrize("blending", ["cholesky", "covariance", "sqrt"])
def test_covariances_are_softmax_blends_of_the_dictionary(tiny: Preset, kernels, blending):
    network = scrambled(ContinuousSR(replace(tiny.network, blending=blending), kernels))
    weighting = network.kernels
    queries = torch.randn(2, 10, tiny.network.latent)
    entries, keys = weighting.dictionary()
    blended = torch.softmax(queries @ keys.T, -1) @ entries
    torch.testing.assert_close(weighting(queries), from_blending(blended, blending))


def test_every_parameter_is_learnt(tiny: Preset, kernels):
    network = scrambled(ContinuousSR(tiny.network, kernels))
    network(torch.rand(1, 3, 6, 6)).render((12, 12)).square().mean().backward()
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in network.parameters())


def test_the_fixed_kernel_ablation_keeps_its_round_kernel(tiny: Preset, kernels):
    network = scrambled(ContinuousSR(replace(tiny.network, covariance="fixed"), kernels))
    field = network(torch.rand(1, 3, 4, 4))
    sigma = tiny.network.start_sigma / 2
    torch.testing.assert_close(field.cholesky, torch.tensor([sigma, 0, sigma]).expand_as(field.cholesky))


def test_the_paper_preset_has_the_published_widths(kernels):
    network = ContinuousSR(PRESETS["paper"].network, kernels)
    assert network.bicubic_start is None
    assert network.kernels.query.weight.shape == (512, 256, 3, 3)
    field = network(torch.rand(1, 3, 4, 5))
    assert field.means.shape == (1, 80, 2)
