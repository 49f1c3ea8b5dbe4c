"""The plain C++ baseline does the same work as splat2d."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import torch

from splat2d import render

needs_compiler = pytest.mark.skipif(
    not (shutil.which("g++") or shutil.which("c++")), reason="no C++ compiler"
)


@needs_compiler
def test_the_baseline_computes_what_splat2d_computes():
    """Image and gradients: a ratio of times means nothing otherwise."""
    import baseline

    random = np.random.default_rng(0)
    means, l21 = random.uniform(-5, 40, (60, 2)), random.normal(0, 1.5, 60)
    shapes = np.stack([random.uniform(0.3, 3, 60), l21, random.uniform(0.3, 3, 60)], -1)
    plain = baseline.Gaussians(*(a.astype(np.float32) for a in (means, shapes, random.normal(0, 1, (60, 3)))))
    leaves = [torch.tensor(a)[None].requires_grad_() for a in (plain.means, plain.cholesky, plain.colors)]
    image = render(*leaves, (21, 34))
    ours = image.detach()[0].permute(1, 2, 0).numpy()
    assert np.abs(ours - baseline.forward(plain, (21, 34))).max() < 1e-4
    (image.square().sum() / 2).backward()
    gradient = baseline.backward(plain, np.ascontiguousarray(ours))
    for exact, name in zip(leaves, ("means", "cholesky", "colors"), strict=True):
        assert np.allclose(getattr(gradient, name), exact.grad[0].numpy(), rtol=1e-3, atol=1e-3)


@needs_compiler
def test_the_baselines_fit_fits():
    import baseline
    from render import psnr, textured

    target = textured(32)
    start = baseline.grid_start(target)
    fitted = baseline.fit(target, start, 100)
    before, after = (psnr(baseline.forward(g, (32, 32)), target) for g in (start, fitted))
    assert after > before + 5
    assert np.array_equal(start.means, baseline.grid_start(target).means)
