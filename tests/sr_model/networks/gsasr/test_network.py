"""GSASR gives a field for every scale, and starts as bicubic interpolation."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from random_weights import random_gsasr

from sr_model import GSASR, PRESETS, PROTOCOLS
from sr_model.evaluation.protocol import mean_score, score
from sr_model.networks.gsasr.settings import WIDEST

SET5 = Path(__file__).parents[5] / "shared" / "images" / "set5" / "HR"


PARTS = ("means", "cholesky", "colors")


@pytest.mark.skipif(not SET5.exists(), reason="needs ../shared/images/set5")
@pytest.mark.parametrize("scale", [2, 4])
def test_step_zero_is_within_fifteen_hundredths_of_a_decibel_of_bicubic_on_set5(scale):
    network = GSASR(PRESETS["gsasr-demo"].network).eval()
    smallest = sorted(SET5.glob("*.png"), key=lambda path: path.stat().st_size)[:3]
    images = [torch.from_numpy(np.array(Image.open(path))).permute(2, 0, 1) for path in smallest]
    scores = mean_score(score(network, image, scale, PROTOCOLS["benchmark"]) for image in images)
    assert scores.psnr > scores.bicubic_psnr - 0.15


@pytest.mark.parametrize("cells", [1, 2, 3, 4])
def test_a_constant_image_starts_as_that_constant_up_to_its_borders_at_every_number_of_gaussians(
    tiny_gsasr, cells
):
    network = GSASR(replace(tiny_gsasr.network, cells=cells, margin=3))
    image = torch.tensor([0.2, 0.5, 0.9]).view(1, 3, 1, 1).expand(1, 3, 6, 5)
    field = network(image, 3.3)
    assert field.means.shape[1] == cells**2 * 12 * 12  # a margin of three pixels, then whole windows of four
    rendered = field.render((20, 17))
    torch.testing.assert_close(rendered, image[..., :1, :1].expand_as(rendered), atol=0.01, rtol=0)


def test_gaussians_stand_at_the_centres_of_their_cells(tiny_gsasr):
    network = GSASR(tiny_gsasr.network)
    before, after = network.margins(5)
    assert (before, after) == (1, 2)
    means = network(torch.rand(1, 3, 5, 7), 2).means[0]
    torch.testing.assert_close(means[:2], torch.tensor([[-0.75, -0.75], [-0.25, -0.75]]))
    torch.testing.assert_close(means[-1], torch.tensor([10.75, 6.75]))


def test_kernels_stay_within_the_published_range(tiny_gsasr):
    network = random_gsasr(tiny_gsasr.network, noise=2.0)
    l11, l21, l22 = network(torch.rand(1, 3, 8, 8), 2).cholesky.unbind(-1)
    for sigma in (l11, torch.hypot(l21, l22)):
        assert sigma.min() > 0
        assert sigma.max() <= WIDEST


def test_colours_are_those_published_unless_they_add_to_bicubics(tiny_gsasr):
    network = random_gsasr(tiny_gsasr.network, noise=2.0, interpolate=False, margin=0)
    colours = network(torch.rand(1, 3, 8, 8), 2).colors
    assert 0 <= colours.min() < colours.max() <= 1


def test_without_reference_positions_gaussians_may_be_anywhere_on_the_canvas(tiny_gsasr):
    free = random_gsasr(tiny_gsasr.network, noise=1.0, positions="free", interpolate=False, start=None)
    means = free(torch.rand(1, 3, 8, 12), 2).means[0]
    assert (means >= 0).all()
    assert (means <= torch.tensor([12, 8])).all()
    cells = torch.arange(len(means))
    assert torch.corrcoef(torch.stack([means[:, 1], cells.float()]))[0, 1].abs() < 0.5


def test_every_parameter_is_learnt(tiny_gsasr):
    network = random_gsasr(tiny_gsasr.network).requires_grad_(True)
    network(torch.rand(2, 3, 6, 6), torch.tensor([1.5, 3.0])).render((12, 12)).square().mean().backward()
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in network.parameters())


def test_the_scale_matters_and_each_image_of_a_batch_has_its_own(tiny_gsasr):
    network = random_gsasr(tiny_gsasr.network)
    images = torch.rand(3, 3, 6, 6)
    scales = torch.tensor([1.0, 2.5, 12.0])
    together = network(images, scales)
    for index in range(3):
        alone = network(images[index : index + 1], float(scales[index]))
        for part in PARTS:
            torch.testing.assert_close(getattr(together, part)[index], getattr(alone, part)[0])
    assert (network(images, 1).colors - network(images, 2).colors).abs().max() > 1e-3
    assert torch.equal(network(images, 0.3).colors, network(images, 1).colors)
    with pytest.raises(ValueError, match="depends on the scale"):
        network(images)


def test_bfloat16_changes_the_field_by_no_more_than_its_rounding(tiny_gsasr):
    network = random_gsasr(tiny_gsasr.network)
    image = torch.rand(1, 3, 8, 8)
    with torch.autocast("cpu", torch.bfloat16):
        rounded = network(image, 2)
    exact = network(image, 2)
    for part in PARTS:
        assert getattr(rounded, part).dtype == torch.float32
        torch.testing.assert_close(getattr(rounded, part), getattr(exact, part), atol=0.05, rtol=0.05)
