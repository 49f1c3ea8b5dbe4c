"""A store made by version 0.1.0 is read, verified and extended, and makes the same dictionary, bit for bit.

How the files were made is in data/README.md.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import splat2d
from dgp_mining.mining import mine
from dgp_mining.planning.settings import Settings
from dgp_mining.prior.build import build_dictionary
from dgp_mining.prior.dictionary import Dictionary
from dgp_mining.store.integrity import seal
from dgp_mining.store.store import Store
from dgp_mining.store.summary import summarise
from dgp_mining.store.verify import verify

SAMPLES = Path(__file__).resolve().parents[3] / "data/samples"


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    """A folder with the image that it was made of, and with a second one."""
    folder = tmp_path / "C"
    folder.mkdir()
    for name in ("rocket.jpg", "camera.png"):
        shutil.copy(SAMPLES / "mining" / name, folder)
    return folder


def metadata(dictionary: Dictionary) -> dict[str, Any]:
    """The metadata that do not depend on versions and folders of images; 0.1.0 had no warnings."""
    return {k: v for k, v in dictionary.metadata.items() if k not in ("versions", "images", "warnings")}


def assert_same(built: Dictionary, name: str) -> None:
    before = Dictionary.load(SAMPLES / "stores" / name)
    assert built.cholesky.dtype == before.cholesky.dtype
    assert built.cholesky.tobytes() == before.cholesky.tobytes()
    assert metadata(built) == metadata(before)


def test_it_is_sound_and_has_the_same_figures(store: Path, photographs: Path) -> None:
    found = verify(store, [photographs])
    assert found.sound
    assert found.files is not None
    assert found.files.same == 1
    summary = summarise(Store.open(store))
    assert (summary["crops"], summary["done"], summary["failed"], summary["pending"]) == (4, 4, 0, 0)
    assert {name: round(value, 2) for name, value in summary["psnr"].items()} == {
        "mean": 34.86,
        "min": 30.40,
        "p5": 30.40,
        "p50": 31.68,
        "p95": 43.77,
    }
    assert {name: round(value, 2) for name, value in summary["held_out_psnr"].items()} == {
        "mean": 29.82,
        "min": 23.86,
        "p5": 23.92,
        "p50": 25.68,
        "p95": 41.52,
    }


def test_its_description_is_written_again_byte_for_byte(store: Path) -> None:
    attributes = json.loads((store / "zarr.json").read_text())["attributes"]
    settings = Store.open(store).settings.to_json()
    assert json.dumps(settings) == json.dumps(attributes["settings"])
    digest = attributes.pop("digest")
    assert seal({**attributes, "settings": settings})["digest"] == digest


def test_it_makes_the_same_dictionary(store: Path) -> None:
    assert_same(build_dictionary(store, size=64), "0.1.0.npz")


def test_extended_by_this_version_it_makes_the_dictionary_that_0_1_0_made(
    store: Path, photographs: Path
) -> None:
    """But for the rounding of square roots, which 0.1.0 left to torch, and torch to the processor."""
    if splat2d.backend() != "cpu":
        pytest.skip("splat2d has no native library here, and torch fits to other bits than the store's")
    settings = Settings(crop=32, max_crops=8, iterations=20, keep_fields=True, snapshots=(0, 10))
    extended = mine(photographs, store, settings, scheduler="sync")
    assert len(extended) == 8
    assert len(extended.parts) == 2
    assert verify(store, [photographs]).sound
    built, before = build_dictionary(store, size=64), Dictionary.load(SAMPLES / "stores/0.1.0-extended.npz")
    np.testing.assert_allclose(built.cholesky, before.cholesky, rtol=0, atol=1e-7)
    assert metadata(built) == {
        name: pytest.approx(value, rel=1e-6) if isinstance(value, float) else value
        for name, value in metadata(before).items()
    }
