"""Rendered below its own scale, a field is averaged over the larger pixels, not sampled at points."""

from __future__ import annotations

import math

import pytest
import torch
from fields import random_inputs

from dgp_mining import fit_image
from splat2d import DEFAULT_CUTOFF, GaussianField, render

SIDE = 64


def make_field(n=60, size=(40, 56), seed=0):
    return GaussianField(*random_inputs(1, n, 3, size, seed), size=size)


@pytest.fixture(scope="module")
def zone_plate():
    """[64, 64, 1] rings that reach 0.4 cycles per pixel, each pixel the mean over its area; and their fit."""
    samples = 8
    along = (torch.arange(SIDE * samples, dtype=torch.float64) + 0.5) / samples
    squared = along[:, None].square() + along[None, :].square()
    rings = 0.5 + 0.4 * torch.cos(math.pi * 0.4 * squared / SIDE)
    pixels = torch.nn.functional.avg_pool2d(rings[None, None], samples)[0].permute(1, 2, 0).float()
    return pixels, fit_image(pixels, density=0.5, iterations=150).field


def test_a_zone_plate_at_half_scale_is_nearer_to_area_averages_than_point_samples_are(zone_plate):
    pixels, field = zone_plate
    truth = torch.nn.functional.avg_pool2d(pixels.permute(2, 0, 1)[None], 2)
    size = (SIDE // 2, SIDE // 2)
    errors = [
        (field.render(size, footprint=on) - truth).square().mean().sqrt().item() for on in (True, False)
    ]
    assert errors[0] < 0.5 * errors[1], errors


def test_the_footprint_keeps_the_integral():
    """At every place of the coarse grid over the fine one: so sampling averages out."""
    shapes = torch.tensor([[[0.7, 0.3, 0.9], [1.5, -0.8, 0.6]]])
    field = GaussianField(
        torch.tensor([[[28.0, 20.0], [25.0, 18.0]]]), shapes, torch.tensor([[[1.0], [2.0]]]), (40, 56)
    )
    within = 1 - math.exp(-(DEFAULT_CUTOFF**2) / 2)
    exact = 2 * math.pi * (0.7 * 0.9 + 2 * 1.5 * 0.6) * within
    for x, y in ((2, 2), (4, 4), (4, 2)):
        sums = [field.shift(j, i).render((40 // y, 56 // x)).sum().item() for i in range(y) for j in range(x)]
        assert sum(sums) == pytest.approx(exact, rel=0.005)


def test_covariances_grow_by_the_difference_of_the_two_boxes():
    """(1/s^2 - 1) / 12 of the field's units squared, along each axis by its own scale."""
    field = make_field()
    wide = field.widen((4**2 - 1) / 12, (2**2 - 1) / 12)
    covariance, wider = (factor(f) @ factor(f).mT for f in (field, wide))
    assert torch.allclose(
        wider - covariance, torch.diag(torch.tensor([1.25, 0.25])).expand(1, 60, 2, 2), atol=1e-4
    )
    placed = wide.scale(0.25, 0.5)
    expected = render(placed.means, placed.cholesky, placed.colors, (20, 14))
    assert torch.allclose(field.render((20, 14)), expected, atol=1e-4)


def factor(field):
    l11, l21, l22 = field.cholesky.unbind(-1)
    return torch.stack([l11, torch.zeros_like(l11), l21, l22], -1).unflatten(-1, (2, 2))


@pytest.mark.parametrize("size", [(40, 56), (40, 57), (100, 130)])
def test_at_and_above_its_own_scale_the_footprint_changes_no_bit(size):
    field = make_field()
    assert torch.equal(field.render(size), field.render(size, footprint=False))


def test_gradients_flow_through_the_footprint():
    field = make_field(n=10)
    leaves = [t.clone().requires_grad_() for t in (field.means, field.cholesky, field.colors)]
    GaussianField(*leaves, size=field.size).render((10, 14)).square().sum().backward()
    assert all(leaf.grad.isfinite().all() and leaf.grad.abs().sum() > 0 for leaf in leaves)
