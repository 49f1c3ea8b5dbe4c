"""The oracle is the formula itself: every other backend is compared with it."""

from __future__ import annotations

import math

import pytest
import torch

from splat2d.backends import dense


def formula(mean, cholesky, color, x, y, cutoff):
    """One Gaussian at one point, with the covariance inverted by hand."""
    l11, l21, l22 = cholesky
    xx, xy, yy = l11 * l11, l11 * l21, l21 * l21 + l22 * l22
    dx, dy = x - mean[0], y - mean[1]
    q = (yy * dx * dx - 2 * xy * dx * dy + xx * dy * dy) / (xx * yy - xy * xy)
    return color * math.exp(-q / 2) if q <= cutoff**2 else 0.0


@pytest.mark.parametrize("cutoff", [1.0, 3.33])
def test_a_pixel_is_the_sum_of_the_gaussians_at_its_centre(cutoff):
    gaussians = [((3.2, 1.7), (1.5, 0.6, 0.9), 2.0), ((6.0, 3.0), (0.8, -0.7, 1.2), -1.0)]
    means, cholesky, colors = (
        torch.tensor([list(part)], dtype=torch.float64) for part in zip(*gaussians, strict=True)
    )
    image = dense.render(means, cholesky, colors[..., None], (5, 8), None, cutoff)
    for row in range(5):
        for column in range(8):
            expected = sum(formula(*gaussian, column + 0.5, row + 0.5, cutoff) for gaussian in gaussians)
            assert image[0, 0, row, column].item() == pytest.approx(expected, abs=1e-12)


def test_an_image_in_bands_is_the_image_at_once(monkeypatch):
    generator = torch.Generator().manual_seed(0)
    means = 9 * torch.rand(2, 20, 2, generator=generator, dtype=torch.float64)
    cholesky = torch.tensor([1.0, 0.3, 0.8]).double().expand(2, 20, 3)
    colors = torch.rand(2, 20, 3, generator=generator, dtype=torch.float64)
    whole = dense.render(means, cholesky, colors, (9, 9))
    monkeypatch.setattr(dense, "PAIRS_PER_BAND", 2 * 20 * 9 * 2)
    assert torch.allclose(dense.render(means, cholesky, colors, (9, 9)), whole, rtol=0, atol=1e-14)
    assert torch.equal(dense.render(means, cholesky, colors, (9, 9), rows=(3, 5)), whole[:, :, 3:5])
