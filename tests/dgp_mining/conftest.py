"""Small images, and a fit that is fast and pure: pipeline tests are not about fitting."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

FAKE_FITTER = '''
"""Stands in for dgp_mining.fitting.fit: Gaussians on a grid, shaped by the pixels they lie on."""
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
        psnr=40 + float(pixels.mean()) if pixels.min() < 1 else float("nan"),
        iterations=iterations,
        seconds=0.01,
    )


def held_out_psnr(pixels, *, density, recipe, iterations, seed):
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


SCRIPTED_FITTER = '''
"""fake_fitter, but each crop, told by its first pixel, has a list of outcomes, and a file with its calls."""
import json
import os
import signal
from pathlib import Path

import torch

from fake_fitter import fit_image as fit
from fake_fitter import held_out_psnr

HERE = Path(__file__).parent


def fit_image(pixels, **settings):
    crop = str(round(255 * float(pixels[0, 0, 0])))
    with (HERE / f"calls-{crop}").open("a+") as calls:
        calls.write("x")
        calls.seek(0)
        call = len(calls.read())
    outcomes = json.loads((HERE / "outcomes.json").read_text()).get(crop, [])
    match outcomes[call - 1] if call <= len(outcomes) else "fit":
        case "die":
            os.kill(os.getpid(), signal.SIGKILL)
        case "refuse":
            raise ValueError("the crop is refused")
        case "break":
            raise RuntimeError("something broke\\nin many places")
    return fit(pixels, **settings)


def fit_images(crops, *, seeds, **settings):
    """As a GPU would, whose memory holds three crops."""
    with (HERE / "batches").open("a") as batches:
        batches.write(f"{len(crops)}\\n")
    if len(crops) > 3:
        raise torch.OutOfMemoryError
    return [fit_image(crop, seed=seed, **settings) for crop, seed in zip(crops, seeds, strict=True)]


def held_out_psnrs(crops, *, seeds, **settings):
    return [held_out_psnr(crop, seed=seed, **settings) for crop, seed in zip(crops, seeds, strict=True)]
'''


class Script:
    """What happens to crops when they are fitted, and what has happened."""

    fitter = "scripted_fitter"

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "scripted_fitter.py").write_text(SCRIPTED_FITTER)
        self.set({})

    def set(self, outcomes: dict[int, list[str]]) -> None:
        """Outcomes by a crop's first pixel, call by call: 'fit', 'refuse', 'break' or 'die'; then 'fit'."""
        (self.folder / "outcomes.json").write_text(json.dumps(outcomes))

    def calls(self, crop: int) -> int:
        """How often a crop was fitted."""
        path = self.folder / f"calls-{crop}"
        return len(path.read_text()) if path.exists() else 0

    def batches(self) -> list[int]:
        """Sizes of the batches that were tried."""
        return [int(line) for line in (self.folder / "batches").read_text().split()]


@pytest.fixture
def script(tmp_path: Path, fitter: str) -> Iterator[Script]:
    """Outcomes for the crops of `flat`."""
    yield Script(tmp_path / "fitter")
    sys.modules.pop("scripted_fitter", None)


@pytest.fixture
def flat(tmp_path: Path) -> Path:
    """A folder of eight images of 32x32, one crop each, whose pixels are all 10, 20, ... 80."""
    folder = tmp_path / "flat"
    folder.mkdir()
    for value in range(10, 90, 10):
        Image.new("RGB", (32, 32), (value, value, value)).save(folder / f"{value:02}.png")
    return folder


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
