"""The upsampler that an encoder was published with, whose picture a network starts from.

Most networks for one scale end in a sub-pixel convolution (Shi et al. 2016): k^2 colours for each LR pixel, a
picture of k times the size. The colours of k x k Gaussians per LR pixel are such a picture, but for the blur
of the Gaussians.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from splat2d import DEFAULT_CUTOFF

from ...initialisation import Conv2d
from ..mlp import start_constant

REACH = 2
"""Cells to either side that the inverse of a blur reads. More gain nothing once they are within a 3x3
convolution of LR pixels."""


class Upsampler(nn.Module):
    """A sub-pixel convolution that adds to the colours of the cells, and may replace the interpolated ones.

    It starts at nothing. With published weights (`take`) it starts as the published picture of k times the
    size: what is added is then the difference from the interpolated colours, so that limits on what a network
    adds hold for it.
    """

    replaced: Tensor
    """[], the share of the interpolated colours that it replaces."""

    def __init__(self, channels: int, cells: int) -> None:
        """For features of `channels` channels and k = `cells`."""
        super().__init__()
        self.cells = cells
        self.convolution = Conv2d(channels, 3 * cells**2, 3, padding=1)
        start_constant(self.convolution, 0)
        self.replaced = nn.Parameter(torch.zeros(()))

    def forward(self, features: Tensor) -> Tensor:
        """Map features [B, C, h, w] to the cells' colours [B, 3 k^2, h, w], in the order of `pixel_shuffle`.

        In float32: a picture in bfloat16 would show its rounding.
        """
        with torch.autocast(features.device.type, enabled=False):
            made: Tensor = self.convolution(features.float())
            return made

    @torch.no_grad()
    def take(self, weight: Tensor, bias: Tensor, sigma: float, normalised: bool) -> None:
        """Start as the picture of a published sub-pixel convolution, rendered by round Gaussians.

        Args:
            weight: [3 k^2, C, 3, 3], in the order of `pixel_shuffle`.
            bias: [3 k^2].
            sigma: standard deviation of the Gaussians, in cells.
            normalised: whether rendering divides by the sum of weights.
        """
        taps = unblurring_taps(sigma, normalised)
        self.convolution.weight.copy_(unblurred(weight, self.cells, taps))
        assert self.convolution.bias is not None
        self.convolution.bias.copy_(bias * float(taps.sum() ** 2))
        self.replaced.fill_(1.0)


def unblurring_taps(sigma: float, normalised: bool) -> Tensor:
    """Return one axis of the filter that inverts the blur of a grid of Gaussians: [2 REACH + 1] float64.

    Of all filters of this length that give quadratic polynomials back, the one that gives one bright cell
    back with the least squared error.

    Args:
        sigma: standard deviation of each Gaussian, in cells.
        normalised: whether rendering divides by the sum of weights.
    """
    places = torch.arange(-8 * REACH, 8 * REACH + 1, dtype=torch.float64)
    offsets = torch.arange(-REACH, REACH + 1, dtype=torch.float64)
    weights = torch.exp(-((places / sigma) ** 2) / 2)
    blur = torch.exp(-(((places[:, None] - offsets) / sigma) ** 2) / 2) / weights.sum()
    bright = (places == 0).double()
    moments = torch.stack([torch.ones_like(offsets), offsets**2])
    wanted = torch.stack([weights.new_ones(()), -(weights * places**2).sum() / weights.sum()])
    # A least squares problem with two constraints: its normal equations and their multipliers.
    system = torch.cat(
        [
            torch.cat([blur.T @ blur, moments.T], 1),
            torch.cat([moments, moments.new_zeros(2, 2)], 1),
        ]
    )
    taps = torch.linalg.solve(system, torch.cat([blur.T @ bright, wanted]))[: len(offsets)]
    mass = 1.0 if normalised else math.sqrt(2 * math.pi * (1 - math.exp(-(DEFAULT_CUTOFF**2) / 2))) * sigma
    return taps / mass


def unblurred(weight: Tensor, cells: int, taps: Tensor) -> Tensor:
    """Return the sub-pixel convolution whose picture is that of `weight`, filtered by `taps` along both axes.

    [3 k^2, C, 3, 3]. What would need LR pixels beyond its 3x3 kernel is taken from the outermost ones in it.
    """
    made = weight.double().view(3, cells, cells, -1, 3, 3)
    for cell_axis, tap_axis in ((1, 4), (2, 5)):
        filtered = torch.zeros_like(made)
        for cell in range(cells):
            for offset in range(-REACH, REACH + 1):
                pixel, other = divmod(cell + offset, cells)
                part = made.select(cell_axis, other) * taps[offset + REACH]
                into = filtered.select(cell_axis, cell)
                for tap in range(3):
                    kept = min(max(tap + pixel, 0), 2)
                    into.select(tap_axis - 1, kept).add_(part.select(tap_axis - 1, tap))
        made = filtered
    return made.reshape(weight.shape).to(weight.dtype)
