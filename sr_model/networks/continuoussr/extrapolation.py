"""Where a network extrapolates, its Gaussians fade into those of bicubic interpolation, its start.

What a network adds to interpolated colours is of the size of the contrast around, on photographs. On patterns
that no photograph has, such as a black and white checkerboard of pixels, a trained network was seen to add
266 times white, with positions and kernels as odd: the picture clips and loses its mean.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .flatness import largest_around, to_cells

FLOOR = 0.2
"""Added to the contrast, in units of white, with which additions are compared: where photographs have little
contrast, additions are several times as large."""
BELIEVED, UNBELIEVED = 1.5, 2.0
"""Additions, in units of contrast and FLOOR, up to which what a network predicts is believed, and from
which on it is not. By this the reference model loses 0.0014, 0.0005 and 0.0000 dB at x2, x3 and x4 on the
corners of the Kodak photographs, 384x384 pixels, and nothing on Set5. In checkerboards it adds 2 to 220."""


@torch.no_grad()
def belief(colours: Tensor, image: Tensor, cells: int) -> Tensor:
    """Say how far what a network predicts is to be believed, by the largest of its additions within REACH.

    Args:
        colours: [B, 3, k h, k w], what the network adds to interpolated colours, by cells.
        image: [B, 3, h, w], the LR image in [0, 1].
        cells: k.

    Returns:
        [B, 1, h, w] from 0, not at all, to 1.

    >>> image = torch.tensor([0.0, 1.0]).repeat(4).expand(1, 3, 8, 8)
    >>> belief(torch.full((1, 3, 16, 16), 1.2), image, 2).unique(), belief(-4 * image, image, 1).unique()
    (tensor([1.]), tensor([0.]))
    """
    batch, channels, height, width = colours.shape
    blocks = colours.detach().abs().permute(0, 2, 3, 1)
    blocks = blocks.reshape(batch, height // cells, cells, width // cells, cells * channels)
    added = largest_around(blocks.amax(2).amax(-1)[:, None])
    contrast = (largest_around(image) + largest_around(-image)).amax(1, keepdim=True)
    return ((UNBELIEVED - added / (contrast + FLOOR)) / (UNBELIEVED - BELIEVED)).clamp(0, 1)


def faded(parts: list[tuple[Tensor, Tensor]], believed: Tensor, cells: int) -> list[Tensor]:
    """Mix what a network predicts with what it starts from: [(start, predicted)], each [B, N, n] or [N, n].

    What is fully believed, `belief` [B, 1, h, w] being 1, keeps its bits.
    """
    if believed.device.type == "cpu" and not torch.is_grad_enabled() and bool((believed == 1).all()):
        return [predicted for _, predicted in parts]
    weight = to_cells(believed, cells).flatten(1)[..., None]
    return [torch.lerp(start.expand_as(predicted), predicted, weight) for start, predicted in parts]
