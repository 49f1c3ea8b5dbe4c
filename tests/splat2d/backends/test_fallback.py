"""Without the C++ library, torch renders and fits to the same results, and one line warns of its slowness."""

from __future__ import annotations

import pytest
import torch
from fields import random_inputs

from splat2d import backend, render
from splat2d.backends import cpu, fallback


def test_without_the_library_one_warning_tells_that_torch_renders(monkeypatch):
    monkeypatch.setattr(cpu, "LIBRARY", None)
    cpu.warn_missing.cache_clear()
    assert backend() == "torch"
    inputs = random_inputs(1, 2, 3, (4, 4))
    with pytest.warns(UserWarning, match=r"no C\+\+ library") as caught:
        render(*inputs, (4, 4)), render(*inputs, (4, 4))
    assert len(caught) == 1


@pytest.mark.parametrize("opposed", [1.0, 0.3])
def test_the_cpu_and_the_fallback_fit_take_the_same_steps(opposed: float):
    if cpu.LIBRARY is None:
        pytest.skip("built without the C++ library")
    generator = torch.Generator().manual_seed(3)
    target = torch.rand(3, 20, 26, generator=generator)
    n = 60
    root = torch.tensor([[1.2], [0.1], [0.9]]) + 0.2 * torch.rand(3, n, generator=generator)
    means = torch.rand(2, n, generator=generator) * torch.tensor([[26.0], [20.0]])
    start = torch.cat([means, root, torch.rand(3, n, generator=generator)])
    rates = torch.tensor([[0.02, 0.01, 0.01]]).expand(8, 3).contiguous()
    settings = {"start": 0, "cutoff": 3.33, "min_sigma": 0.8, "betas": (0.9, 0.99), "epsilon": 1e-4}
    settings["opposed"] = opposed
    results = []
    for run in (cpu.fit_fast, fallback.fit_fast):
        state = [start.clone(), torch.zeros_like(start), torch.zeros_like(start)]
        losses = run(target, *state, rates, **settings)
        assert losses[-1] < losses[0]
        results.append((losses, state[0]))
    assert torch.allclose(results[0][0], results[1][0], rtol=1e-4)
    assert torch.allclose(results[0][1], results[1][1], atol=2e-3)
    plain = [start.clone(), torch.zeros_like(start), torch.zeros_like(start)]
    cpu.fit_fast(target, *plain, rates, **settings | {"opposed": 1.0})
    assert torch.equal(plain[0], results[0][1]) == (opposed == 1.0), "some steps are opposed"
