"""A dictionary, photographs and settings small enough to train within a second."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from dgp_mining.prior.dictionary import Dictionary
from sr_model import PRESETS, Checkpoint, ContinuousSR, Preset

sys.path.insert(0, str(Path(__file__).parent))  # commands.py, public_layouts.py and the like
sys.path.insert(0, str(Path(__file__).parents[2] / "workflows" / "benchmarks"))  # gsasr_renderer.py


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    """Networks this small gain nothing from threads, and lose much if other processes use the cores."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch) -> Path:
    """The folder for decoded images, apart from the user's."""
    home = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("XDG_CACHE_HOME", str(home))
    return home / "dgp-mining" / "images"


@pytest.fixture(scope="session")
def dictionary() -> Dictionary:
    """60 kernels scattered around 0.62 grid spacings, as mined ones are."""
    random = np.random.default_rng(0)
    cholesky = random.normal([0.62, 0.0, 0.62], 0.2, (60, 3))
    cholesky[:, [0, 2]] = cholesky[:, [0, 2]].clip(0.1)
    return Dictionary(cholesky)


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    """A folder of four smooth random pictures, 48x40 pixels."""
    folder = tmp_path / "photographs"
    folder.mkdir()
    random = np.random.default_rng(1)
    for index in range(4):
        small = Image.fromarray(random.integers(0, 256, (10, 12, 3), np.uint8))
        small.resize((48, 40), Image.Resampling.BICUBIC).save(folder / f"{index}.png")
    return folder


@pytest.fixture
def tiny() -> Preset:
    """The preset light with the smallest network, all kernels and small crops."""
    light = PRESETS["light"]
    widths = {"width": 8, "depth": 1, "features": 8, "latent": 8, "embedding": (8,), "hidden": (8,)}
    return Preset(
        replace(light.network, **widths, dictionary_size=None),
        replace(light.train, batch=2, crop=8, scales=(2.0, 3.0), warmup=2, validate_every=3, steps=6),
    )


@pytest.fixture
def tiny_gsasr(tiny: Preset) -> Preset:
    """The smallest GSASR, on small crops of several scales."""
    demo = PRESETS["gsasr-demo"]
    small = replace(demo.network, width=8, depth=1, channels=8, heads=2, window=4, head_hidden=(8,))
    return Preset(small, replace(tiny.train, scales=(1.0, 4.0), scale_of="sample", batch=4))


@pytest.fixture
def kernels(dictionary: Dictionary) -> torch.Tensor:
    """The dictionary's kernels, as networks take them, [60, 3]."""
    return torch.tensor(dictionary.cholesky)


@pytest.fixture
def tiny_demo(tiny: Preset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands run in a folder of their own, and their default preset is the smallest network."""
    monkeypatch.setitem(PRESETS, "demo", tiny)
    monkeypatch.setattr("sr_model.cli.train.default_preset", lambda arch: "demo")
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def prior(dictionary: Dictionary, photographs: Path, tiny_demo: None) -> Path:
    """A file of the dictionary that names the photographs, in the folder in which commands run."""
    Dictionary(dictionary.cholesky, {"images": str(photographs)}).save("dict.npz")
    return Path("dict.npz")


@pytest.fixture
def network(dictionary: Dictionary, tiny: Preset) -> ContinuousSR:
    """The smallest network, at its start."""
    return ContinuousSR(tiny.network, torch.tensor(dictionary.cholesky)).eval()


@pytest.fixture
def checkpoint(network: ContinuousSR, dictionary: Dictionary, tmp_path: Path) -> Path:
    """The file of that network."""
    path = tmp_path / "model.safetensors"
    Checkpoint(network.settings, torch.tensor(dictionary.cholesky), network.state_dict(), {}).save(path)
    return path
