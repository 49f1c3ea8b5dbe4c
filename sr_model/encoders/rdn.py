"""RDN: densely connected convolutions."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..initialisation import Conv2d
from .encoder import Encoder

LAYERS = 8
"""Convolutions in a dense block, C in the paper."""


class RDN(Encoder):
    """RDN without its upsampler (Zhang et al. 2018, section 3): [B, 3, h, w] -> [B, width, h, w].

    `depth` (D) residual dense blocks, whose results are fused. Each of the `LAYERS` convolutions of a block
    appends `width` (G = G0) channels to its input. The published network is 64 wide and 16 deep.
    """

    def __init__(self, width: int, depth: int) -> None:
        super().__init__(width, mean=0.5)
        self.first = Conv2d(3, width, 3, padding=1)
        self.second = Conv2d(width, width, 3, padding=1)
        self.blocks = nn.ModuleList(DenseBlock(width) for _ in range(depth))
        self.fuse = Conv2d(depth * width, width, 1)
        self.tail = Conv2d(width, width, 3, padding=1)

    def forward(self, image: Tensor) -> Tensor:
        shallow = self.first(image - self.mean)
        made = [self.second(shallow)]
        for block in self.blocks:
            made.append(block(made[-1]))
        return shallow + self.tail(self.fuse(torch.cat(made[1:], 1)))


class DenseBlock(nn.Module):
    """Convolutions that each read the results of all earlier ones, fused and added to the input."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            Conv2d((1 + before) * width, width, 3, padding=1) for before in range(LAYERS)
        )
        self.fuse = Conv2d((1 + LAYERS) * width, width, 1)

    def forward(self, features: Tensor) -> Tensor:
        made = features
        for layer in self.layers:
            made = torch.cat([made, torch.relu(layer(made))], 1)
        return features + self.fuse(made)
