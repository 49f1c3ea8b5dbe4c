"""Colours with which a grid of round Gaussians renders as the bicubic interpolation of an image.

A network initialised with them starts at bicubic's PSNR instead of 10 dB, and only learns the difference.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from splat2d import DEFAULT_CUTOFF
from splat2d.matlab_imresize import imresize

from ..native import interpolation

REACH = 6
"""LR pixels that the filter reads to either side: bicubic's two, and the decay of the inverse blur."""


class BicubicStart(nn.Module):
    """Fixed linear filter from an LR image to the colours of k x k equal round Gaussians per LR pixel.

    It interpolates bicubically at the cell centres, then inverts the blur of the Gaussians: rendered at the
    cell centres, the colours give the bicubic values again, and a constant image renders as that constant.
    """

    filter: Tensor  # [k, 1, taps], of either axis

    def __init__(self, cells: int, sigma: float, normalised: bool = False) -> None:
        """Compute the filter.

        Args:
            cells: k, Gaussians per LR pixel and axis.
            sigma: standard deviation of each Gaussian, in cells.
            normalised: whether rendering divides by the sum of weights (`GaussianField.normalised`).
        """
        super().__init__()
        self.cells = cells
        taps = interpolating_filter(cells, sigma, normalised)
        self.register_buffer("filter", taps[:, None].float(), persistent=False)

    def forward(self, image: Tensor) -> Tensor:  # [B, C, h, w] -> [B, C, k h, k w]
        taps = self.filter[:, 0]
        if interpolation.applies(image, taps):
            return interpolation.interpolated(image, taps)
        planes = F.pad(image.flatten(0, 1)[:, None], [REACH] * 4, mode="replicate")
        rows = (
            F.conv2d(planes, self.filter[..., None]).transpose(1, 2).flatten(1, 2)
        )  # [B C, k h, w + 2 REACH]
        colours = F.conv2d(rows[:, None], self.filter[..., None, :]).permute(0, 2, 3, 1)  # [B C, k h, w, k]
        return colours.reshape(*image.shape[:2], rows.shape[1], -1)


def interpolating_filter(cells: int, sigma: float, normalised: bool = False) -> Tensor:
    """Return one axis of the filter: each cell's weights of the LR pixels around its own.

    They follow from the response to a single bright pixel far from any border.

    Args:
        cells: k, Gaussians per LR pixel.
        sigma: standard deviation of each Gaussian, in cells.
        normalised: whether rendering divides by the sum of weights.

    Returns:
        [k, 2 REACH + 1] float64.
    """
    pixels = 4 * REACH + 1
    bicubic = imresize(torch.eye(pixels, dtype=torch.float64), (pixels * cells, pixels))[:, 2 * REACH]
    position = torch.arange(pixels * cells, dtype=torch.float64)
    blur = torch.exp(-(((position[:, None] - position) / sigma) ** 2) / 2)
    response = torch.linalg.solve(blur, bicubic).view(pixels, cells)[REACH : 3 * REACH + 1]
    weights = response.flip(0).T  # the response at distance +i is the weight of the pixel at distance -i
    # A unit grid of equal Gaussians sums to their integral, minus what lies beyond the renderer's cut-off.
    mass = 1.0 if normalised else math.sqrt(2 * math.pi * (1 - math.exp(-(DEFAULT_CUTOFF**2) / 2))) * sigma
    return weights / (weights.sum(1, keepdim=True) * mass)
