"""Attention within windows: what SwinIR and HAT are built of.

Tokens are [B, H, W, C], H and W multiples of the window; windows are [B, rows, columns, tokens, C]. Attention
runs in torch's fused kernels, with the bias of relative positions as their additive mask. A shifted window
needs a mask besides only where it wraps around the image, in the last row and column of windows, and there it
is the same for all: four calls with one mask each take the place of one mask per window, which for a 512x512
image would weigh 1.6 GB in every layer of HAT.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

HIDDEN_PER_TOKEN = 2
"""Hidden channels of a block's MLP, in multiples of its tokens'."""
APART = -100.0
"""Added where two tokens do not belong together; finite, as in the published networks."""
ALIGNMENT = 8
"""The fused kernels on GPUs take heads of a multiple of so many channels; SwinIR's and HAT's have 30."""


def partition(tokens: Tensor, window: int) -> Tensor:
    """[B, H, W, C] to windows [B, H / window, W / window, window^2, C]."""
    grid = tokens.unflatten(2, (-1, window)).unflatten(1, (-1, window))
    return grid.transpose(2, 3).flatten(3, 4)


def merge(windows: Tensor, window: int) -> Tensor:
    """The inverse of `partition`."""
    return windows.unflatten(3, (window, window)).transpose(2, 3).flatten(3, 4).flatten(1, 2)


def attend(queries: Tensor, keys: Tensor, values: Tensor, bias: Tensor) -> Tensor:
    """Attention of many heads in every window.

    Args:
        queries: [..., n, C]; keys, values: [..., m, C].
        bias: [heads, n, m], added to the products of queries and keys.

    Returns:
        [..., n, C].
    """
    heads, channels = len(bias), queries.shape[-1] // len(bias)
    q, k, v = (
        t.flatten(0, -3).unflatten(-1, (heads, channels)).transpose(1, 2) for t in (queries, keys, values)
    )
    if q.is_cuda and channels % ALIGNMENT:
        q, k, v = (F.pad(t, (0, -channels % ALIGNMENT)) for t in (q, k, v))
    scale, bias = channels**-0.5, bias.to(q.dtype)
    if bias.requires_grad and not q.is_cuda:
        # The CPU's fused kernel has no gradient for a mask, and torch's stand-in takes twice as long as this.
        attended = (scale * q @ k.transpose(-1, -2) + bias).softmax(-1) @ v
    else:
        attended = F.scaled_dot_product_attention(q, k, v, attn_mask=bias[None], scale=scale)
    return attended[..., :channels].transpose(1, 2).reshape(queries.shape)


class WindowAttention(nn.Module):
    """Self-attention within windows, optionally shifted by half a window (Liu et al. 2021, section 3.2)."""

    def __init__(self, width: int, heads: int, window: int, shifted: bool, masked: bool = True) -> None:
        """`masked`: shifted windows do not look across to the opposite border of the image."""
        super().__init__()
        self.window, self.shift = window, window // 2 if shifted else 0
        self.qkv = nn.Linear(width, 3 * width)
        self.project = nn.Linear(width, width)
        self.bias = nn.Parameter(nn.init.trunc_normal_(torch.empty((2 * window - 1) ** 2, heads), std=0.02))
        self.register_buffer("offsets", relative_offsets(window), persistent=False)
        masks = wrapped_masks(window, self.shift) if self.shift and masked else None
        self.register_buffer("masks", masks, persistent=False)

    def forward(self, tokens: Tensor) -> Tensor:
        bias = self.bias[self.offsets].permute(2, 0, 1)
        tokens = tokens.roll((-self.shift, -self.shift), (1, 2))
        parts = partition(self.qkv(tokens), self.window).chunk(3, -1)
        attended = attend_shifted(parts, bias, self.masks)
        return self.project(merge(attended, self.window)).roll((self.shift, self.shift), (1, 2))


def attend_shifted(parts: tuple[Tensor, ...], bias: Tensor, masks: Tensor | None) -> Tensor:
    """Attention in every window, those that wrap around by their masks.

    Args:
        parts: queries, keys and values, each [B, rows, columns, n or m, C].
        bias: [heads, n, m].
        masks: [4, n or 1, m], for windows that wrap around nowhere, at the right, at the bottom, and at both;
            None to take no notice of wrapping.

    Returns:
        [B, rows, columns, n, C].
    """
    if masks is None:
        return attend(*parts, bias)
    inner, last = slice(None, -1), slice(-1, None)
    whole, right, bottom, both = (
        attend(*(part[:, rows, columns] for part in parts), bias + mask)
        for rows, columns, mask in zip(
            (inner, inner, last, last), (inner, last, inner, last), masks, strict=True
        )
    )
    return torch.cat([torch.cat([whole, right], 2), torch.cat([bottom, both], 2)], 1)


def relative_offsets(window: int) -> Tensor:
    """[n, n] int64, n = window^2: which of the (2 window - 1)^2 offsets each query has from each key."""
    place = torch.cartesian_prod(torch.arange(window), torch.arange(window))  # [n, 2]
    offset = place[:, None] - place[None] + window - 1
    return offset[..., 0] * (2 * window - 1) + offset[..., 1]


def wrapped_masks(window: int, shift: int) -> Tensor:
    """[4, n, n]: for windows that wrap around nowhere, at the right, at the bottom, and at both."""
    beyond = torch.arange(window) >= window - shift  # what was rolled there from the other border
    rows, columns = beyond[:, None].expand(-1, window), beyond[None].expand(window, -1)
    masks = []
    for bottom, right in ((0, 0), (0, 1), (1, 0), (1, 1)):
        region = (2 * bottom * rows + right * columns).flatten()
        masks.append(APART * (region[:, None] != region[None]).float())
    return torch.stack(masks)


def feed_forward(width: int) -> nn.Sequential:
    """The MLP of a block, for each token by itself."""
    hidden = HIDDEN_PER_TOKEN * width
    return nn.Sequential(nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, width))


def convolve(convolution: nn.Module, tokens: Tensor) -> Tensor:
    """A convolution over tokens; permuted, they are an image in the channels-last layout."""
    return convolution(tokens.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
