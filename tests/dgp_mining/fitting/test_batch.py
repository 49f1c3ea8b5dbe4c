"""Crops fitted in a batch get the fits that they get alone (splat2d's tests compare the GPU's bits)."""

from __future__ import annotations

from collections.abc import Callable
from inspect import signature

import numpy as np
import pytest
import torch
from torch import Tensor

from dgp_mining.fitting import batch
from dgp_mining.fitting.fit import fit_image, held_out_psnr
from splat2d.backends import cpu, cuda


@pytest.fixture
def crops() -> list[np.ndarray]:
    """Three smooth crops, 24x20 RGB."""
    rng = np.random.default_rng(0)
    return [np.clip(rng.random((6, 5, 3)).repeat(4, 0).repeat(4, 1) + rng.normal(), 0, 1) for _ in range(3)]


@pytest.mark.parametrize("recipe", ["fast", "gaussianimage"])
def test_a_batch_gives_the_fits_of_its_crops_in_order(crops: list[np.ndarray], recipe: str) -> None:
    settings = {"density": 0.25, "recipe": recipe, "iterations": 12}
    seeds = [5, 6, 7]
    looks = (0, 5, 12)
    together = batch.fit_images(crops, seeds=seeds, snapshots=looks, device="cpu", **settings)
    alone = [
        fit_image(crop, seed=seed, snapshots=looks, **settings)
        for crop, seed in zip(crops, seeds, strict=True)
    ]
    for one, other in zip(together, alone, strict=True):
        for name in ("means", "cholesky", "colors"):
            assert torch.equal(getattr(one.field, name), getattr(other.field, name))
        assert torch.equal(one.start, other.start)
        for look, expected in zip(one.snapshots, other.snapshots, strict=True):
            assert torch.equal(look.field.cholesky, expected.field.cholesky)
            assert (look.iterations, look.psnr) == (expected.iterations, expected.psnr)
        assert (one.psnr, one.iterations, one.field.size) == (other.psnr, 12, (24, 20))
    held_out = batch.held_out_psnrs(crops, seeds=seeds, device="cpu", **settings)
    assert held_out == [
        held_out_psnr(crop, seed=seed, **settings) for crop, seed in zip(crops, seeds, strict=True)
    ]


@pytest.mark.parametrize("recipe", ["fast", "gaussianimage"])
def test_each_crop_of_a_batch_ends_where_it_would_alone(crops: list[np.ndarray], recipe: str) -> None:
    crops[1] = crops[1] * 0.2 + 0.4  # an easier one
    target = {"fast": 31.0, "gaussianimage": 9.0}[recipe]
    settings = {"density": 0.25, "recipe": recipe, "iterations": 90, "target_psnr": target}
    seeds, looks = [5, 6, 7], (0, 50)
    together = batch.fit_images(crops, seeds=seeds, snapshots=looks, device="cpu", **settings)
    for fit, crop, seed in zip(together, crops, seeds, strict=True):
        alone = fit_image(crop, seed=seed, snapshots=looks, **settings)
        assert (fit.iterations, fit.psnr) == (alone.iterations, alone.psnr)
        assert torch.equal(fit.field.means, alone.field.means)
        assert [look.iterations for look in fit.snapshots] == [look.iterations for look in alone.snapshots]
    assert together[1].iterations < 50 < together[2].iterations
    held_out = batch.held_out_psnrs(crops, seeds=seeds, device="cpu", **settings)
    assert held_out == [
        held_out_psnr(crop, seed=seed, **settings) for crop, seed in zip(crops, seeds, strict=True)
    ]


def test_a_crop_that_cannot_be_fitted_is_an_error(crops: list[np.ndarray]) -> None:
    crops[1] = crops[1] * np.nan
    with pytest.raises(ValueError, match="finite"):
        batch.fit_images(crops, seeds=[0, 0, 0], density=0.25, recipe="fast", iterations=2, device="cpu")


@pytest.mark.parametrize(
    ("gpu", "one"), [(cuda.fit_fast, cpu.fit_fast), (cuda.fit_gaussianimage, cpu.fit_gaussianimage)]
)
def test_the_gpu_takes_the_arguments_of_the_cpu(
    gpu: Callable[..., Tensor], one: Callable[..., Tensor]
) -> None:
    """One call serves both: what holds on the CPU, where the tests run, holds on a GPU."""
    assert [(p.name, p.kind) for p in signature(gpu).parameters.values()] == [
        (p.name, p.kind) for p in signature(one).parameters.values()
    ]
