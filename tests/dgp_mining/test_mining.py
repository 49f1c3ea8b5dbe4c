"""A run resumes, survives failures and interruptions, and gives the same bytes in spite of them."""

from __future__ import annotations

import importlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import torch
from PIL import Image

from dgp_mining.callbacks import Callback
from dgp_mining.fitting.fit import Fit
from dgp_mining.fitting.statistics import prior_sample
from dgp_mining.mining import mine
from dgp_mining.planning.plan import Plan
from dgp_mining.planning.settings import Settings
from dgp_mining.prior.build import build_dictionary, describe
from dgp_mining.prior.dictionary import DictionaryError
from dgp_mining.prior.held_out import split
from dgp_mining.retry import RunError
from dgp_mining.store.store import DONE, FAILED, Chunk, Store, StoreError
from dgp_mining.store.summary import summarise
from dgp_mining.workers import scheduling
from dgp_mining.workers.messages import Progress

SETTINGS = Settings(crop=32, max_crops=24)


class Events(Callback):
    """The events of a run, in order."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.chunks: list[Progress] = []

    def on_plan(self, plan: Plan, store: Store) -> None:
        assert len(store) >= plan.crops
        self.names.append("plan")

    def on_chunk(self, progress: Progress) -> None:
        self.chunks.append(progress)
        self.names.append("chunk")

    def on_end(self, store: Store) -> None:
        self.names.append("end")


def dictionary_bytes(store: Path) -> bytes:
    out = store.with_suffix(".npz")
    build_dictionary(store, size=64).save(out)
    return out.read_bytes()


@pytest.fixture
def undisturbed(photos: Path, tmp_path: Path, fitter: str) -> bytes:
    """The dictionary of an uninterrupted run in this process."""
    mine(photos, tmp_path / "sync.zarr", SETTINGS, scheduler="sync", fitter=fitter)
    return dictionary_bytes(tmp_path / "sync.zarr")


def test_every_crop_is_fitted_once_and_reported(photos: Path, tmp_path: Path, fitter: str) -> None:
    events = Events()
    store = mine(photos, tmp_path / "a.zarr", SETTINGS, scheduler="sync", fitter=fitter, callback=events)
    reported = events.chunks
    summary = summarise(store)
    assert (summary["crops"], summary["done"], summary["failed"], summary["pending"]) == (24, 24, 0, 0)
    assert sum(progress.done for progress in reported) == 24
    assert sum(progress.psnr for progress in reported) / 24 == pytest.approx(summary["psnr"]["mean"])
    assert 40 < summary["psnr"]["min"] <= summary["psnr"]["p5"] <= summary["psnr"]["p50"] <= 41
    assert 25 < summary["held_out_psnr"]["mean"] < 26
    assert summary["seconds"] == pytest.approx(0.24)


def test_local_workers_give_the_same_bytes(
    photos: Path, tmp_path: Path, fitter: str, undisturbed: bytes
) -> None:
    mine(photos, tmp_path / "local.zarr", SETTINGS, scheduler="local", workers=2, fitter=fitter)
    assert dictionary_bytes(tmp_path / "local.zarr") == undisturbed


def test_an_interrupted_run_resumes_with_what_is_missing_and_gives_the_same_bytes(
    photos: Path, tmp_path: Path, fitter: str, undisturbed: bytes
) -> None:
    path = tmp_path / "a.zarr"

    class Interrupt(Events):
        def on_chunk(self, progress: Progress) -> None:
            super().on_chunk(progress)
            if len(self.chunks) == 10:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        mine(photos, path, SETTINGS, scheduler="sync", fitter=fitter, callback=Interrupt())
    done = int((Store.open(path).status == DONE).sum())
    assert 10 <= done < 24
    missing = Events()
    mine(photos, path, SETTINGS, scheduler="sync", fitter=fitter, callback=missing)
    assert len(missing.chunks) == 24 - done
    assert dictionary_bytes(path) == undisturbed
    mine(photos, path, SETTINGS, scheduler="sync", fitter="no_fitter_is_needed_any_more")


def test_a_run_that_cannot_start_leaves_no_store_and_deletes_none(
    flat: Path, tmp_path: Path, fitter: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    path = tmp_path / "a.zarr"
    with pytest.raises(RunError, match="GPU"):
        mine(flat, path, SETTINGS, scheduler="gpu", fitter=fitter)
    assert not path.exists()
    mine(flat, path, SETTINGS, scheduler="sync", fitter=fitter)
    with pytest.raises(RunError, match="GPU"):
        mine(flat, path, SETTINGS, scheduler="gpu", fitter=fitter, overwrite=True)
    assert (Store.open(path).status == DONE).all()


def test_a_chunk_killed_before_its_status_is_fitted_again(
    photos: Path, tmp_path: Path, fitter: str, undisturbed: bytes
) -> None:
    path = tmp_path / "sync.zarr"
    store = Store.open(path)
    store.mark_pending(Chunk(store.parts[0].name, 5))
    assert store.pending_chunks() == [Chunk(store.parts[0].name, 5)]
    mine(photos, path, SETTINGS, scheduler="sync", fitter=fitter)
    assert dictionary_bytes(path) == undisturbed


def test_a_killed_worker_loses_nothing(
    photos: Path, tmp_path: Path, fitter: str, undisturbed: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The chosen crop kills the worker that fits it, once."""
    sword = tmp_path / "sword"
    sword.touch()
    monkeypatch.setenv("SWORD", str(sword))
    path = tmp_path / "a.zarr"
    mine(photos, path, SETTINGS, scheduler="local", workers=2, fitter="deadly_fitter")
    assert not sword.exists()
    assert dictionary_bytes(path) == undisturbed


