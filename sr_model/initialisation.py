"""First weights that depend on the seed alone, not on the processor.

With one seed, torch 2.13 initialises layers with other float32 numbers on a processor without AVX2: its
vectorised code rounds normal numbers otherwise, and scales uniform ones with one rounding instead of two. The
functions here draw from the same distributions, but take float64 numbers from numpy, change them only by
operations that IEEE 754 rounds exactly, and round them to the tensor's type last.

`torch.manual_seed` decides the numbers, also those for a GPU: every call seeds a numpy generator from torch's
generator for the CPU. Another version of numpy or torch may give other numbers.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import numpy as np
import torch
from torch import Tensor, nn

from .native import convolve

_UNDRAWN = ContextVar("_UNDRAWN", default=False)


@contextmanager
def undrawn() -> Iterator[None]:
    """Let layers be made without drawing weights: their memory is asked for, but neither used nor filled.

    What a network would take is known then, whatever its size. No random number is taken, either.

    >>> state = torch.get_rng_state()
    >>> with undrawn():
    ...     layer = Linear(1000, 100)
    >>> layer.weight.shape, torch.equal(torch.get_rng_state(), state)
    (torch.Size([100, 1000]), True)
    """
    token = _UNDRAWN.set(True)
    try:
        yield
    finally:
        _UNDRAWN.reset(token)


class Linear(nn.Linear):
    """torch's linear layer with its default distribution, U(-b, b) for b = 1 / sqrt(inputs)."""

    def reset_parameters(self) -> None:
        _reset(self)


class Conv2d(nn.Conv2d):
    """torch's convolution with its default distribution, U(-b, b) for b = 1 / sqrt(inputs per output).

    3x3 kernels of stride 1 are applied by `convolve`, which is faster on a CPU.
    """

    def reset_parameters(self) -> None:
        _reset(self)

    def forward(self, image: Tensor) -> Tensor:
        plain = (self.stride, self.padding, self.dilation, self.groups) == ((1, 1), (1, 1), (1, 1), 1)
        if plain and self.padding_mode == "zeros":
            return convolve(image, self.weight, self.bias)
        return super().forward(image)


def draw_uniform(weights: Tensor, bound: float) -> Tensor:
    """Fill `weights`, of any shape and type, from U(-bound, bound), and return them.

    >>> _ = torch.manual_seed(0)
    >>> draw_uniform(torch.empty(3), 0.5)
    tensor([ 0.1529, -0.2331,  0.4320])
    """
    if _draws(weights):
        _fill(weights, (2 * _generator().random(weights.shape) - 1) * bound)
    return weights


def draw_normal(weights: Tensor, std: float) -> Tensor:
    """Fill `weights`, of any shape and type, from N(0, std^2), and return them.

    With the published networks' std of 0.02, this is torch's `trunc_normal_`: its limits of -2 and 2 are 100
    standard deviations away.
    """
    if _draws(weights):
        _fill(weights, _generator().standard_normal(weights.shape) * std)
    return weights


def draw_kaiming_normal(weights: Tensor) -> Tensor:
    """Fill the weights of a layer before a ReLU, [outputs, ...], from N(0, 2 / n), and return them.

    n is the number of inputs of an output. Source: He et al. 2015, Eq. 10; in torch,
    `kaiming_normal_(weights, nonlinearity="relu")`.
    """
    return draw_normal(weights, math.sqrt(2 / weights[0].numel()))


def draw_orthogonal(weights: Tensor, gain: float) -> Tensor:
    """Make `weights`, [n, m] with n <= m, `gain` times a random matrix of orthonormal rows, and return them.

    The rows of a normal matrix are made orthogonal one by one. This gives the distribution of torch's
    `orthogonal_`, but not by LAPACK, whose rounding depends on the processor.
    """
    if not _draws(weights):
        return weights
    rows = _generator().standard_normal(weights.shape)
    for index, row in enumerate(rows):
        for _ in range(2):  # the second pass removes the rounding of the first
            products = (rows[:index] * row).sum(axis=1)  # no matrix product, whose order of addition varies
            row -= (rows[:index] * products[:, None]).sum(axis=0)
        row /= math.sqrt((row * row).sum())
    _fill(weights, rows * gain)
    return weights


def _reset(layer: nn.Linear | nn.Conv2d) -> None:
    bound = 1 / math.sqrt(layer.weight[0].numel())
    draw_uniform(layer.weight, bound)
    if layer.bias is not None:
        draw_uniform(layer.bias, bound)


def _draws(weights: Tensor) -> bool:
    return not (weights.is_meta or _UNDRAWN.get())


def _generator() -> np.random.Generator:
    return np.random.default_rng(int(torch.randint(2**63 - 1, (), device="cpu")))


@torch.no_grad()
def _fill(weights: Tensor, values: np.ndarray) -> None:
    weights.copy_(torch.from_numpy(values))
