"""The fused iterations of `fast`: exact gradients of all parameters; the same bits in one call or many."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from splat2d.backends import cpu, dense

pytestmark = pytest.mark.skipif(cpu.LIBRARY is None, reason="built without the C++ library")
CUTOFF = 12.0
"""No pixel of these images lies beyond it: finite differences cross no edge."""


def scene(channels: int = 2, n: int = 6) -> tuple[Tensor, Tensor]:
    """A target [C, 9, 11] and parameters [5 + C, n]."""
    generator = torch.Generator().manual_seed(7)
    root = torch.tensor([[1.5], [0.2], [1.2]]) + 0.3 * torch.randn(3, n, generator=generator)
    means = torch.rand(2, n, generator=generator) * torch.tensor([[11.0], [9.0]])
    target = torch.rand(channels, 9, 11, generator=generator)
    return target, torch.cat([means, root, torch.randn(channels, n, generator=generator)])


def loss(target: Tensor, parameters: Tensor) -> float:
    """Half the summed squared error, in double precision."""
    a, b, c = parameters[2:5]
    l11 = torch.sqrt(a * a + b * b)
    cholesky = torch.stack([l11, b * (a + c) / l11, (a * c - b * b) / l11], -1)
    inputs = (parameters[:2].T[None], cholesky[None], parameters[5:].T[None])
    image = dense.render(*inputs, tuple(target.shape[1:]), None, CUTOFF)[0]
    return 0.5 * (image - target).square().sum().item()


def run(
    target: Tensor, parameters: Tensor, rates: Tensor, calls: tuple[int, ...], beta1: float
) -> list[Tensor]:
    """Losses, parameters and moments after `rates`' iterations, in calls that end at these."""
    state = [parameters.clone(), torch.zeros_like(parameters), torch.zeros_like(parameters)]
    settings = {"cutoff": CUTOFF, "min_sigma": 1e-3, "betas": (beta1, 0.95), "epsilon": 1e-4}
    losses = [
        cpu.fit_fast(target, *state, rates[begin:end].contiguous(), start=begin, **settings)
        for begin, end in zip((0, *calls), calls, strict=False)
    ]
    return [torch.cat(losses), *state]


def test_gradients_agree_with_finite_differences():
    """Without memory (beta1 = 0) Adam's first moment is the gradient itself."""
    target, parameters = scene()
    losses, _, gradient, _ = run(target, parameters, torch.zeros(1, 3), (1,), beta1=0.0)
    exact, goal, small = torch.zeros_like(parameters).double(), target.double(), 1e-6
    assert losses.item() / 2 == pytest.approx(loss(goal, parameters.double()), rel=1e-5)
    for k in range(parameters.numel()):
        up, down = parameters.double().clone(), parameters.double().clone()
        up.view(-1)[k] += small
        down.view(-1)[k] -= small
        exact.view(-1)[k] = (loss(goal, up) - loss(goal, down)) / (2 * small)
    assert exact.abs().amax(1).min() > 0.01, "every kind of parameter matters here"
    assert torch.allclose(gradient.double(), exact, rtol=1e-3, atol=1e-3)


def test_how_iterations_are_divided_into_calls_changes_no_bit():
    target, parameters = scene(3, 300)
    rates = torch.full((12, 3), 0.02)
    whole = run(target, parameters, rates, (12,), beta1=0.8)
    assert not torch.equal(whole[1], parameters)
    for ours, expected in zip(run(target, parameters, rates, (1, 5, 12), beta1=0.8), whole, strict=True):
        assert torch.equal(ours, expected)


def test_a_step_that_the_gradient_opposes_is_not_taken_if_opposed_is_zero():
    """Adam's moving average points one way, the gradient of the second step the other."""
    target, parameters = scene()
    rates = torch.full((1, 3), 0.02)
    settings = {"cutoff": CUTOFF, "min_sigma": 1e-3, "betas": (0.8, 0.95), "epsilon": 1e-4}
    gradient, second = torch.zeros_like(parameters), torch.zeros_like(parameters)
    still = torch.zeros(1, 3)
    cpu.fit_fast(target, parameters.clone(), gradient, second, still, start=0, **settings)
    against = torch.where(
        torch.rand(parameters.shape, generator=torch.Generator().manual_seed(1)) < 0.5, -9, 9
    )
    ended = {}
    for opposed in (1.0, 0.0):
        state = [parameters.clone(), gradient * against, second.clone()]
        cpu.fit_fast(target, *state, rates, start=1, opposed=opposed, **settings)
        ended[opposed] = state[0]
    moved = (ended[0.0] - parameters).abs() > 1e-7
    assert torch.equal(moved, against > 0)
    assert torch.equal(ended[0.0][moved], ended[1.0][moved])
    assert ((ended[1.0] - parameters).abs() > 1e-7).all()
