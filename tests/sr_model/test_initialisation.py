"""First weights have the distributions of torch, and the same bytes on every processor."""

from __future__ import annotations

import math

import pytest
import small_networks
import torch
from instruction_sets import NO_AVX, printed
from small_networks import SMALL_NETWORKS, first_weights
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from sr_model import initialisation
from sr_model.initialisation import draw_kaiming_normal, draw_normal, draw_orthogonal, draw_uniform
from sr_model.networks.registry import build_network

LARGEST = 3.2
"""Largest distance, times sqrt(n), of two samples of n numbers of one distribution, but once in 18,000."""


@pytest.mark.parametrize("environment", [NO_AVX, {"ATEN_CPU_CAPABILITY": "avx2"}], ids=["SSE", "AVX2"])
def test_first_weights_are_the_same_bytes_under_another_instruction_set(environment):
    elsewhere = printed(small_networks.__file__, environment)
    assert elsewhere == {name: first_weights(name) for name in SMALL_NETWORKS}


@pytest.mark.parametrize("name", SMALL_NETWORKS)
def test_networks_draw_no_numbers_by_torch_in_single_precision(name, kernels):
    """So that no layer of an architecture added later is forgotten."""
    with Drawn() as drawn:
        build_network(SMALL_NETWORKS[name], kernels)
    assert drawn.by == {"aten::randint"}


class Drawn(TorchDispatchMode):
    """The operators that have drawn random numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.by: set[str] = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if torch.Tag.nondeterministic_seeded in func.tags:
            self.by.add(func.name())
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("threads", [1, 3])
def test_first_weights_depend_on_the_seed_and_not_on_the_threads(threads):
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(threads)
        torch.manual_seed(7)
        weights = draw_normal(torch.empty(300, 300), 1.0)
    finally:
        torch.set_num_threads(before)
    torch.manual_seed(7)
    assert torch.equal(weights, draw_normal(torch.empty(300, 300), 1.0))
    assert not torch.equal(weights, draw_normal(torch.empty(300, 300), 1.0))


def orthogonal(weights: Tensor) -> Tensor:
    return draw_orthogonal(weights, 3.0)


@pytest.mark.parametrize(
    ("ours", "torchs", "shape"),
    [
        (lambda w: draw_uniform(w, 0.3), lambda w: nn.init.uniform_(w, -0.3, 0.3), (400, 400)),
        (lambda w: draw_normal(w, 0.02), lambda w: nn.init.trunc_normal_(w, std=0.02), (400, 400)),
        (draw_kaiming_normal, lambda w: nn.init.kaiming_normal_(w, nonlinearity="relu"), (64, 64, 5, 5)),
        (orthogonal, lambda w: nn.init.orthogonal_(w, 3.0), (300, 300)),
        (orthogonal, lambda w: nn.init.orthogonal_(w, 3.0), (100, 900)),
    ],
)
def test_numbers_have_the_distribution_of_torchs(ours, torchs, shape):
    torch.manual_seed(0)
    ours, torchs = (draw(torch.empty(shape)).detach().flatten() for draw in (ours, torchs))
    assert largest_difference(ours, torchs) < 2.3 / math.sqrt(
        len(ours)
    )  # more than that once in 10,000 times


def largest_difference(a: Tensor, b: Tensor) -> float:
    """Kolmogorov and Smirnov's distance of the distributions of two samples of one size."""
    order = torch.cat([a, b]).argsort()
    steps = torch.where(order < len(a), 1, -1).cumsum(0)
    return steps.abs().max().item() / len(a)


@pytest.mark.parametrize(
    ("ours", "torchs", "arguments"),
    [
        (initialisation.Linear, nn.Linear, (300, 400)),
        (initialisation.Linear, nn.Linear, (300, 400, False)),
        (initialisation.Conv2d, nn.Conv2d, (30, 200, 3)),
    ],
)
def test_layers_have_the_distribution_of_torchs(ours, torchs, arguments):
    torch.manual_seed(0)
    for parameters in zip(ours(*arguments).parameters(), torchs(*arguments).parameters(), strict=True):
        ours, torchs = (p.detach().flatten() for p in parameters)
        assert largest_difference(ours, torchs) < LARGEST / math.sqrt(len(ours))


def test_an_orthogonal_matrix_is_one_to_rounding():
    for shape in ((180, 180), (5, 40)):
        weights = draw_orthogonal(torch.empty(shape), 3.0)
        torch.testing.assert_close(weights @ weights.T, 9 * torch.eye(len(weights)), atol=1e-5, rtol=0)


def test_any_type_of_weights_is_filled_with_the_same_numbers_and_meta_tensors_are_left_alone():
    drawn = {}
    for dtype in (torch.float64, torch.float32, torch.bfloat16):
        torch.manual_seed(0)
        drawn[dtype] = draw_uniform(torch.empty(50, dtype=dtype), 0.5)
    assert torch.equal(drawn[torch.float32], drawn[torch.float64].float())
    assert torch.equal(drawn[torch.bfloat16], drawn[torch.float64].bfloat16())
    with torch.device("meta"):
        assert initialisation.Conv2d(3, 4, 3).weight.is_meta
