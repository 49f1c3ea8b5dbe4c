"""The recipe `gaussianimage`: its start, and the same iterations in torch as in the fused C++ code."""

from __future__ import annotations

import pytest
import torch

from dgp_mining.fitting import gaussianimage
from dgp_mining.fitting.fit import fit_image
from dgp_mining.fitting.recipes import GaussianImageRecipe
from splat2d.backends import cpu


def textured(channels: int = 3) -> torch.Tensor:
    """[channels, 20, 26], every value its own."""
    return torch.rand(channels, 20, 26, generator=torch.Generator().manual_seed(0))


def test_adan_takes_the_steps_of_algorithm_1():
    """Two steps worked by hand from Xie et al. 2022, Algorithm 1, with bias correction."""
    b1, b2, b3 = betas = (0.98, 0.92, 0.99)
    x, g1, g2, rate, eps = 1.0, 0.5, -0.2, 0.1, 1e-8
    parameters = torch.tensor([x], dtype=torch.float64)
    state = torch.zeros(4, 1, dtype=torch.float64)
    m, v, n = (1 - b1) * g1, 0.0, (1 - b3) * g1**2
    x -= rate * (m / (1 - b1)) / ((n / (1 - b3)) ** 0.5 + eps)
    gaussianimage.adan_step(parameters, state, torch.tensor([g1], dtype=torch.float64), rate, 1, betas, eps)
    assert parameters.item() == pytest.approx(x, abs=1e-12)
    d = g2 - g1
    m, v, n = b1 * m + (1 - b1) * g2, b2 * v + (1 - b2) * d, b3 * n + (1 - b3) * (g2 + b2 * d) ** 2
    x -= rate * (m / (1 - b1**2) + b2 * v / (1 - b2**2)) / ((n / (1 - b3**2)) ** 0.5 + eps)
    gaussianimage.adan_step(parameters, state, torch.tensor([g2], dtype=torch.float64), rate, 2, betas, eps)
    assert parameters.item() == pytest.approx(x, abs=1e-12)


@pytest.mark.skipif(cpu.LIBRARY is None, reason="built without the native library")
@pytest.mark.parametrize("channels", [1, 3])
def test_the_fused_iterations_are_those_of_torch_with_automatic_differentiation(channels):
    target = textured(channels)
    recipe = GaussianImageRecipe()
    start = gaussianimage.random_start(target, 0.18, seed=2)
    start[2, :20] -= 2  # negative entries are part of the recipe
    results = []
    for run in (cpu.fit_gaussianimage, gaussianimage.iterate):
        parameters, state = start.clone(), start.new_zeros(4, *start.shape)
        rates = torch.full((30,), 0.01)
        losses = run(
            target,
            parameters,
            state,
            rates,
            start=0,
            cutoff=3.33,
            bound=recipe.cholesky_bound,
            betas=recipe.betas,
            epsilon=recipe.epsilon,
        )
        assert losses[-1] < 0.9 * losses[0]
        results.append((losses, parameters))
    assert torch.allclose(*(losses for losses, _ in results), rtol=1e-4)
    assert torch.allclose(*(parameters for _, parameters in results), atol=2e-3)


def test_the_start_is_uniform_over_the_image_and_biased_as_published():
    target = torch.zeros(3, 200, 300)
    parameters = gaussianimage.random_start(target, 0.18, seed=4)
    field = gaussianimage.field_of(parameters, GaussianImageRecipe().cholesky_bound, (200, 300))
    assert field.means.shape == (1, 10_800, 2)
    quarter = (field.means[0] < torch.tensor([150.0, 100.0])).double().mean(0)
    assert torch.allclose(quarter, torch.tensor([0.5, 0.5], dtype=torch.float64), atol=0.02)
    assert torch.allclose(field.cholesky[0].mean(0), torch.tensor([1.0, 0.5, 1.0]), atol=0.02)
    assert field.cholesky[0, :, 0].min() >= 0.5
    assert not torch.equal(parameters, gaussianimage.random_start(target, 0.18, seed=5))


def test_the_rate_is_halved_when_the_recipe_says():
    rates = GaussianImageRecipe(iterations=7, halve_every=3).rates()
    assert rates.tolist() == pytest.approx([1e-3] * 3 + [5e-4] * 3 + [2.5e-4])


def test_without_the_library_torch_fits(monkeypatch):
    monkeypatch.setattr(cpu, "warn_missing", lambda: None)
    pixels = textured().permute(1, 2, 0)
    fused = fit_image(pixels, density=0.18, recipe="gaussianimage", iterations=10)
    monkeypatch.setattr(cpu, "LIBRARY", None)
    plain = fit_image(pixels, density=0.18, recipe="gaussianimage", iterations=10)
    assert plain.psnr == pytest.approx(fused.psnr, abs=1e-3)
    assert torch.allclose(plain.field.means, fused.field.means, atol=1e-2)
