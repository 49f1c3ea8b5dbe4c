"""SPAN: few plain convolutions, and attention without parameters."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..initialisation import Conv2d
from .encoder import Encoder


class SPAN(Encoder):
    """SPAN without its upsampler (Wan et al. 2024, section 3): [B, 3, h, w] -> [B, width, h, w].

    `depth` blocks of three 3x3 convolutions. The features join those of the first convolution, of the first
    and the last block, and from within the last block. The published networks are 48 or 52 wide and 6 deep.
    In training these have several parallel layers for each convolution (`Conv3XC`), whose sum is one 3x3
    convolution: that is what this encoder has, for training too.
    """

    def __init__(self, width: int, depth: int) -> None:
        super().__init__(width, mean=0.5)
        self.first = Conv2d(3, width, 3, padding=1)
        self.blocks = nn.ModuleList(AttentionBlock(width) for _ in range(depth))
        self.tail = Conv2d(width, width, 3, padding=1)
        self.fuse = Conv2d(4 * width, width, 1)

    def forward(self, image: Tensor) -> Tensor:
        shallow = features = self.first(image - self.mean)
        made = []
        for block in self.blocks:
            features, inner = block(features)
            made.append(features)
        return self.fuse(torch.cat([shallow, self.tail(features), made[0], inner], 1))


class AttentionBlock(nn.Module):
    """Three convolutions, the last of which decides how much of the features and of its own result stays."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first, self.second, self.third = (Conv2d(width, width, 3, padding=1) for _ in range(3))

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Return the block's features and those after its first convolution, both as wide as `features`."""
        inner = F.silu(self.first(features))
        made = self.third(F.silu(self.second(inner)))
        return (made + features) * (torch.sigmoid(made) - 0.5), inner
