"""Keeping what is flat flat and what is grey grey: limits on what a network adds to interpolated colours.

A network's biases alone make a white page 254 here and 255 there, and give a grey photograph a tint. Where an
LR image has no contrast there is nothing to add, and where it has no colour there is no colour to add.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ...native.heads import Limits

REACH = 2
"""LR pixels to either side of its own that decide how much a Gaussian may add."""


def limits_of(image: Tensor, contrast: float) -> Limits:
    """Say how varied and how colourful an image [B, 3, h, w] in [0, 1] is, within REACH of each pixel.

    Both are in proportion to the largest difference between pixels, and between channels of a pixel, and end
    at 1 for the difference `contrast`.

    >>> image = torch.full((1, 3, 1, 8), 0.5)
    >>> image[..., 0] = 0.6
    >>> limits_of(image, 0.01).varied.tolist(), limits_of(image, 0.01).colourful.max().item()
    ([[[[1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0]]]], 0.0)
    """
    varied = (largest_around(image) + largest_around(-image)).amax(1, keepdim=True)
    colourful = largest_around(image.amax(1, keepdim=True) - image.amin(1, keepdim=True))
    return Limits((varied / contrast).clamp(max=1), (colourful / contrast).clamp(max=1))


def limit_additions(colours: Tensor, limits: Limits, cells: int) -> Tensor:
    """Scale what a network adds to interpolated colours by how varied and how colourful the image is there.

    Where all pixels within REACH are equal, nothing is added; where all of them are grey, the same to red,
    green and blue.

    Args:
        colours: [B, 3, k h, k w], what the network adds, by cells.
        limits: of the LR image.
        cells: k.

    Returns:
        [B, 3, k h, k w].

    >>> limits = limits_of(torch.full((1, 3, 8, 8), 0.5), 0.01)
    >>> limit_additions(torch.ones(1, 3, 16, 16), limits, 2).abs().max().item()
    0.0
    """
    grey = colours.mean(1, keepdim=True)
    tint = (colours - grey) * to_cells(limits.colourful, cells)
    return (grey + tint) * to_cells(limits.varied, cells)


def largest_additions(colours: Tensor, cells: int) -> Tensor:
    """Return the largest absolute colour [B, 1, h, w] of each pixel's cells, of colours [B, 3, k h, k w]."""
    batch, channels, height, width = colours.shape
    blocks = colours.detach().abs().permute(0, 2, 3, 1)
    blocks = blocks.reshape(batch, height // cells, cells, width // cells, cells * channels)
    return blocks.amax(2).amax(-1)[:, None]


def largest_around(image: Tensor) -> Tensor:
    """Maximum over the 2 REACH + 1 rows and columns around each pixel; max_pool2d takes far longer."""
    for axis, padding in ((-1, [REACH, REACH, 0, 0]), (-2, [0, 0, REACH, REACH])):
        padded, size = F.pad(image, padding, mode="replicate"), image.shape[axis]
        for shift in range(2 * REACH + 1):
            seen = padded.narrow(axis, shift, size)
            image = seen if shift == 0 else torch.maximum(image, seen)
    return image


def to_cells(image: Tensor, cells: int) -> Tensor:
    """Repeat each pixel for its k x k cells."""
    return F.interpolate(image, scale_factor=cells, mode="nearest")
