"""Every head gives kernels that can be rendered, and the same start kernel."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from random_weights import with_random_weights

from dgp_mining.prior.continuoussr_table import continuoussr_kernels
from splat2d import DEFAULT_CUTOFF
from splat2d.field import GAP_VARIANCE
from sr_model import ContinuousSR, Preset
from sr_model.networks.continuoussr.blending import SMALLEST_DIAGONAL, from_blending
from sr_model.upscaling.tiling import LARGEST_DRIFT, reach

PLAIN = {"keys": "plain", "interpolate": False}


@pytest.mark.parametrize("covariance", ["dictionary", "learned", "direct", "bounded", "fixed"])
@pytest.mark.parametrize("blending", ["cholesky", "covariance", "sqrt"])
def test_the_interpolators_start_is_the_same_for_all_ways_to_a_kernel(
    tiny: Preset, kernels, covariance, blending
):
    settings = replace(tiny.network, covariance=covariance, blending=blending)
    field = ContinuousSR(settings, kernels)(torch.rand(1, 3, 4, 4))
    sigma = settings.start_sigma / settings.cells
    start = torch.tensor([sigma, 0, sigma]).expand_as(field.cholesky)
    torch.testing.assert_close(field.cholesky, start, atol=2e-4, rtol=0)


@pytest.mark.parametrize("blending", ["cholesky", "covariance", "sqrt"])
def test_covariances_are_softmax_blends_of_the_dictionary(tiny: Preset, kernels, blending):
    network = with_random_weights(ContinuousSR(replace(tiny.network, blending=blending), kernels))
    weighting = network.kernels
    queries = torch.randn(2, 10, tiny.network.latent)
    entries, keys = weighting.dictionary()
    blended = torch.softmax(queries @ keys.T, -1) @ entries
    torch.testing.assert_close(weighting(queries), from_blending(blended, blending))


def test_the_fixed_kernel_ablation_keeps_its_round_kernel(tiny: Preset, kernels):
    network = with_random_weights(ContinuousSR(replace(tiny.network, covariance="fixed"), kernels))
    field = network(torch.rand(1, 3, 4, 4))
    sigma = tiny.network.start_sigma / 2
    torch.testing.assert_close(field.cholesky, torch.tensor([sigma, 0, sigma]).expand_as(field.cholesky))


def test_regressed_kernels_are_unbounded_or_bounded_by_the_dictionary(tiny: Preset, kernels):
    direct, bounded = (
        with_random_weights(
            ContinuousSR(replace(tiny.network, covariance=way, interpolate=False), kernels)
        ).kernels
        for way in ("direct", "bounded")
    )
    wild = 30 * torch.randn(1, 500, 3)
    lower = torch.zeros(1, 500, 2, 2)
    lower[..., 0, 0], lower[..., 1, 0], lower[..., 1, 1] = wild.unbind(-1)
    l11, l21, l22 = direct(wild).unbind(-1)
    assert min(l11.min(), l22.min()) > 0
    covariance = torch.stack([l11**2, l11 * l21, l21**2 + l22**2], -1)
    expected = (lower @ lower.mT)[..., [0, 0, 1], [0, 1, 1]]
    torch.testing.assert_close(covariance, expected, rtol=1e-4, atol=1e-3)
    low, high = kernels.float().aminmax(dim=0)
    assert (bounded(wild) >= low - 1e-6).all()
    assert (bounded(wild) <= high + 1e-6).all()
    torch.testing.assert_close(bounded(wild).amax((0, 1)), high)


def test_a_box_without_the_start_kernel_is_refused(tiny: Preset):
    with pytest.raises(ValueError, match="start kernel lies outside"):
        ContinuousSR(replace(tiny.network, covariance="bounded"), torch.tensor([[2.0, -1, 2], [3, 1, 3]]))


def test_a_learned_dictionary_starts_as_the_given_one(tiny: Preset, kernels):
    settings = replace(tiny.network, **PLAIN)
    fixed, learned = (
        ContinuousSR(replace(settings, covariance=way), kernels).kernels.dictionary()[0]
        for way in ("dictionary", "learned")
    )
    torch.testing.assert_close(learned, fixed)


@pytest.mark.parametrize("blending", ["cholesky", "covariance", "sqrt"])
def test_the_continuoussr_kernels_blend_to_what_can_be_rendered(tiny: Preset, blending):
    settings = replace(tiny.network, blending=blending, **PLAIN)
    network = with_random_weights(ContinuousSR(settings, torch.from_numpy(continuoussr_kernels())))
    with torch.no_grad():
        network.kernels.query.weight.mul_(100)  # nearly all the weight on one kernel, singular or not
        field = network(torch.rand(1, 3, 12, 12))
    spacing = 1 / settings.cells
    assert torch.isfinite(field.cholesky).all()
    assert field.cholesky[..., [0, 2]].min() >= 0.999 * SMALLEST_DIAGONAL * spacing
    assert torch.isfinite(field.render((24, 24))).all()


@pytest.mark.parametrize("covariance", ["dictionary", "learned"])
@pytest.mark.parametrize("blending", ["cholesky", "covariance", "sqrt"])
def test_no_kernel_is_wider_than_said_and_one_comes_near(tiny: Preset, kernels, covariance, blending):
    settings = replace(tiny.network, covariance=covariance, blending=blending)
    weighting = with_random_weights(ContinuousSR(settings, kernels)).kernels
    said = weighting.largest_variance()
    l11, l21, l22 = weighting(300 * torch.randn(1, 2000, settings.latent)).detach().double().unbind(-1)
    factor = torch.stack([l11, 0 * l11, l21, l22], -1).unflatten(-1, (2, 2))
    largest = torch.linalg.matrix_norm(factor, 2).square().max()
    assert 0.9 * said < largest <= said * (1 + 1e-5)


def test_a_gaussian_changes_nothing_beyond_where_it_is_said_to_be_visible(tiny: Preset, kernels):
    network = with_random_weights(ContinuousSR(replace(tiny.network, normalised=True, cells=2), kernels), 3.0)
    with torch.no_grad():
        field = network(torch.rand(1, 3, 8, 8))
        cells = network.origins(torch.empty(1, 1, *(8 + sum(network.margins(8)),) * 2))
        variance = field.cholesky.square().sum(-1).max() + GAP_VARIANCE  # of either axis, or more
    within = (field.means - cells).abs().max() + DEFAULT_CUTOFF * variance.sqrt()
    assert network.visible_within is not None
    assert 0.5 * within < network.visible_within < LARGEST_DRIFT
    for way in ("direct", "bounded", "fixed"):
        settings = replace(tiny.network, covariance=way, interpolate=False)
        assert ContinuousSR(settings, kernels).visible_within is None
    assert reach(network, 2.0) < reach(ContinuousSR(settings, kernels), 2.0)
