"""Blended kernels are positive definite, and the start kernel is the one set."""

from __future__ import annotations

import pytest
import torch

from dgp_mining.prior.dictionary import Dictionary
from splat2d import GaussianField
from sr_model.networks.continuoussr.blending import (
    SMALLEST_DIAGONAL,
    from_blending,
    isotropic,
    maximum_entropy_tilt,
    to_blending,
    with_positive_diagonal,
)

SPACES = ["cholesky", "covariance", "sqrt"]


@pytest.mark.parametrize("blending", SPACES)
def test_blending_space_and_back_is_the_same_kernel(dictionary: Dictionary, blending):
    cholesky = torch.tensor(dictionary.cholesky)
    torch.testing.assert_close(from_blending(to_blending(cholesky, blending), blending), cholesky)


def test_sqrt_entries_square_to_the_covariance(dictionary: Dictionary):
    a, b, c = to_blending(torch.tensor(dictionary.cholesky), "sqrt").unbind(-1)
    square = torch.stack([a * a + b * b, b * (a + c), b * b + c * c], -1)
    torch.testing.assert_close(square, torch.tensor(dictionary.covariance))


@pytest.mark.parametrize("blending", SPACES)
def test_every_convex_combination_is_a_kernel(dictionary: Dictionary, blending):
    entries = to_blending(torch.tensor(dictionary.cholesky, dtype=torch.float32), blending)
    logits = 5 * torch.randn(1000, len(entries), generator=torch.Generator().manual_seed(0))
    cholesky = from_blending(torch.softmax(logits, -1) @ entries, blending)
    assert torch.isfinite(cholesky).all()
    assert (cholesky[:, [0, 2]] > 0).all()


@pytest.mark.parametrize("blending", SPACES)
@pytest.mark.parametrize("sigma", [0.5, 0.65, 0.75])
def test_start_weights_average_to_the_start_kernel(dictionary: Dictionary, blending, sigma):
    entries = to_blending(torch.tensor(dictionary.cholesky), blending)
    target = to_blending(isotropic(sigma), blending)
    weights = torch.softmax(entries @ maximum_entropy_tilt(entries, target), 0)
    torch.testing.assert_close(weights @ entries, target, atol=1e-9, rtol=0)
    assert (weights > 0).all()


@pytest.mark.parametrize("blending", SPACES)
def test_a_start_kernel_out_of_reach_is_refused(dictionary: Dictionary, blending):
    entries = to_blending(torch.tensor(dictionary.cholesky), blending)
    with pytest.raises(ValueError, match="outside"):
        maximum_entropy_tilt(entries, to_blending(isotropic(5.0), blending))


def test_the_narrowest_kernel_is_not_seen():
    sigma = SMALLEST_DIAGONAL / 2
    field = GaussianField(
        torch.rand(1, 200, 2, generator=torch.Generator().manual_seed(0)) * 8,
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
