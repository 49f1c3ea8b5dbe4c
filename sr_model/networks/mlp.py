"""Multilayer perceptrons over cells and over vectors."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

from torch import Tensor, nn


def per_gaussian(channels: Tensor) -> Tensor:
    """[B, C, k h, k w] -> [B, N, C], row by row: a view of channels-last memory."""
    return channels.permute(0, 2, 3, 1).flatten(1, 2)


def per_cell_mlp(
    inputs: int, hidden: tuple[int, ...], outputs: int, activation: type[nn.Module] = nn.GELU
) -> nn.Sequential:
    """An MLP applied to every cell: 1x1 convolutions."""
    layers = _hidden(inputs, hidden, _per_cell, activation)
    return nn.Sequential(*layers, _per_cell((inputs, *hidden)[-1], outputs))


def per_cell_trunk(inputs: int, hidden: tuple[int, ...]) -> nn.Sequential:
    """The hidden layers of such an MLP alone; the identity where there are none."""
    return nn.Sequential(*_hidden(inputs, hidden, _per_cell))


def mlp(
    inputs: int, hidden: tuple[int, ...], outputs: int, activation: type[nn.Module] = nn.GELU
) -> nn.Sequential:
    """An MLP over the last axis."""
    layers = _hidden(inputs, hidden, nn.Linear, activation)
    return nn.Sequential(*layers, nn.Linear((inputs, *hidden)[-1], outputs))


def _per_cell(inputs: int, outputs: int) -> nn.Module:
    return nn.Conv2d(inputs, outputs, 1)


def _hidden(
    inputs: int,
    hidden: tuple[int, ...],
    layer: Callable[[int, int], nn.Module],
    activation: type[nn.Module] = nn.GELU,
) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for n, m in pairwise((inputs, *hidden)):
        layers += [layer(n, m), activation()]
    return layers
