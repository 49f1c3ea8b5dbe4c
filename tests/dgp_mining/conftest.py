"""Small images, and a fit that is fast and pure: pipeline tests are not about fitting."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

FAKE_FITTER = '''
"""Stands in for dgp_mining.fit: Gaussians on a grid, shaped by the pixels they lie on."""
import os
import time
from types import SimpleNamespace

import numpy as np
import torch
from splat2d import GaussianField


def fit_image(pixels, *, density, recipe, iterations, seed):
    if os.environ.get("FAKE_FIT_SECONDS"):
        time.sleep(float(os.environ["FAKE_FIT_SECONDS"]))
    if pixels.max() == 0:
        raise ValueError("the crop is black")
    side = round((density * pixels.shape[0] * pixels.shape[1]) ** 0.5)
    step = pixels.shape[0] / side
    start = np.stack(np.meshgrid(*[(np.arange(side) + 0.5) * step] * 2), -1).reshape(-1, 2)
    colors = pixels[tuple(start.astype(int).T[::-1])]
    value = colors.mean(axis=1) + np.random.default_rng(seed).uniform(0, 0.1, len(start))
    cholesky = step * np.stack([0.5 + value, value**2 - 0.3, 0.9 - 0.5 * value], -1)
    tensors = [torch.tensor(t, dtype=torch.float32)[None] for t in (start + 0.1, cholesky, colors)]
    return SimpleNamespace(
        field=GaussianField(*tensors, size=pixels.shape[:2]),
        start=torch.tensor(start, dtype=torch.float32),
        psnr=40 + float(pixels.mean()),
        iterations=iterations,
        seconds=0.01,
    )


def off_lattice_psnr(pixels, *, density, recipe, iterations, seed):
    return 25 + float(pixels.mean())
'''


@pytest.fixture
def fitter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Name of a fitting module that workers, too, can import."""
    folder = tmp_path / "fitter"
    folder.mkdir()
    (folder / "fake_fitter.py").write_text(FAKE_FITTER)
    monkeypatch.syspath_prepend(folder)
    inherited = [os.path.abspath(part) for part in os.environ.get("PYTHONPATH", "").split(os.pathsep) if part]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(folder), *inherited]))
    yield "fake_fitter"
    sys.modules.pop("fake_fitter", None)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder of six small random photographs, 96x80 to 96x130, one of them in a subfolder."""
    folder = tmp_path / "photos"
    (folder / "more").mkdir(parents=True)
    for i in range(6):
        save_noise(folder / ("more/p5.png" if i == 5 else f"p{i}.png"), 80 + 10 * i, 96, seed=i)
    return folder


def save_noise(path: Path, height: int, width: int, seed: int = 0) -> np.ndarray:
    """Write smooth random RGB pixels, returning them as [H, W, 3] uint8."""
    coarse = np.random.default_rng(seed).integers(0, 256, (height // 8 + 1, width // 8 + 1, 3), np.uint8)
    image = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
    image.save(path)
    return np.asarray(image)
