"""The fused iterations of `gaussianimage`: exact gradients, Adan's steps, the same bits everywhere."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from splat2d.backends import cpu, dense

pytestmark = pytest.mark.skipif(cpu.LIBRARY is None, reason="built without the C++ library")
SIZE = (9, 11)
SETTINGS = {"cutoff": 12.0, "bound": (0.5, 0.0, 0.5), "betas": (0.98, 0.92, 0.99), "epsilon": 1e-8}


def scene(n: int = 7, size: tuple[int, int] = SIZE) -> tuple[Tensor, Tensor]:
    """A target [2, H, W] and parameters [7, n], some entries of the diagonal negative."""
    generator = torch.Generator().manual_seed(5)
    parameters = torch.randn(7, n, generator=generator)
    parameters[2:5] = 0.5 + torch.rand(3, n, generator=generator)
    parameters[2, :3], parameters[4, 1:4] = -2.0, -1.7
    return torch.rand(2, *size, generator=generator), parameters


def step(target: Tensor, parameters: Tensor) -> tuple[float, Tensor]:
    """The squared error and the gradient that one iteration finds."""
    state = torch.zeros(4, *parameters.shape)
    losses = cpu.fit_gaussianimage(target, parameters.clone(), state, torch.zeros(1), start=0, **SETTINGS)
    return losses.item(), state[3]


def loss(target: Tensor, parameters: Tensor) -> float:
    """The mean squared error of the clamped image, in double precision, from the recipe's definition."""
    p = parameters.double()
    height, width = target.shape[1:]
    means = (torch.tanh(p[:2].T) + 1) / 2 * torch.tensor([width, height])
    l11, l21, l22 = (p[2:5].T + torch.tensor(SETTINGS["bound"])).unbind(-1)
    cholesky = torch.stack([l11.abs(), l21 * l11.sign(), l22.abs()], -1)
    image = dense.render(means[None], cholesky[None], p[5:].T[None], (height, width), None, 12.0)[0]
    return (image.clamp(0, 1) - target.double()).square().mean().item()


def test_gradients_agree_with_finite_differences():
    target, parameters = scene()
    found, gradient = step(target, parameters)
    assert found / target.numel() == pytest.approx(loss(target, parameters), rel=1e-5)
    exact = torch.zeros_like(parameters, dtype=torch.float64)
    small = 1e-6
    for k in range(parameters.numel()):
        moved = [parameters.double().clone() for _ in range(2)]
        moved[0].view(-1)[k] += small
        moved[1].view(-1)[k] -= small
        exact.view(-1)[k] = (loss(target, moved[0]) - loss(target, moved[1])) / (2 * small)
    assert exact.abs().amax(1).min() > 1e-5, "every kind of parameter matters here"
    assert torch.allclose(gradient.double(), exact, rtol=1e-3, atol=1e-6)


def test_an_entry_held_away_from_zero_has_no_gradient():
    """A line, 0.0005 pixels high with its bound and rasterized 0.001 high, just above a row's centres."""
    target = scene()[0]
    line = torch.tensor([[0.02, 1e-4, 0.5, 0.0, -0.4995, 0.3, 0.3]]).T.contiguous()
    _, gradient = step(target, line)
    assert gradient[4] == 0
    assert (gradient[[0, 1, 2, 3, 5, 6]] != 0).all()
    line[4] = -0.4985
    assert step(target, line)[1][4] != 0


@pytest.mark.parametrize("color", [100.0, -100.0])
def test_values_beyond_0_and_1_are_clamped_and_have_no_gradient(color):
    target = scene()[0]
    wide = torch.tensor([[0.0, 0.0, 20.0, 0.0, 20.0, color, color]]).T.contiguous()
    error, gradient = step(target, wide)
    assert error == pytest.approx((target - float(color > 0)).double().square().sum().item(), rel=1e-6)
    assert torch.count_nonzero(gradient) == 0


@pytest.mark.parametrize("channels", [1, 3, 8])
def test_every_instruction_set_and_every_division_into_calls_gives_the_same_bits(channels):
    generator = torch.Generator().manual_seed(1)
    n, size = 300, (33, 50)
    start = torch.randn(5 + channels, n, generator=generator)
    target = torch.rand(channels, *size, generator=generator)
    rates = torch.full((12,), 0.01)
    results = {}
    before = cpu.instruction_set()
    try:
        for name in cpu.INSTRUCTION_SETS:
            try:
                cpu.set_instruction_set(name)
            except ValueError:
                continue
            for ends in ((12,), (1, 5, 12)):
                parameters, state, losses = start.clone(), torch.zeros(4, 5 + channels, n), []
                for begin, end in zip((0, *ends), ends, strict=False):
                    block = rates[begin:end].contiguous()
                    losses.append(
                        cpu.fit_gaussianimage(target, parameters, state, block, start=begin, **SETTINGS)
                    )
                results[name, ends] = (parameters, state, torch.cat(losses))
    finally:
        cpu.set_instruction_set(before)
    first = results["portable", (12,)]
    assert not torch.equal(first[0], start)
    for key, result in results.items():
        for ours, expected in zip(result, first, strict=True):
            assert torch.equal(ours, expected), key


def test_what_its_callers_should_have_checked_is_refused():
    target, parameters = scene()
    with pytest.raises(ValueError, match="its caller should have checked"):
        cpu.fit_gaussianimage(
            target, parameters, torch.zeros(4, 7, 7), torch.zeros(1), start=0, **{**SETTINGS, "cutoff": 0.0}
        )
