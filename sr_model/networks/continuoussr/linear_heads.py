"""The layers of a network whose heads are linear, for `native.heads`, which computes all of them at once."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from ...initialisation import Conv2d
from ...native.heads import Layers
from .covariance_heads import CovarianceHead, CovarianceWeighting


@dataclass(frozen=True)
class LinearHeads:
    """What makes Gaussians of the features of LR pixels, if nothing but activations is not linear in it."""

    before: nn.Module
    """The layers before the last of those that make the features of cells."""
    layers: Layers
    """The weights from the last of them on."""


def linear_heads(
    to_cells: nn.Module,
    trunk: nn.Module,
    colour: nn.Module,
    offset: nn.Module | None,
    kernels: CovarianceHead,
) -> LinearHeads | None:
    """Return the linear heads that these modules of a network are; None if they are not.

    None as well if anybody watches one of the modules by hooks: who does is to see it called.
    """
    if not isinstance(kernels, CovarianceWeighting) or not isinstance(to_cells, nn.Sequential):
        return None
    found = [layer for head in (to_cells[-1:], colour, offset, kernels.query) for layer in _only_layer(head)]
    watched = (to_cells, trunk, colour, offset, kernels, *found)
    if len(found) != 4 or list(trunk.children()) or any(map(_hooked, watched)):
        return None
    projection, colours, offsets, queries = ((layer.weight.flatten(1), layer.bias) for layer in found)
    return LinearHeads(to_cells[:-1], Layers(projection, colours, offsets, queries, *kernels.dictionary()))


def _only_layer(head: nn.Module | None) -> list[Conv2d]:
    """Return the convolution with 1x1 kernels that a head consists of; none for another head."""
    layers = list(head) if isinstance(head, nn.Sequential) else [head]
    plain = {"kernel_size": (1, 1), "stride": (1, 1), "padding": (0, 0), "groups": 1}
    return [
        layer
        for layer in layers
        if len(layers) == 1
        and type(layer) is Conv2d
        and all(getattr(layer, name) == value for name, value in plain.items())
    ]


def _hooked(module: nn.Module | None) -> bool:
    return module is not None and bool(module._forward_hooks or module._forward_pre_hooks)
