"""The name of a protocol determines its figures."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from splat2d import imresize
from sr_model import PROTOCOLS, ContinuousSR
from sr_model.evaluation.protocol import (
    compare,
    compare_pair,
    low_resolution,
    score,
    with_border,
    with_reduction,
)

SET5 = Path(__file__).parents[4] / "shared" / "images" / "set5"
needs_set5 = pytest.mark.skipif(not SET5.exists(), reason="needs ../shared/images/set5")


@needs_set5
def test_benchmark_lr_images_are_those_of_set5():
    hr = torch.from_numpy(np.array(Image.open(SET5 / "HR" / "head.png"))).permute(2, 0, 1)
    lr, cropped = low_resolution(hr, 3, "matlab")
    shipped = torch.from_numpy(np.array(Image.open(SET5 / "X3" / "headx3.png"))).permute(2, 0, 1)
    assert torch.equal(lr, shipped)
    assert cropped.shape == (3, 279, 279)


@needs_set5
def test_the_replicated_border_gives_the_x8_images_of_set5_in_circulation():
    hr = torch.from_numpy(np.array(Image.open(SET5 / "HR" / "woman.png"))).permute(2, 0, 1)
    lr, _ = low_resolution(hr, 8, with_border("benchmark", "replicate").lr)
    shipped = torch.from_numpy(np.array(Image.open(SET5 / "X8" / "womanx8.png"))).permute(2, 0, 1)
    assert torch.equal(lr, shipped)


def test_a_border_is_an_option_of_protocols_with_matlabs_lr_images():
    assert with_border("gsasr", "mirror") == PROTOCOLS["gsasr"]
    assert with_border("gsasr", "replicate").lr == "matlab-replicate"
    with pytest.raises(ValueError, match="Pillow"):
        with_border("continuoussr", "replicate")
    with pytest.raises(ValueError, match="border="):
        with_border("gsasr", "wrap")


@pytest.mark.parametrize("lr", ["matlab", "matlab-replicate", "pil"])
@pytest.mark.parametrize("scale", [2, 2.5, 3.7, 4.0])
def test_hr_is_cropped_to_the_rounded_multiple_of_lr(scale, lr):
    hr = torch.randint(0, 256, (3, 50, 61), dtype=torch.uint8)
    low, cropped = low_resolution(hr, scale, lr)
    assert low.shape == (3, int(50 / scale), int(61 / scale))
    assert cropped.shape == (3, int(low.shape[1] * scale + 0.5), int(low.shape[2] * scale + 0.5))
    assert torch.equal(cropped, hr[:, : cropped.shape[1], : cropped.shape[2]])


@pytest.mark.parametrize(
    ("name", "scale", "shave", "channel", "rounded"),
    [("benchmark", 2.5, 3, "y", True), ("continuoussr", 2.5, 3, "y", False),
     ("div2k", 2.5, 9, "rgb", False), ("gsasr", 9.0, 8, "y", True)],
)  # fmt: skip
def test_each_protocol_measures_what_its_name_says(
    network: ContinuousSR, name, scale, shave, channel, rounded
):
    random = np.random.default_rng(0)
    hr = torch.from_numpy(random.integers(0, 256, (3, 72, 90), np.uint8))
    ours = score(network, hr, scale, with_reduction(name, "none"))
    lr, cropped = low_resolution(hr, scale, PROTOCOLS[name].lr)
    with torch.no_grad():
        upscaled = network(lr[None] / 255).render(tuple(cropped.shape[1:]))[0].clamp(0, 1).double() * 255
    upscaled, truth = upscaled.round() if rounded else upscaled, cropped.double()
    if channel == "y":
        weights = torch.tensor([65.481, 128.553, 24.966], dtype=torch.float64)[:, None, None] / 255
        upscaled, truth = ((image * weights).sum(0) for image in (upscaled, truth))
    error = (upscaled - truth)[..., shave:-shave, shave:-shave].square().mean()
    assert ours.psnr == pytest.approx(10 * np.log10(255**2 / error.item()), abs=1e-4)


def test_a_result_is_made_consistent_by_the_kernel_that_a_protocol_names(network: ContinuousSR):
    hr = torch.randint(0, 256, (3, 72, 90), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    lr, _ = low_resolution(hr, 3, "matlab")
    apart = {}
    for reduction in (None, "bicubic", "area", "none"):
        result = compare(network, hr, 3, with_reduction("continuoussr", reduction)).network
        apart[reduction] = (imresize(result, lr.shape[1:]) - lr / 255).square().mean().item()
    assert apart[None] == apart["bicubic"] < apart["area"] < apart["none"]


def test_an_unknown_reduction_is_refused():
    with pytest.raises(ValueError, match="reduction= must be one of bicubic, bilinear"):
        with_reduction("benchmark", "nearest")


def test_scales_to_48_are_measured(network: ContinuousSR):
    hr = torch.randint(0, 256, (3, 240, 336), dtype=torch.uint8)
    for scale in (16, 33.3, 48):
        assert 5 < score(network, hr, scale, PROTOCOLS["benchmark"]).psnr < 20


@pytest.fixture
def hr() -> torch.Tensor:
    """A smooth random picture [3, 41, 40]."""
    small = torch.rand(3, 11, 10, generator=torch.Generator().manual_seed(0))
    return (imresize(small, (41, 40)).clamp(0, 1) * 255).round().byte()


def test_a_given_lr_image_is_measured_as_one_that_is_made(network: ContinuousSR, hr: torch.Tensor):
    """The HR image is cropped to what the LR image shows."""
    for scale in (2, 4):
        lr, cropped = low_resolution(hr, scale, "matlab")
        made = compare(network, hr, scale, PROTOCOLS["benchmark"])
        given = compare_pair(network, lr, hr, Fraction(scale), PROTOCOLS["benchmark"])
        assert cropped.shape == given.hr.shape == (3, 40, 40)
        for name in ("hr", "network", "bicubic"):
            assert torch.equal(getattr(made, name), getattr(given, name))


def test_what_an_lr_image_shows_beyond_its_hr_image_is_not_measured(network: ContinuousSR, hr: torch.Tensor):
    """MATLAB rounds the size of LR images up: 11 rows of 4 are 44, of which the HR image has 41."""
    lr = imresize(hr, scale=0.25)
    assert lr.shape == (3, 11, 10)
    given = compare_pair(network, lr, hr, Fraction(4), with_reduction("continuoussr", "none"))
    whole = network(lr[None] / 255, 4.0).render((44, 40))[0].clamp(0, 1)
    assert torch.equal(given.hr, hr / 255)
    torch.testing.assert_close(given.network, whole[:, :41], atol=1e-4, rtol=0)


def test_a_pair_is_upscaled_by_its_exact_scale(network: ContinuousSR, hr: torch.Tensor):
    """17 rows at x2.5 are 42.5: neither 42 nor 43 rows of the network's result are those of the HR image."""
    lr = imresize(hr, scale=0.4)
    assert lr.shape == (3, 17, 16)
    given = compare_pair(network, lr, hr, Fraction(5, 2), with_reduction("benchmark", "none"))
    assert given.network.shape == (3, 41, 40)
    assert torch.equal(given.bicubic, imresize(lr, scale=2.5)[:, :41, :40] / 255)
    twice = network(lr[None] / 255, 2.5).render((85, 80))[0].clamp(0, 1)  # x5
    halved = twice[:, :82].unfold(1, 2, 2).unfold(2, 2, 2).mean((-2, -1))
    torch.testing.assert_close(given.network, halved, atol=0.03, rtol=0)
