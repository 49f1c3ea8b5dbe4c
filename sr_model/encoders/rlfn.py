"""RLFN: few plain convolutions, and attention from a coarse map of the whole image."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..initialisation import Conv2d
from .encoder import Encoder

ATTENTION_WIDTH = 16
SMALLEST = 15
"""Side in LR pixels of the smallest image that has a coarse map."""


class RLFN(Encoder):
    """RLFN without its upsampler (Kong et al. 2022, section 3): [B, 3, h, w] -> [B, width, h, w].

    A 3x3 convolution, `depth` blocks, a last convolution, a long skip. The published networks are 6 deep and
    52 (RLFN) or 48 (RLFN-S) wide. The attention enlarges its coarse map to the image, so that features depend
    a little on the size of the image, and so on the tile of a large one (`radius` is None).
    """

    def __init__(self, width: int, depth: int) -> None:
        super().__init__(width, mean=0.5)
        self.first = Conv2d(3, width, 3, padding=1)
        self.blocks = nn.ModuleList(LocalBlock(width) for _ in range(depth))
        self.tail = Conv2d(width, width, 3, padding=1)

    def forward(self, image: Tensor) -> Tensor:
        shallow = features = self.first(image - self.mean)
        for block in self.blocks:
            features = block(features)
        return self.tail(features) + shallow

    @property
    def radius(self) -> None:
        return None


class LocalBlock(nn.Module):
    """Three convolutions with a skip, a mixture of channels, and attention."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first, self.second, self.third = (Conv2d(width, width, 3, padding=1) for _ in range(3))
        self.fuse = Conv2d(width, width, 1)
        self.attention = SpatialAttention(width)

    def forward(self, features: Tensor) -> Tensor:
        inner = features
        for layer in (self.first, self.second, self.third):
            inner = F.leaky_relu(layer(inner), 0.05)
        return self.attention(self.fuse(inner + features))


class SpatialAttention(nn.Module):
    """Multiply features by factors from 0 to 1, made of themselves and of maxima around them (ESA)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        inner = ATTENTION_WIDTH
        self.narrow = Conv2d(width, inner, 1)
        self.skip = Conv2d(inner, inner, 1)
        self.shrink = Conv2d(inner, inner, 3, stride=2)
        self.coarse = Conv2d(inner, inner, 3, padding=1)
        self.widen = Conv2d(inner, width, 1)

    def forward(self, features: Tensor) -> Tensor:
        inner = self.narrow(features)
        height, width = inner.shape[2:]
        beyond = (0, max(0, SMALLEST - width), 0, max(0, SMALLEST - height))
        large = F.pad(inner, beyond, mode="replicate") if any(beyond) else inner
        coarse = self.coarse(F.max_pool2d(self.shrink(large), 7, stride=3))
        coarse = F.interpolate(coarse, (height, width), mode="bilinear", align_corners=False)
        return features * torch.sigmoid(self.widen(coarse + self.skip(inner)))
