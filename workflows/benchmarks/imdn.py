"""IMDN (Hui et al. 2019, "Lightweight Image Super-Resolution with Information Multi-distillation Network").

Written from the paper, to measure its time and memory, with random weights: neither depends on them.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

WIDTH = 64
DISTILLED = WIDTH // 4
"""Channels that a distillation step keeps; the next step refines the others (section 3.2)."""
BLOCKS = 6


class IMDN(nn.Module):
    """Map images [B, 3, h, w] in [0, 1] to [B, 3, scale * h, scale * w]; at x4 it has 715,176 parameters.

    >>> network = IMDN(4)
    >>> sum(parameter.numel() for parameter in network.parameters())
    715176
    >>> network(torch.rand(1, 3, 5, 6)).shape
    torch.Size([1, 3, 20, 24])
    """

    def __init__(self, scale: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, WIDTH, 3, padding=1)
        self.blocks = nn.ModuleList(DistillationBlock() for _ in range(BLOCKS))
        self.fuse = nn.Conv2d(BLOCKS * WIDTH, WIDTH, 1)
        self.last = nn.Conv2d(WIDTH, WIDTH, 3, padding=1)
        self.upsampler = nn.Sequential(nn.Conv2d(WIDTH, 3 * scale**2, 3, padding=1), nn.PixelShuffle(scale))

    def forward(self, image: Tensor) -> Tensor:
        features = shallow = self.first(image)
        made = []
        for block in self.blocks:
            features = block(features)
            made.append(features)
        fused = _activated(self.fuse(torch.cat(made, 1)))
        return self.upsampler(self.last(fused) + shallow)


class DistillationBlock(nn.Module):
    """Information multi-distillation block (section 3.2, Figure 3)."""

    def __init__(self) -> None:
        super().__init__()
        refined = WIDTH - DISTILLED
        self.steps = nn.ModuleList(
            nn.Conv2d(inputs, outputs, 3, padding=1)
            for inputs, outputs in ((WIDTH, WIDTH), (refined, WIDTH), (refined, WIDTH), (refined, DISTILLED))
        )
        self.squeeze, self.expand = nn.Conv2d(WIDTH, 4, 1), nn.Conv2d(4, WIDTH, 1)
        self.fuse = nn.Conv2d(WIDTH, WIDTH, 1)

    def forward(self, features: Tensor) -> Tensor:
        distilled, rest = [], features
        for step in self.steps[:-1]:
            kept, rest = _activated(step(rest)).split((DISTILLED, WIDTH - DISTILLED), 1)
            distilled.append(kept)
        joined = torch.cat([*distilled, self.steps[-1](rest)], 1)
        contrast = joined.std((2, 3), correction=0, keepdim=True) + joined.mean((2, 3), keepdim=True)
        attention = torch.sigmoid(self.expand(F.relu(self.squeeze(contrast))))  # contrast-aware, Eq. 5
        return self.fuse(joined * attention) + features


def _activated(features: Tensor) -> Tensor:
    return F.leaky_relu(features, 0.05, inplace=True)
