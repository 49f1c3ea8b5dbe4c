"""Costs equal those counted by hand."""

from dataclasses import replace

import pytest
import torch

from sr_model import GSASR, ContinuousSR
from sr_model.evaluation import cost
from sr_model.evaluation.cost import average_seconds, macs, peak_memory
from sr_model.memory import TensorMemory


def test_operations_are_those_counted_layer_by_layer(tiny, dictionary):
    s = replace(tiny.network, margin=1)
    network = ContinuousSR(s, torch.tensor(dictionary.cholesky))
    pixels, cells, kernels = 10 * 10, 4 * 10 * 10, len(dictionary)  # 8x8 and a margin of one
    encoder = pixels * 9 * (3 * 8 + 2 * 8 * 8 + 8 * 8)  # EDSR: head, one block of two, tail
    to_cells = pixels * 9 * 8 * (8 * 4)
    heads = cells * ((8 * 8 + 8 * 2) + (8 * 8 + 8 * 3))  # offsets, colours
    query = cells * 9 * 8 * 8
    embedding = kernels * (3 * 8 + 8 * 5)
    attention = cells * kernels * (8 + 3)  # products with keys, sums of values
    interpolation = 3 * 13 * (2 * 10 * 22 + 20 * 20)  # rows, then columns
    assert macs(network, 8) == encoder + to_cells + heads + query + embedding + attention + interpolation


def test_memory_is_at_least_the_weights_and_grows_with_the_image(network):
    weights = sum(p.nbytes for p in network.parameters())
    small, large = peak_memory(network, 16), peak_memory(network, 64)
    rendered = 4 * 3 * (4 * 64) ** 2
    assert weights < small < large
    assert large > rendered + 4 * 8 * 4 * 66**2  # the output, and one layer's channels at all cells
    assert large < 4 * (rendered + 4 * 40 * 4 * 66**2)


def test_memory_counts_what_is_alive_together():
    def chain(image: torch.Tensor) -> torch.Tensor:
        for _ in range(10):
            image = image + 1.0
        return image

    with TensorMemory() as memory:
        result = chain(torch.zeros(1000))
        result.view(10, 100).add_(1)  # neither a view nor work in place takes memory
    assert memory.peak == 2 * 4000
    assert memory.now == 4000


def test_average_time_is_encoding_once_and_every_rendering_over_their_number(network, monkeypatch):
    clock = iter(range(10_000))
    monkeypatch.setattr(cost.time, "perf_counter", lambda: next(clock))  # every timing takes one second
    averages = average_seconds(network, sizes=[(5, 6), (4, 4)], scales=[2, 3, 4.5])
    assert averages == {(5, 6): pytest.approx((1 + 3) / 3), (4, 4): pytest.approx((1 + 3) / 3)}


def test_the_average_time_counts_encoding_at_every_scale_if_the_field_depends_on_it(tiny_gsasr):
    network = GSASR(tiny_gsasr.network).eval()
    calls = []
    network.register_forward_hook(lambda *_: calls.append(1))
    average_seconds(network, sizes=((4, 4),), scales=(2, 3, 4))
    assert len(calls) == 1 + 3 * 3
