"""SAFMN: features modulated by maxima over larger and larger cells."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..initialisation import Conv2d
from .encoder import Encoder

LEVELS = 4
"""Parts of the channels; part i sees the maxima of cells of 2^i x 2^i pixels."""
LARGEST_CELL = 2 ** (LEVELS - 1)


class SAFMN(Encoder):
    """SAFMN without its upsampler (Sun et al. 2023, section 3): [B, 3, h, w] -> [B, width, h, w].

    A 3x3 convolution, `depth` blocks, a long skip. The published networks are 36 wide and 8 deep (SAFMN) or
    128 wide and 16 deep (the large one). `width` is a multiple of 4.

    The published code fits cells of about 8x8 pixels into any image, so that features depend on its size.
    Here images are filled to multiples of 8, for which both compute the same; a feature then depends on the
    image within `radius` only.
    """

    def __init__(self, width: int, depth: int) -> None:
        super().__init__(width, window=LARGEST_CELL, mean=0.5)
        self.first = Conv2d(3, width, 3, padding=1)
        self.blocks = nn.ModuleList(ModulationBlock(width) for _ in range(depth))

    def forward(self, image: Tensor) -> Tensor:
        shallow = features = self.first(image - self.mean)
        for block in self.blocks:
            features = block(features)
        return features + shallow

    @property
    def radius(self) -> int:
        of_modulation, of_mixing = 2 * LARGEST_CELL - 1, 1  # 3x3 cells, from the border of the middle one
        return 1 + len(self.blocks) * (of_modulation + of_mixing)


class ModulationBlock(nn.Module):
    """Modulation, then a mixture of neighbours and channels, each after a norm and with a skip."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm_modulation = ChannelNorm(width, eps=1e-6)
        self.modulation = Modulation(width)
        self.norm_mixing = ChannelNorm(width, eps=1e-6)
        self.widen = Conv2d(width, 2 * width, 3, padding=1)
        self.narrow = Conv2d(2 * width, width, 1)

    def forward(self, features: Tensor) -> Tensor:
        features = self.modulation(self.norm_modulation(features)) + features
        return self.narrow(F.gelu(self.widen(self.norm_mixing(features)))) + features


class Modulation(nn.Module):
    """Multiply features by what is made of their maxima over cells of LEVELS sizes."""

    def __init__(self, width: int) -> None:
        super().__init__()
        part = width // LEVELS
        self.levels = nn.ModuleList(Conv2d(part, part, 3, padding=1, groups=part) for _ in range(LEVELS))
        self.fuse = Conv2d(width, width, 1)

    def forward(self, features: Tensor) -> Tensor:
        made = []
        for level, (layer, part) in enumerate(zip(self.levels, features.chunk(LEVELS, 1), strict=True)):
            cell = 2**level
            if level == 0:
                made.append(layer(part))
            else:
                made.append(F.interpolate(layer(F.max_pool2d(part, cell)), scale_factor=cell, mode="nearest"))
        return F.gelu(self.fuse(torch.cat(made, 1))) * features


class ChannelNorm(nn.LayerNorm):
    """Layer norm over the channels of [B, C, h, w], in the type of its input."""

    def forward(self, features: Tensor) -> Tensor:
        return super().forward(features.permute(0, 2, 3, 1)).permute(0, 3, 1, 2).to(features.dtype)
