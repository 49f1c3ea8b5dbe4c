"""Multilayer perceptrons over cells and over vectors."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor, nn

from ..initialisation import Conv2d, Linear


def per_gaussian(channels: Tensor) -> Tensor:
    """[B, C, k h, k w] -> [B, N, C] in row-major order: a view of channels-last memory."""
    return channels.permute(0, 2, 3, 1).flatten(1, 2)


def per_cell_mlp(
    inputs: int, hidden: tuple[int, ...], outputs: int, activation: type[nn.Module] = nn.GELU
) -> nn.Sequential:
    """Return an MLP that is applied to every cell: 1x1 convolutions."""
    layers = _hidden(inputs, hidden, _per_cell, activation)
    return nn.Sequential(*layers, _per_cell((inputs, *hidden)[-1], outputs))


def per_cell_trunk(inputs: int, hidden: tuple[int, ...]) -> nn.Sequential:
    """Return only the hidden layers of such an MLP; the identity if `hidden` is empty."""
    return nn.Sequential(*_hidden(inputs, hidden, _per_cell, nn.GELU))


def mlp(
    inputs: int, hidden: tuple[int, ...], outputs: int, activation: type[nn.Module] = nn.GELU
) -> nn.Sequential:
    """Return an MLP over the last axis."""
    layers = _hidden(inputs, hidden, Linear, activation)
    return nn.Sequential(*layers, Linear((inputs, *hidden)[-1], outputs))


def output_layer(network: nn.Module) -> nn.Conv2d | nn.Linear:
    """Return the last layer of an MLP."""
    assert isinstance(network, nn.Sequential)
    last = network[-1]
    assert isinstance(last, nn.Conv2d | nn.Linear)
    return last


def start_constant(layer: nn.Conv2d | nn.Linear, value: Tensor | float = 0.0) -> None:
    """Initialise a layer so that its output is `value`, [outputs] or one number for all, for every input."""
    assert layer.bias is not None
    nn.init.zeros_(layer.weight)
    with torch.no_grad():
        layer.bias[:] = value


def _per_cell(inputs: int, outputs: int) -> nn.Module:
    return Conv2d(inputs, outputs, 1)


def _hidden(
    inputs: int, hidden: tuple[int, ...], layer: Callable[[int, int], nn.Module], activation: type[nn.Module]
) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for n, m in pairwise((inputs, *hidden)):
        layers += [layer(n, m), activation()]
    return layers
