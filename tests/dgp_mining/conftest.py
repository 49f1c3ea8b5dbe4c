"""Small images, and a fit that is fast and pure: pipeline tests are not about fitting."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

FAKE_FITTERS = Path(__file__).parent / "fake_fitters"


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The user's cache, apart from that of who runs the tests."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder))
        yield folder


@pytest.fixture
def fitter(monkeypatch: pytest.MonkeyPatch) -> str:
    """Name of a fitting module that workers, too, can import."""
    monkeypatch.syspath_prepend(FAKE_FITTERS)
    inherited = [os.path.abspath(part) for part in os.environ.get("PYTHONPATH", "").split(os.pathsep) if part]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(FAKE_FITTERS), *inherited]))
    return "fake_fitter"


class Script:
    """Scripts the outcomes of crops' fits, and records the calls."""

    fitter = "scripted_fitter"

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.set({})
        self.set_memory(3)

    def set(self, outcomes: dict[int, list[str]]) -> None:
        """Outcomes by a crop's first pixel, call by call: 'fit', 'refuse', 'break' or 'die'; then 'fit'."""
        (self.folder / "outcomes.json").write_text(json.dumps(outcomes))

    def set_memory(self, crops: int) -> None:
        """How many crops the memory of a GPU holds."""
        (self.folder / "memory").write_text(str(crops))

    def calls(self, crop: int) -> int:
        """How often a crop was fitted."""
        path = self.folder / f"calls-{crop}"
        return len(path.read_text()) if path.exists() else 0

    def batches(self) -> list[int]:
        """Sizes of the batches that were tried."""
        return [int(line) for line in (self.folder / "batches").read_text().split()]


@pytest.fixture
def script(tmp_path: Path, fitter: str, monkeypatch: pytest.MonkeyPatch) -> Script:
    """Outcomes for the crops of `flat`."""
    folder = tmp_path / "script"
    folder.mkdir()
    monkeypatch.setenv("SCRIPT_FOLDER", str(folder))
    return Script(folder)


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
