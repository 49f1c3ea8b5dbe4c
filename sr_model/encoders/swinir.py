"""SwinIR: self-attention within windows, every other block shifted by half a window."""

from __future__ import annotations

from torch import Tensor, nn

from .transformer import ResidualGroup, WindowTransformer
from .windows import WindowAttention, feed_forward

BLOCKS = 6
"""Blocks in a group."""
HEADS = 6
WINDOW = 8


class SwinIR(WindowTransformer):
    """SwinIR for classical super-resolution (Liang et al. 2021, section 3); published: 180 wide, 6 deep.

    It has no stochastic depth, which according to its authors' code does not affect super-resolution.
    """

    def __init__(self, width: int, depth: int, upsampling: int) -> None:
        """`width`: channels of a token, a multiple of `HEADS`; `depth`: groups of `BLOCKS` blocks."""
        groups = (
            ResidualGroup(width, (SwinBlock(width, shifted=bool(i % 2)) for i in range(BLOCKS)))
            for _ in range(depth)
        )
        super().__init__(width, groups, window=WINDOW, upsampling=upsampling)


class SwinBlock(nn.Module):
    """Window attention, then an MLP, each after a norm and with a skip."""

    def __init__(self, width: int, shifted: bool) -> None:
        super().__init__()
        self.norm_attention = nn.LayerNorm(width)
        self.attention = WindowAttention(width, HEADS, WINDOW, shifted)
        self.norm_mlp = nn.LayerNorm(width)
        self.mlp = feed_forward(width)

    def forward(self, tokens: Tensor) -> Tensor:
        tokens = tokens + self.attention(self.norm_attention(tokens))
        return tokens + self.mlp(self.norm_mlp(tokens))
