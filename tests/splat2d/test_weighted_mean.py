"""Gaps of normalised fields are filled by the Gaussians near them, with the bits of the whole field."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from fields import random_inputs

from splat2d import DEFAULT_CUTOFF, GaussianField, render
from splat2d import field as field_module
from splat2d.backends import cpu
from splat2d.field import GAP_VARIANCE
from splat2d.weighted_mean import divided_by_weight, near_gaps, only

SIZES = [(40, 56), (60, 170)]
"""x1 and unequal scales of (40, 56)."""
WIDTHS = {"few gaps": 0.45, "many gaps": 0.12, "nearly only gaps": 0.02}
"""Factors for the Gaussians of `gappy`."""


def gappy(factor: float, counts: torch.Tensor | None = None) -> GaussianField:
    """Two rows of narrow Gaussians on (40, 56), the second without those at the left."""
    means, cholesky, colors = random_inputs(2, 900, 3, (40, 56))
    means[1, :, 0] = 20 + 0.6 * means[1, :, 0]
    return GaussianField(means, factor * cholesky, colors, (40, 56), counts, averaged=False, normalised=True)


def whole(field: GaussianField, size: tuple[int, int], cutoff: float) -> tuple[torch.Tensor, torch.Tensor]:
    """The picture with gaps taken from the whole blurred field, and where they are."""
    size, placed = field._placed(size, True)
    y, x = size[0] / field.size[0], size[1] / field.size[1]
    blurred = placed.widen(GAP_VARIANCE * x * x, GAP_VARIANCE * y * y)
    sharp, smooth = (
        render(one.means, one.cholesky, one.colors, size, counts=field.counts, cutoff=cutoff)
        for one in (placed, blurred)
    )
    gaps = sharp[:, -1:] == 0
    return torch.where(gaps, divided_by_weight(smooth), divided_by_weight(sharp)), gaps


@pytest.mark.parametrize(
    ("counts", "fewer"),
    [(None, False), (torch.tensor([900, 310]), False), (torch.tensor([310, 900]), True)],
)
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("size", SIZES)
def test_gaps_have_the_bits_of_the_whole_blurred_field(
    implementation, monkeypatch, size, width, counts, fewer
):
    """`fewer` as on the CPU, and not, as on a GPU."""
    if implementation == "fallback" and size != SIZES[0] and (width, fewer) != ("few gaps", False):
        pytest.skip("the fallback takes seconds: of larger sizes it has one width")
    drawn = []

    def counted(chosen, *parts):
        drawn.append(chosen.float().mean().item())
        return only(chosen, *parts, fewer=fewer)

    monkeypatch.setattr(field_module, "only", counted)
    field = gappy(WIDTHS[width], counts)
    for cutoff in (DEFAULT_CUTOFF, 1.5):
        right, gaps = whole(field, size, cutoff)
        assert 0 < gaps.float().mean() < 1
        assert torch.equal(field.render(size, cutoff), right)
        bands = [band for _, band in field.render_bands(size, cutoff, budget=50_000)]
        assert torch.equal(torch.cat(bands, 2), right)
    assert drawn


def test_few_gaps_are_filled_by_few_gaussians(monkeypatch):
    drawn = []

    def counted(chosen, *parts):
        drawn.append(chosen.float().mean().item())
        return only(chosen, *parts)

    monkeypatch.setattr(field_module, "only", counted)
    means = torch.cartesian_prod(torch.arange(60.0) + 0.5, torch.arange(40.0) + 0.5)[None]
    means[0, 1000, 0] += 30  # what is left is a hole of about one pixel
    cholesky = torch.tensor([0.2, 0.0, 0.2]).expand(1, 2400, 3)
    field = GaussianField(means, cholesky, torch.rand(1, 2400, 3), (40, 60), normalised=True)
    image = field.render((160, 240))
    assert torch.equal(image, whole(field, (160, 240), DEFAULT_CUTOFF)[0])
    assert len(drawn) == 1
    assert 0.005 < drawn[0] < 0.05


@pytest.mark.parametrize("top", [0, 8])
def test_every_gaussian_that_reaches_a_gap_is_near_it(top):
    """By brute force: the box of the ellipse against each gap."""
    means, cholesky, _ = random_inputs(3, 400, 1, (30, 40))
    generator = torch.Generator().manual_seed(1)
    gaps = torch.rand(3, 17, 40, generator=generator) < torch.tensor([0.01, 0.05, 0.0])[:, None, None]
    found = near_gaps(means, 0.3 * cholesky, gaps, top=top, added=(0.5, 0.25), cutoff=2)
    l11, l21, l22 = (0.3 * cholesky).unbind(-1)
    reach = 2 * torch.stack([(l11**2 + 0.5).sqrt(), (l21**2 + l22**2 + 0.25).sqrt()], -1)
    for row in range(3):
        rows, columns = gaps[row].nonzero().unbind(-1)
        places = torch.stack([columns + 0.5, rows + top + 0.5], -1)
        beyond = (places - means[row][:, None]).abs() - reach[row][:, None]
        distance = beyond.amax(-1).amin(1) if len(places) else torch.full((400,), torch.inf)
        assert found[row][distance <= 0].all()
        assert not found[row][distance > 2].any()
    assert found[:2].any(1).all()


def test_gaussians_of_any_size_are_far_or_near():
    means = torch.tensor([[[1e15, -1e15], [4.0, 4.0], [torch.nan, 3.0], [3.0, 1e15]]])
    cholesky = torch.tensor([[[1e-15, 0, 1e-15], [1e15, -1e15, 1e15], [1, 0, 1], [1e9, 0.0, 1e9]]])
    gaps = torch.zeros(1, 8, 8, dtype=torch.bool)
    gaps[0, 7, 7] = True
    found = near_gaps(means, cholesky, gaps, top=0, added=(1.0, 1.0), cutoff=3.33)
    assert found.tolist() == [[False, True, True, False]]
    far, shapes, _, _ = only(found, means, cholesky, torch.ones(1, 4, 1), None, fewer=False)
    assert (far[0, 0] < -1e8).all()
    assert (shapes[0, 3] == 1).all()


def test_a_row_that_is_nan_stays_nan(monkeypatch):
    """A GPU makes a row NaN that holds a Gaussian which cannot be rendered."""
    field = gappy(0.12)
    size, placed = field._placed((40, 56), True)

    def drawn(one: GaussianField) -> torch.Tensor:
        pixels = render(one.means, one.cholesky, one.colors, size)
        pixels[1] = torch.nan
        return pixels

    image = field.mean(placed, drawn)
    assert image[1].isnan().all()
    assert torch.equal(image[0], field.render((40, 56))[0])


@pytest.mark.parametrize("fewer", [True, False])
def test_gradients_of_gaps_are_those_of_the_whole_blurred_field(monkeypatch, fewer):
    monkeypatch.setattr(field_module, "only", lambda *parts: only(*parts, fewer=fewer))
    if cpu.LIBRARY is None:
        pytest.skip("built without the C++ library")
    field, found = gappy(0.12), []
    for draw in (lambda one: one.render((60, 84)), lambda one: whole(one, (60, 84), DEFAULT_CUTOFF)[0]):
        leaves = [t.clone().requires_grad_() for t in (field.means, field.cholesky, field.colors)]
        one = replace(field, means=leaves[0], cholesky=leaves[1], colors=leaves[2])
        draw(one).square().sum().backward()
        found.append([leaf.grad for leaf in leaves])
    for one, other in zip(*found, strict=True):
        assert other.abs().max() > 0
        assert (one - other).abs().max() <= 1e-5 * other.abs().max()
