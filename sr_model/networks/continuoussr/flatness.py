"""Keeping what is flat flat and what is grey grey: limits on what a network adds to interpolated colours.

A network's biases alone make a white page 254 here and 255 there, and give a grey photograph a tint. Where an
LR image has no contrast there is nothing to add, and where it has no colour there is no colour to add.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

REACH = 2
"""LR pixels to either side of its own that decide how much a Gaussian may add."""


def limit_additions(colours: Tensor, image: Tensor, contrast: float, cells: int) -> Tensor:
    """Scale what a network adds to interpolated colours by how varied and how colourful the image is there.

    Where all pixels within REACH are equal, nothing is added; where all of them are grey, the same to red,
    green and blue. Both rise in proportion to the largest difference between pixels, and between channels of
    a pixel, and end at `contrast`.

    Args:
        colours: [B, 3, k h, k w], what the network adds, by cells.
        image: [B, 3, h, w], the LR image in [0, 1].
        contrast: the difference from which on nothing is limited.
        cells: k.

    Returns:
        [B, 3, k h, k w].

    >>> import torch
    >>> image = torch.full((1, 3, 8, 8), 0.5)
    >>> limit_additions(torch.ones(1, 3, 16, 16), image, 0.01, 2).abs().max().item()
    0.0
    """
    highest, lowest = largest_around(image), -largest_around(-image)
    varied = ((highest - lowest).amax(1, keepdim=True) / contrast).clamp(max=1)
    colourful = (largest_around(image.amax(1, keepdim=True) - image.amin(1, keepdim=True)) / contrast).clamp(
        max=1
    )
    grey = colours.mean(1, keepdim=True)
    tint = (colours - grey) * to_cells(colourful, cells)
    return (grey + tint) * to_cells(varied, cells)


def largest_around(image: Tensor) -> Tensor:
    """Maximum over the 2 REACH + 1 rows and columns around each pixel; max_pool2d takes ten times as long."""
    for axis, padding in ((-1, [REACH, REACH, 0, 0]), (-2, [0, 0, REACH, REACH])):
        image = F.pad(image, padding, mode="replicate").unfold(axis, 2 * REACH + 1, 1).amax(-1)
    return image


def to_cells(image: Tensor, cells: int) -> Tensor:
    """Repeat each pixel for its k x k cells."""
    return F.interpolate(image, scale_factor=cells, mode="nearest")
