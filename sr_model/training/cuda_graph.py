"""A network's forward and backward pass as two CUDA graphs: one launch each instead of hundreds.

A small network's kernels take microseconds, less than Python needs to launch them. All micro-batches of a
training have one shape, so their launches can be recorded once and replayed. Rendering and the loss, whose
sizes vary from step to step, stay outside.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from splat2d import GaussianField

from ..networks.base import Network


class GraphedNetwork(nn.Module):
    """A network for inputs of one shape, replayed from CUDA graphs. It shares the network's parameters."""

    def __init__(self, network: Network, samples: int, crop: int, autocast: torch.dtype | None) -> None:
        """Record `network` for micro-batches of `samples` LR crops of `crop` pixels on a side.

        Other threads must not use the device meanwhile. `autocast` is the dtype of autocast, None for none.
        Raises RuntimeError if the network waits for the device or otherwise cannot be recorded.
        """
        super().__init__()
        self.samples = samples
        self.canvas = (crop, crop)
        device = next(network.parameters()).device
        example = (torch.rand(samples, 3, crop, crop, device=device), torch.ones(samples, device=device))
        enabled = autocast is not None
        with torch.autocast(device.type, autocast or torch.bfloat16, enabled, cache_enabled=False):
            recorded = torch.cuda.make_graphed_callables(_Tensors(network), example, allow_unused_input=True)
        self.recorded = cast(nn.Module, recorded)

    def forward(self, image: Tensor, scale: Tensor) -> GaussianField:
        """As the network's forward, with the same gradients; both inputs without gradients of their own."""
        means, cholesky, colors = self.recorded(image, scale)
        return GaussianField(means, cholesky, colors, size=self.canvas)


class _Tensors(nn.Module):
    """A network that returns tensors only, as recording needs it."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor, scale: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        field: GaussianField = self.network(image, scale)
        return field.means, field.cholesky, field.colors
