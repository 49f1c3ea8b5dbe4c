"""Encoders: from an LR image to features at LR resolution."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class EDSR(nn.Module):
    """EDSR-baseline without its upsampler (Lim et al. 2017, section 3): [B, 3, h, w] -> [B, width, h, w].

    A 3x3 convolution, `depth` residual blocks without normalisation, a long skip; 64 wide and 16 deep in the
    paper.
    """

    def __init__(self, width: int, depth: int) -> None:
        super().__init__()
        self.head = nn.Conv2d(3, width, 3, padding=1)
        self.blocks = nn.ModuleList(ResidualBlock(width) for _ in range(depth))
        self.tail = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, image: Tensor) -> Tensor:
        shallow = features = self.head(image - 0.5)
        for block in self.blocks:
            features = block(features)
        return shallow + self.tail(features)


class ResidualBlock(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, features: Tensor) -> Tensor:
        return features + self.second(torch.relu(self.first(features)))
