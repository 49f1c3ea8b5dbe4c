"""Attention within windows, the building block of SwinIR and HAT.

Tokens are [B, H, W, C], with H and W multiples of the window; windows are [B, rows, columns, tokens, C].
Attention runs in torch's fused kernels, with the relative position bias as their additive mask. A shifted
window needs a further mask only if it wraps around the image, in the last row and column of windows, where it
is the same for all. Four calls with one mask each therefore replace one mask per window, which for a 512x512
image would take 1.6 GB in every layer of HAT.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..initialisation import Linear, draw_normal

HIDDEN_PER_TOKEN = 2
"""Hidden channels of a block's MLP, in multiples of its tokens' channels."""
MASKED = -100.0
"""Attention logit added for tokens that must not see each other; finite, as in the published networks."""
ALIGNMENT = 8
"""Torch's fused GPU kernels need a multiple of this number of channels per head; SwinIR and HAT have 30."""


def partition(tokens: Tensor, window: int) -> Tensor:
    """Split [B, H, W, C] into windows [B, H / window, W / window, window^2, C]."""
    batch, height, width, channels = tokens.shape
    grid = tokens.reshape(batch, height // window, window, width // window, window, channels)
    return grid.transpose(2, 3).flatten(3, 4)


def merge(windows: Tensor, window: int) -> Tensor:
    """Invert `partition`."""
    batch, rows, columns, _, channels = windows.shape
    grid = windows.reshape(batch, rows, columns, window, window, channels)
    return grid.transpose(2, 3).flatten(3, 4).flatten(1, 2)


def attend(queries: Tensor, keys: Tensor, values: Tensor, bias: Tensor) -> Tensor:
    """Multi-head attention in every window.

    Args:
        queries: [..., n, C].
        keys: [..., m, C].
        values: [..., m, C].
        bias: [heads, n, m], added to the products of queries and keys.

    Returns:
        [..., n, C].
    """
    heads, channels = len(bias), queries.shape[-1] // len(bias)
    q, k, v = (_split_heads(tokens, heads) for tokens in (queries, keys, values))
    if q.is_cuda and channels % ALIGNMENT:
        q, k, v = (F.pad(t, (0, -channels % ALIGNMENT)) for t in (q, k, v))
    scale, bias = channels**-0.5, bias.to(q.dtype)
    if bias.requires_grad and not q.is_cuda:
        # The CPU's fused kernel has no gradient for a mask, and torch's fallback takes twice as long as this.
        attended = (scale * q @ k.transpose(-1, -2) + bias).softmax(-1) @ v
    else:
        attended = F.scaled_dot_product_attention(q, k, v, attn_mask=bias[None], scale=scale)
    return attended[..., :channels].transpose(1, 2).reshape(queries.shape)


def _split_heads(tokens: Tensor, heads: int) -> Tensor:  # [..., n, C] -> [windows, heads, n, C / heads]
    windows = tokens.flatten(0, -3)
    count, n, channels = windows.shape  # count may be 0
    return windows.reshape(count, n, heads, channels // heads).transpose(1, 2)


class WindowAttention(nn.Module):
    """Self-attention within windows, optionally shifted by half a window (Liu et al. 2021, section 3.2)."""

    offsets: Tensor  # [n, n]
    masks: Tensor | None  # [4, n, n]

    def __init__(self, width: int, heads: int, window: int, shifted: bool, masked: bool = True) -> None:
        """`masked`: shifted windows do not see across to the opposite border of the image."""
        super().__init__()
        self.window, self.shift = window, window // 2 if shifted else 0
        self.qkv = Linear(width, 3 * width)
        self.project = Linear(width, width)
        self.bias = nn.Parameter(draw_normal(torch.empty((2 * window - 1) ** 2, heads), std=0.02))
        self.register_buffer("offsets", relative_offsets(window), persistent=False)
        masks = wrapped_masks(window, self.shift) if self.shift and masked else None
        self.register_buffer("masks", masks, persistent=False)

    def forward(self, tokens: Tensor) -> Tensor:
        bias = position_bias(self.bias, self.offsets)
        tokens = tokens.roll((-self.shift, -self.shift), (1, 2))
        queries, keys, values = partition(self.qkv(tokens), self.window).chunk(3, -1)
        attended = attend_shifted((queries, keys, values), bias, self.masks)
        return self.project(merge(attended, self.window)).roll((self.shift, self.shift), (1, 2))


def attend_shifted(parts: tuple[Tensor, Tensor, Tensor], bias: Tensor, masks: Tensor | None) -> Tensor:
    """Attention in every window, with masks for the windows that wrap around the image.

    Args:
        parts: queries, keys and values, each [B, rows, columns, n or m, C].
        bias: [heads, n, m].
        masks: [4, n or 1, m], one each for windows that do not wrap around, that wrap at the right, at the
            bottom, and at both; None to let windows see across the border.

    Returns:
        [B, rows, columns, n, C].
    """
    queries, keys, values = parts
    if masks is None:
        return attend(queries, keys, values, bias)
    inner, last = slice(None, -1), slice(-1, None)
    whole, right, bottom, both = (
        attend(queries[:, rows, columns], keys[:, rows, columns], values[:, rows, columns], bias + mask)
        for rows, columns, mask in zip(
            (inner, inner, last, last), (inner, last, inner, last), masks, strict=True
        )
    )
    return torch.cat([torch.cat([whole, right], 2), torch.cat([bottom, both], 2)], 1)


def position_bias(table: Tensor, offsets: Tensor) -> Tensor:
    """Return the biases [heads, n, m] at `offsets` [n, m] in a table [offsets, heads].

    `table[offsets]` has the same values, but a gradient whose rounding depends on the number of threads.
    """
    return F.embedding(offsets, table).permute(2, 0, 1)


def relative_offsets(window: int) -> Tensor:
    """Return, for each query and key, the index of their offset out of (2 window - 1)^2: [n, n] int64."""
    place = torch.cartesian_prod(torch.arange(window), torch.arange(window))  # [n, 2]
    offset = place[:, None] - place[None] + window - 1
    return offset[..., 0] * (2 * window - 1) + offset[..., 1]


def wrapped_masks(window: int, shift: int) -> Tensor:
    """Return masks [4, n, n] for windows that wrap around nowhere, at the right, at the bottom, at both."""
    rows, columns = beyond_border(window, shift)
    masks = []
    for bottom, right in ((0, 0), (0, 1), (1, 0), (1, 1)):
        region = (2 * bottom * rows + right * columns).flatten()
        masks.append(MASKED * (region[:, None] != region[None]).float())
    return torch.stack(masks)


def beyond_border(window: int, shift: int) -> tuple[Tensor, Tensor]:
    """Return masks [window, window] of a wrapped window's tokens from the top, and of those from the left.

    They are the last `shift` rows and columns, rolled there from the opposite border of the image.
    """
    beyond = torch.arange(window) >= window - shift
    return beyond[:, None].expand(-1, window), beyond[None].expand(window, -1)


def feed_forward(width: int) -> nn.Sequential:
    """Return the MLP of a block, applied to each token by itself."""
    hidden = HIDDEN_PER_TOKEN * width
    return nn.Sequential(Linear(width, hidden), nn.GELU(), Linear(hidden, width))


def convolve(convolution: nn.Module, tokens: Tensor) -> Tensor:
    """Apply a convolution to tokens; permuted, they are an image in channels-last memory."""
    return convolution(tokens.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
