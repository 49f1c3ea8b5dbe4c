"""The structure of SwinIR and HAT: groups of attention blocks between convolutions, then an upsampler."""

from __future__ import annotations

from collections.abc import Iterable

import torch.nn.functional as F
from torch import Tensor, nn

from ..initialisation import Conv2d, draw_normal
from .encoder import Encoder
from .windows import convolve

CHANNELS = 64
"""Channels of the features, at the upsampled resolution."""


class WindowTransformer(Encoder):
    """A pixel-shuffle network stopped before its last convolution: [B, 3, h, w] -> [B, 64, u h, u w].

    This is how ContinuousSR uses both encoders, without their normalisation of the image (released code).
    """

    def __init__(self, width: int, groups: Iterable[nn.Module], *, window: int, upsampling: int) -> None:
        """`groups` map tokens [B, h, w, width] to tokens of the same shape."""
        super().__init__(CHANNELS, upsampling=upsampling, window=window, mean=0.0)
        self.shallow = Conv2d(3, width, 3, padding=1)
        self.norm_before = nn.LayerNorm(width)
        self.groups = nn.Sequential(*groups)
        self.norm_after = nn.LayerNorm(width)
        self.deep = Conv2d(width, width, 3, padding=1)
        self.narrow = Conv2d(width, CHANNELS, 3, padding=1)
        self.upsample = upsampler(CHANNELS, upsampling)
        self.apply(initialise)

    def forward(self, image: Tensor) -> Tensor:
        shallow = self.shallow(image - self.mean)
        tokens = self.norm_before(shallow.permute(0, 2, 3, 1))
        tokens = self.norm_after(self.groups(tokens))
        features = shallow + self.deep(tokens.permute(0, 3, 1, 2))
        return self.upsample(F.leaky_relu(self.narrow(features)))


class ResidualGroup(nn.Module):
    """Blocks and a convolution, with a skip around both."""

    def __init__(self, width: int, blocks: Iterable[nn.Module]) -> None:
        super().__init__()
        self.blocks = nn.Sequential(*blocks)
        self.convolution = Conv2d(width, width, 3, padding=1)

    def forward(self, tokens: Tensor) -> Tensor:
        return tokens + convolve(self.convolution, self.blocks(tokens))


def upsampler(channels: int, factor: int) -> nn.Sequential:
    """Return an upsampler by a product of 3s and 2s: a 3x3 convolution and a pixel shuffle for each of them.

    Raises ValueError for another factor.
    """
    layers: list[nn.Module] = []
    for prime in (3, 2):
        while factor % prime == 0:
            factor //= prime
            layers += [Conv2d(channels, prime**2 * channels, 3, padding=1), nn.PixelShuffle(prime)]
    if factor > 1:
        raise ValueError(f"features can be upsampled by products of 2 and 3, not by multiples of {factor}")
    return nn.Sequential(*layers)


def initialise(module: nn.Module) -> None:
    """Draw the weights of linear layers from a narrow normal distribution, as in both published networks."""
    if isinstance(module, nn.Linear):
        draw_normal(module.weight, std=0.02)
        nn.init.zeros_(module.bias)
