"""HAT: window attention next to channel attention, and attention that sees beyond its window."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..initialisation import Conv2d, Linear, draw_normal
from .transformer import ResidualGroup, WindowTransformer
from .windows import WindowAttention, attend, convolve, feed_forward, merge, partition, position_bias

BLOCKS = 6
"""Hybrid blocks in a group; one overlapping block follows them."""
HEADS = 6
WINDOW = 16
REACH = 4
"""Tokens beyond each side of its window that an overlapping block sees: an overlap ratio of 0.5."""
COMPRESSION = 3
"""Factor by which the convolutions of a hybrid block reduce the channels."""
SQUEEZE = 30
"""Factor by which their channel attention reduces the channels."""
CONVOLUTION_WEIGHT = 0.01
"""Weight of the convolutions next to the attention, alpha in the paper."""


class HAT(WindowTransformer):
    """The hybrid attention transformer (Chen et al. 2023, section 3); 180 wide, HAT 6 and HAT-L 12 deep."""

    def __init__(self, width: int, depth: int, upsampling: int) -> None:
        """`width`: channels of a token, a multiple of `HEADS` and `SQUEEZE`; `depth`: groups of blocks."""
        groups = (
            ResidualGroup(
                width,
                [*(HybridBlock(width, shifted=bool(i % 2)) for i in range(BLOCKS)), OverlappingBlock(width)],
            )
            for _ in range(depth)
        )
        super().__init__(width, groups, window=WINDOW, upsampling=upsampling)


class HybridBlock(nn.Module):
    """Window attention and channel attention side by side, then an MLP."""

    def __init__(self, width: int, shifted: bool) -> None:
        super().__init__()
        self.norm_attention = nn.LayerNorm(width)
        self.attention = WindowAttention(width, HEADS, WINDOW, shifted)
        self.channels = ChannelAttentionBlock(width)
        self.norm_mlp = nn.LayerNorm(width)
        self.mlp = feed_forward(width)

    def forward(self, tokens: Tensor) -> Tensor:
        normed = self.norm_attention(tokens)
        convolved = convolve(self.channels, normed)
        tokens = tokens + self.attention(normed) + CONVOLUTION_WEIGHT * convolved
        return tokens + self.mlp(self.norm_mlp(tokens))


class ChannelAttentionBlock(nn.Module):
    """Two convolutions, then weights for their channels, computed from the channels' means over the image."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.narrow = Conv2d(width, width // COMPRESSION, 3, padding=1)
        self.widen = Conv2d(width // COMPRESSION, width, 3, padding=1)
        self.squeeze = Conv2d(width, width // SQUEEZE, 1)
        self.excite = Conv2d(width // SQUEEZE, width, 1)

    def forward(self, features: Tensor) -> Tensor:
        features = self.widen(F.gelu(self.narrow(features)))
        means = features.mean((2, 3), keepdim=True)
        return features * torch.sigmoid(self.excite(torch.relu(self.squeeze(means))))


class OverlappingBlock(nn.Module):
    """Cross-attention from a window's tokens to a larger window around it; zeros beyond the image."""

    offsets: Tensor  # [n, m]

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm_attention = nn.LayerNorm(width)
        self.qkv = Linear(width, 3 * width)
        offsets = 2 * (WINDOW + REACH) - 1
        self.bias = nn.Parameter(draw_normal(torch.empty(offsets**2, HEADS), std=0.02))
        self.register_buffer("offsets", overlapping_offsets(), persistent=False)
        self.project = Linear(width, width)
        self.norm_mlp = nn.LayerNorm(width)
        self.mlp = feed_forward(width)

    def forward(self, tokens: Tensor) -> Tensor:
        queries, keys, values = self.qkv(self.norm_attention(tokens)).chunk(3, -1)
        bias = position_bias(self.bias, self.offsets)
        attended = attend(partition(queries, WINDOW), overlapping(keys), overlapping(values), bias)
        tokens = tokens + self.project(merge(attended, WINDOW))
        return tokens + self.mlp(self.norm_mlp(tokens))


def overlapping(tokens: Tensor) -> Tensor:
    """Cut [B, H, W, C] into windows enlarged by `REACH` on each side: [B, rows, columns, m, C]."""
    side = WINDOW + 2 * REACH
    padded = F.pad(tokens, (0, 0, REACH, REACH, REACH, REACH))
    windows = padded.unfold(1, side, WINDOW).unfold(2, side, WINDOW)  # [B, rows, columns, C, side, side]
    return windows.flatten(4, 5).transpose(3, 4)


def overlapping_offsets() -> Tensor:
    """Return for each query and key of its enlarged window the index of their offset, 39^2 in all: [n, m].

    The released networks count offsets from -22; a negative index counts from the table's end. The same
    order is used here, so that their tables of biases can be used unchanged.
    """
    side = WINDOW + 2 * REACH
    count = WINDOW + side - 1
    query = torch.cartesian_prod(torch.arange(WINDOW), torch.arange(WINDOW))
    key = torch.cartesian_prod(torch.arange(side), torch.arange(side))
    offset = key[None] - query[:, None] + WINDOW - side + 1  # [n, m, 2]
    return (offset[..., 0] * count + offset[..., 1]) % count**2
