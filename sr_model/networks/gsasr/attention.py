"""GSASR's transformer blocks: attention to features, to other Gaussians, and to the scale."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from ...encoders.windows import (
    MASKED,
    WindowAttention,
    attend_shifted,
    beyond_border,
    merge,
    partition,
    position_bias,
    relative_offsets,
)
from ...initialisation import Linear, draw_normal, draw_orthogonal
from ..mlp import mlp
from .settings import GSASRSettings

LOCAL_SIGMA = 0.3
"""Standard deviation, in LR pixels, of the attention of a Gaussian that starts with local attention."""
EMBEDDING_SCALE, FEATURE_GAIN = 0.02, 3.0
"""Factors that let the features dominate the embeddings when a network starts with local attention."""


class Block(nn.Module):
    """Layers between a norm and an MLP, with a skip around all of them."""

    def __init__(self, channels: int, attentions: Iterable[nn.Module]) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        self.layers = nn.ModuleList(Layer(channels, attention) for attention in attentions)
        self.mlp = mlp(channels, (channels,), channels, nn.ReLU)

    def forward(self, gaussians: Tensor, condition: Tensor, *context: Tensor) -> Tensor:
        changed = self.norm(gaussians)
        for layer in self.layers:
            changed = layer(changed, condition, *context)
        return gaussians + self.mlp(changed)

    def attention_layers(self) -> list[Layer]:
        """Return its layers."""
        return [layer for layer in self.layers if isinstance(layer, Layer)]


class Layer(nn.Module):
    """Attention to the scale, then within windows, each followed by an MLP: [B, H, W, C] to the same."""

    def __init__(self, channels: int, attention: nn.Module) -> None:
        super().__init__()
        self.scale = ScaleAttention(channels)
        self.norm_scale = nn.LayerNorm(channels)
        self.mlp_scale = mlp(channels, (channels,), channels, nn.ReLU)
        self.norm_attention = nn.LayerNorm(channels)
        self.attention = attention
        self.norm_mlp = nn.LayerNorm(channels)
        self.mlp = mlp(channels, (channels,), channels, nn.ReLU)

    def forward(self, gaussians: Tensor, condition: Tensor, *context: Tensor) -> Tensor:
        gaussians = gaussians + self.scale(condition)
        gaussians = gaussians + self.mlp_scale(self.norm_scale(gaussians))
        gaussians = gaussians + self.attention(self.norm_attention(gaussians), *context)
        return gaussians + self.mlp(self.norm_mlp(gaussians))


class ScaleAttention(nn.Module):
    """Cross-attention of all Gaussians to the scale: [B, C] to [B, 1, 1, C].

    All its keys are the same embedding, so softmax weighs them equally whatever the query: the result is the
    projected value, once per image. The published queries, keys and the norm before them have no effect and
    no gradient, and are left out.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.value = Linear(channels, channels)
        self.project = Linear(channels, channels)

    def forward(self, condition: Tensor) -> Tensor:
        return self.project(self.value(condition))[:, None, None]


class CrossAttention(nn.Module):
    """Attention from a window's Gaussians to the features in it, or in a window shifted by half its side."""

    offsets: Tensor  # [n, n]
    masks: Tensor | None  # [4, 1, m]

    def __init__(self, settings: GSASRSettings, shifted: bool) -> None:
        super().__init__()
        channels, window = settings.channels, settings.window
        self.window, self.shift = window, window // 2 if shifted else 0
        self.query = Linear(channels, channels)
        self.key_value = Linear(channels, 2 * channels)
        self.project = Linear(channels, channels)
        offsets = (2 * window - 1) ** 2
        self.bias = nn.Parameter(draw_normal(torch.empty(offsets, settings.heads), std=0.02))
        self.register_buffer("offsets", relative_offsets(window), persistent=False)
        masks = wrapped_key_masks(window, self.shift) if shifted and not settings.compat else None
        self.register_buffer("masks", masks, persistent=False)

    def forward(self, gaussians: Tensor, place: Tensor, features: Tensor) -> Tensor:
        bias = position_bias(self.bias, self.offsets)
        queries = partition(self.query(gaussians + place), self.window)
        features = features.roll((-self.shift, -self.shift), (1, 2))
        keys, values = partition(self.key_value(features), self.window).chunk(2, -1)
        return self.project(merge(attend_shifted((queries, keys, values), bias, self.masks), self.window))

    @torch.no_grad()
    def init_local_attention(self) -> None:
        """Start with attention to the Gaussian's own pixel, and with values that pass its features on."""
        self.bias.add_(local_bias(self.window))
        channels = len(self.project.weight)
        draw_orthogonal(self.key_value.weight[channels:], FEATURE_GAIN)
        draw_orthogonal(self.project.weight, FEATURE_GAIN)


def local_bias(window: int) -> Tensor:
    """Return biases [(2 window - 1)^2, 1] that nearly confine a Gaussian's attention to its own pixel."""
    along = torch.arange(1 - window, window).square()
    squares = along[:, None] + along
    return -squares.flatten()[:, None] / (2 * LOCAL_SIGMA**2)


def wrapped_key_masks(window: int, shift: int) -> Tensor:
    """Return masks [4, 1, m] that hide features from the opposite border of the image.

    One each for windows that do not wrap around, that wrap at the right, at the bottom, and at both.
    """
    rows, columns = beyond_border(window, shift)
    hidden = [torch.zeros_like(rows), columns, rows, rows | columns]
    return torch.stack([MASKED * part.flatten()[None].float() for part in hidden])


def self_attention(settings: GSASRSettings, shifted: bool) -> WindowAttention:
    """Return attention among the Gaussians of a window, or of a window shifted by half its side."""
    return WindowAttention(
        settings.channels, settings.heads, settings.window, shifted, masked=not settings.compat
    )
