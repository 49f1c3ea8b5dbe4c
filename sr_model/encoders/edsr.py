"""EDSR: residual blocks of convolutions without normalisation."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..initialisation import Conv2d
from .encoder import Encoder


class EDSR(Encoder):
    """EDSR without its upsampler (Lim et al. 2017, section 3): [B, 3, h, w] -> [B, width, h, w].

    A 3x3 convolution, `depth` residual blocks, a long skip. EDSR-baseline is 64 wide and 16 deep; EDSR is 256
    wide and 32 deep, and adds only `residual_scale` = 0.1 of each block's result, which keeps it stable.
    Without its `long_skip` it is the encoder of the released GSASR.
    """

    def __init__(self, width: int, depth: int, residual_scale: float = 1.0, long_skip: bool = True) -> None:
        super().__init__(width, mean=0.5)
        self.residual_scale, self.long_skip = residual_scale, long_skip
        self.head = Conv2d(3, width, 3, padding=1)
        self.blocks = nn.ModuleList(ResidualBlock(width, residual_scale) for _ in range(depth))
        self.tail = Conv2d(width, width, 3, padding=1)

    def forward(self, image: Tensor) -> Tensor:
        shallow = features = self.head(image - self.mean)
        for block in self.blocks:
            features = block(features)
        deep = self.tail(features)
        return shallow + deep if self.long_skip else deep


class ResidualBlock(nn.Module):
    """Two convolutions with a ReLU between them; `scale` times their result is added to the input."""

    def __init__(self, width: int, scale: float) -> None:
        super().__init__()
        self.scale = scale
        self.first = Conv2d(width, width, 3, padding=1)
        self.second = Conv2d(width, width, 3, padding=1)

    def forward(self, features: Tensor) -> Tensor:
        return torch.add(features, self.second(torch.relu(self.first(features))), alpha=self.scale)