@pytest.fixture
def command(photos: Path) -> list[str]:
    """`dgp-mine fit` of 24 crops with the fake fitter."""
    program = (
        "import functools, dgp_mining.mining as m; m.mine = functools.partial(m.mine, fitter='fake_fitter');"
        "from dgp_mining.cli import main; main()"
    )
    command = [sys.executable, "-c", program, "fit", "--images", str(photos), "--store", "a.zarr"]
    return [*command, "--crop", "32", "--max-crops", "24", "--workers", "2"]


def begin(command: list[str], folder: Path, crops: int, seconds: float) -> subprocess.Popen[str]:
    """Start a run whose fits take so many seconds, and wait for some crops."""
    environment = {**os.environ, "FAKE_FIT_SECONDS": str(seconds)}
    run = subprocess.Popen(
        command, cwd=folder, env=environment, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    path = folder / "a.zarr"
    while not (Store.exists(path) and (Store.open(path).status == DONE).sum() >= crops):
        assert run.poll() is None, run.stderr.read()
        time.sleep(0.1)
    return run


def test_ctrl_c_finishes_what_is_under_way_and_the_same_command_goes_on(
    command: list[str], tmp_path: Path, undisturbed: bytes
) -> None:
    run = begin(command, tmp_path, crops=2, seconds=0.3)
    os.killpg(run.pid, signal.SIGINT)  # as a terminal does: to the workers, too
    said = run.communicate(timeout=60)[1]
    assert run.returncode == 130, said
    assert "Finishing the chunks in progress; Ctrl-C again stops at once and loses them." in said
    assert "Interrupted: " in said
    assert "The same command continues from there." in said
    assert "Traceback" not in said
    path = tmp_path / "a.zarr"
    done = int((Store.open(path).status == DONE).sum())
    assert 2 < done < 24  # one at least was under way
    log = (tmp_path / "a.zarr.log").read_text()
    assert f"end: Interrupted: {done} of 24 crops" in log
    assert 2 <= log.count(": 1 fitted, ") <= done  # on a starved machine some were missing
    finished = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert f"has {done} of them already; continuing" in finished.stderr
    assert dictionary_bytes(path) == undisturbed


def test_a_second_ctrl_c_stops_at_once_and_loses_what_was_under_way(
    command: list[str], tmp_path: Path, undisturbed: bytes
) -> None:
    run = begin(command, tmp_path, crops=0, seconds=1000)
    while len(psutil.Process(run.pid).children()) < 2:  # workers are being started
        time.sleep(0.02)
    os.killpg(run.pid, signal.SIGINT)
    time.sleep(0.5)
    os.killpg(run.pid, signal.SIGINT)
    said = run.communicate(timeout=60)[1]
    assert run.returncode == 130, said
    assert "Interrupted: 0 of 24 crops are in a.zarr." in said
    assert "Traceback" not in said
    subprocess.run(command, cwd=tmp_path, capture_output=True, check=True)
    assert dictionary_bytes(tmp_path / "a.zarr") == undisturbed


@pytest.mark.parametrize("most", [1, 2, 1000])
def test_how_chunks_are_bundled_changes_no_byte(
    most: int, photos: Path, tmp_path: Path, fitter: str, undisturbed: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scheduling, "MOST_CROPS", most)
    mine(photos, tmp_path / "a.zarr", SETTINGS, scheduler="sync", fitter=fitter)
    assert dictionary_bytes(tmp_path / "a.zarr") == undisturbed


def test_bad_files_are_recorded_and_the_others_fitted(photos: Path, tmp_path: Path, fitter: str) -> None:
    whole = (photos / "p3.png").read_bytes()
    (photos / "cut.png").write_bytes(whole[: len(whole) // 2])
    (photos / "text.png").write_text("not an image")
    Image.new("RGB", (32, 32)).save(photos / "black.png")
    Image.new("RGB", (32, 32), "white").save(photos / "white.png")
    Image.new("RGB", (20, 90)).save(photos / "small.png")
    summary = summarise(mine(photos, tmp_path / "a.zarr", Settings(crop=32), scheduler="sync", fitter=fitter))
    failures = {failure["image"]: failure["error"] for failure in summary["failures"]}
    assert set(failures) == {"cut.png", "black.png", "white.png"}
    assert failures["cut.png"].startswith("cut.png cannot be decoded (")
    assert failures["black.png"] == "black.png: the crop is black"
    assert failures["white.png"].startswith("white.png: the fit diverged")
    skipped = {skipped["image"]: skipped["error"] for skipped in summary["skipped"]}
    assert "not an image" in skipped["text.png"]
    assert "smaller than a crop of 32" in skipped["small.png"]
    assert set(skipped) == {"text.png", "small.png"}
    assert summary["failed"] == sum(failure["crops"] for failure in summary["failures"]) == 11
    assert summary["done"] == summary["crops"] - 11
    assert str(tmp_path) not in str(failures)
    assert build_dictionary(tmp_path / "a.zarr", size=64).metadata["crops"] == summary["done"]


def test_an_image_that_shrank_under_way_fails_its_crops_only(
    photos: Path, tmp_path: Path, fitter: str
) -> None:
    class Shrink(Callback):
        def on_plan(self, plan: Plan, store: Store) -> None:
            Image.new("RGB", (32, 32), "white").save(photos / "p2.png")

    store = mine(
        photos, tmp_path / "a.zarr", Settings(crop=32), scheduler="sync", fitter=fitter, callback=Shrink()
    )
    plan = store.plan
    failed = {plan.names[plan.image[crop]] for crop in np.flatnonzero(store.status == FAILED)}
    assert failed == {"p2.png"}


def test_a_resumed_run_with_other_settings_is_refused(photos: Path, tmp_path: Path, fitter: str) -> None:
    mine(photos, tmp_path / "a.zarr", SETTINGS, scheduler="sync", fitter=fitter)
    with pytest.raises(StoreError, match="it has 24 crops, more than max_crops=20"):
        mine(photos, tmp_path / "a.zarr", Settings(crop=32, max_crops=20), scheduler="sync", fitter=fitter)
    other = mine(
        photos,
        tmp_path / "a.zarr",
        Settings(crop=32, max_crops=20),
        scheduler="sync",
        fitter=fitter,
        overwrite=True,
    )
    assert len(other.status) == 20


def test_a_thread_count_cannot_change_a_result(
    photos: Path, tmp_path: Path, fitter: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = importlib.import_module(fitter)
    fit_image = module.fit_image

    def on_one_thread(*arguments: Any, **settings: Any) -> Fit:
        assert torch.get_num_threads() == 1
        return fit_image(*arguments, **settings)

    monkeypatch.setattr(module, "fit_image", on_one_thread)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        store = mine(photos, tmp_path / "a.zarr", SETTINGS, scheduler="sync", fitter=fitter)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    assert (store.status == DONE).all()


def test_fields_are_kept_when_asked_and_change_no_byte_of_the_dictionary(
    photos: Path, tmp_path: Path, fitter: str, undisturbed: bytes
) -> None:
    keeping = Settings(crop=32, max_crops=24, keep_fields=True)
    store = mine(photos, tmp_path / "a.zarr", keeping, scheduler="sync", fitter=fitter)
    for field in map(store.field, range(24)):
        assert field.colors.shape == (1, 256, 3)
        assert (field.cholesky[..., [0, 2]] > 0).all()
    assert dictionary_bytes(tmp_path / "a.zarr") == undisturbed


def test_the_dictionary_says_where_it_comes_from_and_is_measured_on_other_crops(
    photos: Path, tmp_path: Path, fitter: str
) -> None:
    store = mine(photos, tmp_path / "a.zarr", SETTINGS, scheduler="sync", fitter=fitter)
    built = build_dictionary(tmp_path / "a.zarr", size=100, method="sample", seed=3)
    about = built.metadata
    assert "images" not in about  # the folder is nobody's business
    assert (about["crops"], about["density"], about["recipe"], about["iterations"]) == (24, 0.25, "fast", 225)
    assert (about["method"], about["seed"], about["symmetric"]) == ("sample", 3, True)
    held_out, used = split(np.arange(24))
    assert held_out.tolist() == [9, 19]
    assert about["coverage"]["held_out_crops"] == 2
    assert about["gaussians"] == len(prior_sample(store.samples(used)))
    described = describe(built)
    assert described["size"] == 100
    assert described["ranges"]["l11"] == [built.cholesky[:, 0].min(), built.cholesky[:, 0].max()]


def test_an_unfinished_store_makes_no_dictionary(photos: Path, tmp_path: Path, fitter: str) -> None:
    path = tmp_path / "a.zarr"
    store = mine(photos, path, SETTINGS, scheduler="sync", fitter=fitter)
    store.mark_pending(Chunk(store.parts[0].name, 3))
    with pytest.raises(DictionaryError, match=r"still has 1 of 24 crops to fit: .*dgp-mine fit --images"):
        build_dictionary(path)
