"""GSASR's transformer blocks: window attention between Gaussians, attention to features and to the scale."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from ...encoders.windows import APART, WindowAttention, attend_shifted, merge, partition, relative_offsets
from ..mlp import mlp
from .settings import GSASRSettings

NEAREST = 0.3
"""LR pixels: standard deviation of where a Gaussian looks at the start, if it looks near."""


FAINT, BRIGHT = 0.02, 3.0
"""At such a start, what embeddings are multiplied by, and what the features that are seen are."""


class Block(nn.Module):
    """Layers between a norm and an MLP, and a skip around all."""

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


class Layer(nn.Module):
    """The scale, then what the windows hold, each followed by an MLP: embeddings [B, H, W, C] to the same."""

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
    """The cross-attention of all Gaussians to the scale: [B, C] to [B, 1, 1, C].

    Its keys are all one and the same embedding, so softmax weighs them equally whatever the query: the result
    is the projected value, once per image. The published queries, keys and the norm before them have no
    effect and no gradient, and are left out.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.value = nn.Linear(channels, channels)
        self.project = nn.Linear(channels, channels)

    def forward(self, condition: Tensor) -> Tensor:
        return self.project(self.value(condition))[:, None, None]


class CrossAttention(nn.Module):
    """From the Gaussians of a window to the image's features in it, or in the window half of one further."""

    def __init__(self, settings: GSASRSettings, shifted: bool) -> None:
        super().__init__()
        channels, window = settings.channels, settings.window
        self.window, self.shift = window, window // 2 if shifted else 0
        self.query = nn.Linear(channels, channels)
        self.key_value = nn.Linear(channels, 2 * channels)
        self.project = nn.Linear(channels, channels)
        offsets = (2 * window - 1) ** 2
        self.bias = nn.Parameter(nn.init.trunc_normal_(torch.empty(offsets, settings.heads), std=0.02))
        self.register_buffer("offsets", relative_offsets(window), persistent=False)
        masks = wrapped_keys(window, self.shift) if shifted and not settings.compat else None
        self.register_buffer("masks", masks, persistent=False)

    def forward(self, gaussians: Tensor, place: Tensor, features: Tensor) -> Tensor:
        bias = self.bias[self.offsets].permute(2, 0, 1)
        queries = partition(self.query(gaussians + place), self.window)
        features = features.roll((-self.shift, -self.shift), (1, 2))
        keys, values = partition(self.key_value(features), self.window).chunk(2, -1)
        return self.project(merge(attend_shifted((queries, keys, values), bias, self.masks), self.window))

    def init_local_attention(self) -> None:
        """Start with a Gaussian looking at its own pixel, and less at others, and seeing them as they are."""
        self.bias += near_bias(self.window)
        channels = len(self.project.weight)
        nn.init.orthogonal_(self.key_value.weight[channels:], BRIGHT)
        nn.init.orthogonal_(self.project.weight, BRIGHT)


def near_bias(window: int) -> Tensor:
    """[(2 window - 1)^2, 1]: biases by which a Gaussian looks at its own pixel, and hardly at others."""
    along = torch.arange(1 - window, window).square()
    squares = along[:, None] + along
    return -squares.flatten()[:, None] / (2 * NEAREST**2)


def wrapped_keys(window: int, shift: int) -> Tensor:
    """[4, 1, m]: what hides features of the opposite border, from windows that wrap around nowhere, at the
    right, at the bottom, and at both."""
    beyond = torch.arange(window) >= window - shift
    rows, columns = beyond[:, None].expand(-1, window), beyond[None].expand(window, -1)
    hidden = [torch.zeros_like(rows), columns, rows, rows | columns]
    return torch.stack([APART * part.flatten()[None].float() for part in hidden])


def self_attention(settings: GSASRSettings, shifted: bool) -> WindowAttention:
    """Of the Gaussians of a window, or of a window shifted by half of one."""
    return WindowAttention(
        settings.channels, settings.heads, settings.window, shifted, masked=not settings.compat
    )
