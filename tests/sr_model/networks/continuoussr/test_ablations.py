"""Every ablation of the paper promises to be one setting away, and to change what it says, no more."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from dgp_mining.prior.continuoussr_table import continuoussr_kernels
from dgp_mining.prior.dictionary import Dictionary
from splat2d import GaussianField
from sr_model import ContinuousSR, ContinuousSRSettings, Preset
from sr_model.networks.continuoussr.blending import SMALLEST_DIAGONAL, with_positive_diagonal
from sr_model.networks.continuoussr.dictionary_choice import chosen_kernels

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


@pytest.fixture
def kernels(dictionary: Dictionary) -> torch.Tensor:
    return torch.tensor(dictionary.cholesky)


def scrambled(settings: ContinuousSRSettings, kernels: torch.Tensor) -> ContinuousSR:
    """The network with random weights throughout, in place of the zeros of the interpolator's start."""
    torch.manual_seed(1)
    network = ContinuousSR(settings, kernels)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return network


@pytest.mark.parametrize("changes", ABLATIONS, ids=named)
def test_every_ablation_renders_and_learns(tiny: Preset, kernels, changes):
    network = scrambled(replace(tiny.network, **changes), kernels)
    field = network(torch.rand(2, 3, 5, 6))
    field.render((10, 14)).square().mean().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
        assert parameter.grad.abs().max() > 0, name


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


def positions(tiny: Preset, kernels, **changes) -> torch.Tensor:  # [N, 2]
    settings = replace(tiny.network, margin=0, **changes)
    return scrambled(settings, kernels)(torch.rand(1, 3, 4, 6)).means[0].detach()


def test_initial_positions_are_the_cells_centres_or_corners(tiny: Preset, kernels):
    centres = positions(tiny, kernels, positions="initial")
    corners = positions(tiny, kernels, positions="initial", phase="corner", interpolate=False)
    assert centres[0].tolist() == [0.25, 0.25]
    assert centres[-1].tolist() == [5.75, 3.75]
    torch.testing.assert_close(corners, centres - 0.25)


@pytest.mark.parametrize("drift", [0.5, 1.0, 2.0])
def test_gaussians_drift_as_far_as_allowed(tiny: Preset, kernels, drift):
    network = scrambled(replace(tiny.network, margin=0, drift=drift), kernels)
    with torch.no_grad():
        network.offset[-1].weight.zero_()
        network.offset[-1].bias.fill_(20.0)
    moved = network(torch.rand(1, 3, 4, 6)).means[0] - positions(tiny, kernels, positions="initial")
    torch.testing.assert_close(moved, torch.full_like(moved, drift))


def test_unaided_offsets_reach_all_of_the_canvas(tiny: Preset, kernels):
    network = scrambled(replace(tiny.network, positions="offsets", interpolate=False), kernels)
    image = torch.rand(1, 3, 4, 6)
    for bias, place in ((-20.0, [0, 0]), (20.0, [6, 4])):
        with torch.no_grad():
            network.offset[-1].weight.zero_()
            network.offset[-1].bias.fill_(bias)
        means = network(image).means
        torch.testing.assert_close(means, torch.tensor(place).expand_as(means).float())


