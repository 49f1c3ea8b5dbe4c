"""Covariance weighting in C++ is torch's, to float rounding, and has one set of bits."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import Tensor

from sr_model.native import blended, library
from sr_model.native.blending import applies
from tests.sr_model.native_library import needs_library

pytestmark = needs_library

SHAPES = {
    "whole blocks": ((2, 64), 64, 8),
    "parts of blocks": ((1, 77), 9, 5),
    "wide latent space": ((3, 40), 130, 21),
    "all kernels": ((1, 33), 730, 16),
    "one kernel": ((1, 5), 1, 3),
    "one cell": ((1, 1), 64, 8),
}


def arguments(cells: tuple[int, ...], kernels: int, latent: int) -> tuple[Tensor, ...]:
    """Queries, keys, entries and the gradient of the result."""
    torch.manual_seed(kernels)
    sizes = (*cells, latent), (kernels, latent), (kernels, 3), (*cells, 3)
    return tuple(torch.randn(size) for size in sizes)


def of_torch(queries: Tensor, keys: Tensor, entries: Tensor) -> Tensor:
    return torch.softmax(queries @ keys.T, -1) @ entries


def with_gradients(function, queries, keys, entries, grad) -> tuple[Tensor, ...]:
    """The result, and the gradients of queries, keys and entries."""
    leaves = [t.detach().clone().requires_grad_() for t in (queries, keys, entries)]
    made = function(*leaves)
    return (made.detach(), *torch.autograd.grad(made, leaves, grad))


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
def test_result_and_gradients_are_those_of_torch(shape):
    given = arguments(*shape)
    exact = with_gradients(of_torch, *(t.double() for t in given))
    for made, expected in zip(with_gradients(blended, *given), exact, strict=True):
        assert made.dtype == torch.float32
        assert made.shape == expected.shape
        assert (made - expected).norm() <= 3e-6 * expected.norm() + 1e-6


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
def test_the_bits_depend_neither_on_the_instruction_set_nor_on_threads(shape, every_way):
    given = arguments(*shape)
    first, *others = every_way(lambda: with_gradients(blended, *given))
    assert all(torch.equal(a, b) for other in others for a, b in zip(first, other, strict=True))


def test_a_fixed_dictionary_has_no_gradient_and_the_others_do_not_change():
    queries, keys, entries, grad = arguments((2, 64), 64, 8)
    expected = with_gradients(blended, queries, keys, entries, grad)
    leaves = queries.requires_grad_(), keys.requires_grad_()
    made = torch.autograd.grad(blended(*leaves, entries), leaves, grad)
    assert all(torch.equal(a, b) for a, b in zip(made, expected[1:3], strict=True))


def test_the_bits_of_a_cell_do_not_depend_on_its_neighbours():
    queries, keys, entries, _ = arguments((1, 50), 64, 8)
    together = blended(queries, keys, entries)
    alone = [blended(queries[:, i : i + 1], keys, entries) for i in range(50)]
    assert torch.equal(together, torch.cat(alone, 1))


def test_gradients_that_are_not_contiguous_are_understood():
    queries, keys, entries, grad = arguments((2, 20), 12, 4)
    expected = with_gradients(blended, queries, keys, entries, grad)
    wide = torch.zeros(2, 20, 6)
    wide[..., ::2] = grad
    made = with_gradients(blended, queries, keys, entries, wide[..., ::2])
    assert all(torch.equal(a, b) for a, b in zip(made, expected, strict=True))


@pytest.mark.parametrize("size", [1e4, 3e38], ids=["large", "largest"])
def test_a_certain_choice_gives_the_kernel_itself(size):
    keys, entries = torch.tensor([[1.0, 0.0], [0.0, 1.0]]), torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    queries = torch.tensor([[size, 0.0], [0.0, size]])
    assert torch.equal(blended(queries, keys, entries), entries)


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_a_query_that_is_not_finite_gives_nan_as_in_torch(value):
    queries, keys, entries, _ = arguments((1, 20), 10, 4)
    queries[0, 7, 2] = value
    made = blended(queries, keys, entries)
    assert torch.equal(made.isnan(), of_torch(queries, keys, entries).isnan())
    assert made[0, 7].isnan().all()


def test_the_default_type_and_device_of_torch_do_not_matter(with_other_defaults):
    given = arguments((2, 20), 12, 4)
    expected = with_gradients(blended, *given)
    made = with_other_defaults(lambda: with_gradients(blended, *given))
    assert all(torch.equal(a, b) for a, b in zip(made, expected, strict=True))


def test_threads_of_python_may_call_at_once():
    given = arguments((1, 500), 64, 8)
    expected = with_gradients(blended, *given)
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda _: with_gradients(blended, *given), range(12)))
    assert all(torch.equal(a, b) for one in made for a, b in zip(one, expected, strict=True))


def test_no_cells_give_no_kernels():
    queries, keys, entries, _ = arguments((0, 20), 10, 4)
    assert blended(queries, keys, entries).shape == (0, 20, 3)


def test_float64_and_traced_programs_are_left_to_torch(monkeypatch):
    queries, keys, entries, _ = arguments((1, 20), 10, 4)
    assert applies(queries, keys, entries)
    assert not applies(queries.double(), keys, entries)
    monkeypatch.setattr(library, "LIBRARY", None)
    assert not applies(queries, keys, entries)
