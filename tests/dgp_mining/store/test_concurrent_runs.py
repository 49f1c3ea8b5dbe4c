"""Several runs over one store at once, without a lock: some work is done twice, and nothing is harmed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from dgp_mining.mining import mine
from dgp_mining.planning.settings import Settings
from dgp_mining.prior.build import build_dictionary
from dgp_mining.store.crop_results import DONE
from dgp_mining.store.store import Store
from dgp_mining.store.verify import verify

PROGRAM = """
import sys
from dgp_mining import Settings, mine
settings = Settings(crop=32, max_crops=int(sys.argv[1]))
mine("photos", "shared.zarr", settings, scheduler="sync", fitter="fake_fitter")
"""


def dictionary_bytes(store: Path) -> bytes:
    build_dictionary(store, size=64).save(store.with_suffix(".npz"))
    return store.with_suffix(".npz").read_bytes()


def start(folder: Path, crops: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", PROGRAM, str(crops)]
    return subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, text=True)


def test_two_runs_at_once_make_the_dictionary_of_one(
    photos: Path, tmp_path: Path, fitter: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    mine("photos", "alone.zarr", Settings(crop=32, max_crops=24), scheduler="sync", fitter=fitter)
    monkeypatch.setenv("FAKE_FIT_SECONDS", "0.05")
    for run in [start(tmp_path, 24) for _ in range(2)]:
        assert run.communicate(timeout=100)[1] == ""
        assert run.returncode == 0
    store = Store.open("shared.zarr")
    assert len(store.parts) == 1
    assert (store.status == DONE).all()
    assert verify("shared.zarr").damage == []
    assert dictionary_bytes(tmp_path / "shared.zarr") == dictionary_bytes(tmp_path / "alone.zarr")


def test_a_run_beside_one_that_extends_the_store_ends_well_or_in_a_sentence(
    photos: Path, tmp_path: Path, fitter: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    mine("photos", "alone.zarr", Settings(crop=32, max_crops=24), scheduler="sync", fitter=fitter)
    monkeypatch.setenv("FAKE_FIT_SECONDS", "0.05")
    mine("photos", "shared.zarr", Settings(crop=32, max_crops=4), scheduler="sync", fitter=fitter)
    for run in [start(tmp_path, crops) for crops in (20, 24)]:
        said = run.communicate(timeout=100)[1]
        assert run.returncode == 0 or "StoreError" in said.splitlines()[-1], said
    mine("photos", "shared.zarr", Settings(crop=32, max_crops=24), scheduler="sync", fitter=fitter)
    assert verify("shared.zarr").damage == []
    assert dictionary_bytes(tmp_path / "shared.zarr") == dictionary_bytes(tmp_path / "alone.zarr")