def test_regressed_kernels_are_unbounded_or_bounded_by_the_dictionary(tiny: Preset, kernels):
    direct, bounded = (
        scrambled(replace(tiny.network, covariance=way, interpolate=False), kernels).kernels
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


def test_a_box_that_cannot_start_is_said_so(tiny: Preset):
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
    network = scrambled(settings, torch.from_numpy(continuoussr_kernels()))
    with torch.no_grad():
        network.kernels.query.weight.mul_(100)  # nearly all the weight on one kernel, singular or not
        field = network(torch.rand(1, 3, 12, 12))
    spacing = 1 / settings.cells
    assert torch.isfinite(field.cholesky).all()
    assert field.cholesky[..., [0, 2]].min() >= 0.999 * SMALLEST_DIAGONAL * spacing
    assert torch.isfinite(field.render((24, 24))).all()


def test_the_narrowest_kernel_is_not_seen():
    sigma = SMALLEST_DIAGONAL / 2
    field = GaussianField(
        torch.rand(1, 200, 2) * 8,
        torch.tensor([sigma, 0, sigma]).expand(1, 200, 3),
        torch.ones(1, 200, 1),
        (8, 8),
    )
    assert float(field.render((32, 32), footprint=False).abs().max()) < 1e-3


def test_positive_keeps_the_covariance():
    entries = torch.tensor([[-2.0, 0.5, 3.0], [2.0, 0.5, -3.0], [-1.0, -0.5, -1.0]])
    expected = torch.tensor([[2.0, -0.5, 3.0], [2.0, 0.5, 3.0], [1.0, 0.5, 1.0]])
    assert torch.equal(with_positive_diagonal(entries), expected)
    assert torch.equal(
        with_positive_diagonal(torch.zeros(3)), torch.tensor([SMALLEST_DIAGONAL, 0, SMALLEST_DIAGONAL])
    )


def test_dictionaries_that_know_less_than_the_mined_one(tiny: Preset, dictionary: Dictionary):
    given = Dictionary(dictionary.cholesky, {"images": "photos", "recipe": "fast", "coverage": {"sqrt": 1}})
    network = tiny.network
    assert chosen_kernels(network, given) is given

    few = chosen_kernels(replace(network, dictionary_size=10), given)
    assert len(few) == 10
    assert {tuple(k) for k in few.cholesky} <= {tuple(k) for k in given.cholesky}
    assert few.metadata["recipe"] == "fast"
    assert few.metadata["chosen"] == "10 of 60 kernels, the farthest apart"
    assert "coverage" not in few.metadata  # which is that of all kernels

    corners = chosen_kernels(replace(network, dictionary="corners"), given).cholesky
    assert len({tuple(k) for k in corners}) == 8
    assert (corners.min(0) == given.cholesky.min(0)).all()
    assert (corners.max(0) == given.cholesky.max(0)).all()

    limits = (0.0, 2.4, -0.9, 1.5, 0.2, 2.2)  # pixels at x4, two to a grid spacing
    settings = replace(network, dictionary="uniform", dictionary_size=4000, dictionary_range=limits)
    uniform = chosen_kernels(settings, given)
    assert uniform.metadata["ablation"] == "uniform"
    assert uniform.metadata["images"] == "photos"
    np.testing.assert_allclose(uniform.cholesky.min(0), [0, -0.45, 0.1], atol=0.01)
    np.testing.assert_allclose(uniform.cholesky.max(0), [1.2, 0.75, 1.1], atol=0.01)
    np.testing.assert_allclose(uniform.cholesky.mean(0), [0.6, 0.15, 0.6], atol=0.02)
    assert np.array_equal(uniform.cholesky, chosen_kernels(settings, given).cholesky)

    released = chosen_kernels(replace(network, dictionary="released"), given)
    np.testing.assert_allclose(released.cholesky, continuoussr_kernels(), atol=SMALLEST_DIAGONAL)
    with pytest.raises(ValueError, match=r"61.* 60 kernels"):
        chosen_kernels(replace(network, dictionary_size=61), given)


UNIFORM = {"dictionary": "uniform", "dictionary_size": 9}


@pytest.mark.parametrize(
    ("changes", "mention"),
    [
        ({"encoder": "vgg"}, "encoder must be one of edsr, rdn, swinir, hat, got 'vgg'"),
        ({"encoder": "swinir"}, "width must be a multiple of 6"),
        ({"encoder": "hat"}, "width must be a multiple of 30"),
        ({"encoder": "swinir", "width": 12, "cells": 5}, "cells"),
        ({"encoder": "rdn", "residual_scale": 0.1}, "residual_scale"),
        ({"depth": 0}, "depth"),
        ({"latent": 2}, "latent must be 3 or more, got 2"),
        ({"trunk": (8, 0)}, "trunk"),
        ({"margin": -1}, "margin"),
        ({"drift": float("nan")}, "drift"),
        ({"blending": "log"}, "blending must be one of"),
        ({"keys": "plain"}, "interpolate needs keys tilted"),
        ({"phase": "corner"}, "interpolate needs phase centre"),
        ({"positions": "offsets"}, "interpolate needs"),
        (UNIFORM, "dictionary_range"),
        ({"dictionary": "uniform", "dictionary_range": (0, 1, 0, 1, 0, 1)}, "dictionary_size"),
        ({**UNIFORM, "dictionary_range": (0, 1, 0, 1)}, "six numbers"),
        ({**UNIFORM, "dictionary_range": (1, 0, 0, 1, 0, 1)}, "six numbers"),
        ({**UNIFORM, "dictionary_range": (-1, 1, 0, 1, 0, 1)}, "l11 and l22"),
        ({"dictionary_range": (0, 1, 0, 1, 0, 1)}, "dictionary_range"),
        ({"dictionary": "released", "dictionary_size": 9}, "dictionary_size"),
        ({"dictionary_size": 0}, "dictionary_size"),
    ],
    ids=lambda value: named(value) if isinstance(value, dict) else "",
)  # fmt: skip
def test_settings_that_cannot_be_are_refused_in_a_sentence_naming_them(tiny: Preset, changes, mention):
    with pytest.raises(ValueError) as error:
        replace(tiny.network, **changes)
    assert mention in str(error.value)
