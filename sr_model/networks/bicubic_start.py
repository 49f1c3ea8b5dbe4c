"""Colours that make a grid of round Gaussians render as the bicubic interpolation of an image.

A network that starts here starts at bicubic's PSNR instead of 10 dB, and learns only what to change.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from splat2d import DEFAULT_CUTOFF
from splat2d.resample import imresize

REACH = 6
"""LR pixels to either side that the filter reads: bicubic's two, and the decay of the inverse of the blur."""


class Interpolator(nn.Module):
    """A fixed linear filter: LR image to the colours of k x k equal round Gaussians per LR pixel.

    Bicubic interpolation to the cell centres, then the inverse of what the Gaussians blur: rendered at the
    cell centres the colours give the bicubic values back, and a constant image renders as that constant.
    """

    def __init__(self, cells: int, sigma: float) -> None:
        """`cells`: k, Gaussians per LR pixel and axis; `sigma`: of each Gaussian, in cells."""
        super().__init__()
        self.cells = cells
        taps = interpolating_filter(cells, sigma)
        filter_2d = torch.einsum("py,qx->pqyx", taps, taps)  # [k, k, taps, taps]
        self.register_buffer("filter", filter_2d.flatten(0, 1)[:, None].float(), persistent=False)

    def forward(self, image: Tensor) -> Tensor:  # [B, C, h, w] -> [B, C, k h, k w]
        planes = F.pad(image.flatten(0, 1)[:, None], [REACH] * 4, mode="replicate")
        colours = F.pixel_shuffle(F.conv2d(planes, self.filter), self.cells)
        return colours.view(*image.shape[:2], *colours.shape[-2:])


def interpolating_filter(cells: int, sigma: float) -> Tensor:
    """One axis of the filter: [k, 2 REACH + 1] float64, each cell's weights of the LR pixels around its own.

    Found from the response to a single bright pixel, far from any border.
    """
    pixels = 4 * REACH + 1
    bicubic = imresize(torch.eye(pixels, dtype=torch.float64), (pixels * cells, pixels))[:, 2 * REACH]
    position = torch.arange(pixels * cells, dtype=torch.float64)
    blur = torch.exp(-(((position[:, None] - position) / sigma) ** 2) / 2)
    response = torch.linalg.solve(blur, bicubic).view(pixels, cells)[REACH : 3 * REACH + 1]
    weights = response.flip(0).T  # a pixel at distance +i of a cell is one whose cell is at distance -i of it
    # A unit grid of equal Gaussians sums to their integral, less what the renderer cuts off.
    mass = math.sqrt(2 * math.pi * (1 - math.exp(-(DEFAULT_CUTOFF**2) / 2))) * sigma
    return weights / (weights.sum(1, keepdim=True) * mass)
