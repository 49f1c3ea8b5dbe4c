"""A network's forward and backward pass as two CUDA graphs: one launch each instead of hundreds.

A small network's kernels take microseconds, less than Python needs to launch them. All batches of a training
have one shape, so their launches can be recorded once and replayed. Rendering and the loss, whose sizes vary
from step to step, stay outside.

A recorded backward pass writes its gradients to the same memory each time, and autograd takes that memory for
the parameters' `.grad` instead of copying it: a second backward pass before the gradients are cleared
overwrites the first one's. So a network whose gradients are accumulated must not be recorded.
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
        """Record `network` for batches of `samples` LR crops of `crop` pixels on a side.

        Other threads must not use the device meanwhile. `autocast` is the dtype of autocast, None for none.
        Raises RuntimeError if the network waits for the device or otherwise cannot be recorded.
        """
        super().__init__()
        self.canvas = (crop, crop)
        device = next(network.parameters()).device
        example = (torch.rand(samples, 3, crop, crop, device=device), torch.ones(samples, device=device))
        ignore_streams()
        torch.cuda.reset_peak_memory_stats(device)
        enabled = autocast is not None
        with torch.autocast(device.type, autocast or torch.bfloat16, enabled, cache_enabled=False):
            recorded = torch.cuda.make_graphed_callables(_Tensors(network), example, allow_unused_input=True)
        self.network_field = network.field
        self.recorded = cast(nn.Module, recorded)
        self.peak_bytes = torch.cuda.max_memory_allocated(device)
        """Peak bytes of memory while recording, which the graphs keep; torch does not count them later."""

    def forward(self, image: Tensor, scale: Tensor) -> GaussianField:
        """As the network's forward, with the same gradients; both inputs without gradients of their own."""
        means, cholesky, colors = self.recorded(image, scale)
        return self.network_field(means, cholesky, colors, self.canvas)


def ignore_streams() -> None:
    """Silence torch's warning that gradients come from another stream than the one recorded on: they do."""
    ignore = getattr(torch.autograd.graph, "set_warn_on_accumulate_grad_stream_mismatch", None)
    if ignore is not None:  # since torch 2.10
        ignore(False)


class _Tensors(nn.Module):
    """A network that returns tensors only, as recording needs it."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor, scale: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        field: GaussianField = self.network(image, scale)
        return field.means, field.cholesky, field.colors
