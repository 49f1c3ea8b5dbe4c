"""A worker records crops that cannot be fitted as failed; other errors end the run."""

from __future__ import annotations

import errno
import os
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dask
import numpy as np
import pytest

from dgp_mining import mining
from dgp_mining import retry as retry_module
from dgp_mining.mining import mine
from dgp_mining.planning.settings import Settings
from dgp_mining.retry import RunError
from dgp_mining.store.crop_results import DONE, FAILED, PENDING
from dgp_mining.store.store import Store
from dgp_mining.workers import worker

SETTINGS = Settings(crop=32)


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds of each pause; no test pauses."""
    made: list[float] = []
    monkeypatch.setattr(retry_module, "time", SimpleNamespace(sleep=made.append))
    return made


def counts(store: Store) -> tuple[int, int, int]:
    """Crops done, failed and pending."""
    status = store.status
    return tuple(int((status == value).sum()) for value in (DONE, FAILED, PENDING))


def test_a_worker_with_another_backend_is_refused(
    flat: Path, tmp_path: Path, script: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = mining.plan_run(flat, SETTINGS)
    plan = replace(plan, settings=replace(plan.settings, backend="other"))
    mining.open_store(tmp_path / "a.zarr", plan)
    monkeypatch.setattr(mining, "plan_run", lambda *arguments: plan)
    with pytest.raises(RunError, match=r"renders with '\w+', but the run was planned with 'other'"):
        mine(flat, tmp_path / "a.zarr", SETTINGS, scheduler="sync", fitter=script.fitter)


def test_a_crop_that_kills_every_worker_is_found_and_the_others_are_fitted(
    flat: Path, tmp_path: Path, script: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of eight crops kills its worker: first that of the whole chunk, then that which fits it alone."""
    monkeypatch.setattr(mining, "chunk_length", lambda *arguments: 8)
    script.set({50: ["die"] * 99})
    with dask.config.set({"distributed.scheduler.allowed-failures": 0}):
        store = mine(flat, tmp_path / "a.zarr", SETTINGS, workers=1, fitter=script.fitter)
    assert counts(store) == (7, 1, 0)
    ((crop, reason),) = store.errors
    assert crop == 4
    assert reason.startswith("50.png: the crop at (0, 0) killed every worker")
    assert script.calls(50) == 2


def test_a_gpu_takes_many_crops_at_once_and_half_as_many_where_its_memory_is_short(
    flat: Path, tmp_path: Path, script: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mining, "chunk_length", lambda *arguments: 8)
    monkeypatch.setattr(worker, "check_worker", lambda backend: None)
    script.set({40: ["refuse"] * 9})
    options = {"scheduler": "sync", "fitter": script.fitter}
    on_gpu = mine(flat, tmp_path / "gpu.zarr", SETTINGS, device="cuda", **options)
    assert on_gpu.settings.backend == "cuda"
    # All; half, which is too many still; a quarter, and for the refused crop one by one.
    assert script.batches()[1:] == [8, 4, 2, 2, 1, 1, 2, 2]
    on_cpu = mine(flat, tmp_path / "cpu.zarr", SETTINGS, **options)
    assert on_gpu.errors == on_cpu.errors == [(3, "40.png: the crop is refused")]
    assert on_gpu.fingerprint != on_cpu.fingerprint
    done = np.flatnonzero(on_cpu.status == DONE)
    np.testing.assert_array_equal(on_gpu.samples(done), on_cpu.samples(done))


def test_a_gpu_that_does_not_hold_one_crop_ends_the_run(
    flat: Path, tmp_path: Path, script: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "check_worker", lambda backend: None)
    monkeypatch.setattr(mining, "prepare_worker", lambda backend, fitter: None)
    script.set_memory(0)
    with pytest.raises(RunError, match="does not hold a single crop"):
        mine(flat, tmp_path / "a.zarr", SETTINGS, device="cuda", scheduler="sync", fitter=script.fitter)
    assert counts(Store.open(tmp_path / "a.zarr")) == (0, 0, 8)


def test_what_breaks_fails_the_crop_on_a_cpu_and_ends_the_run_on_a_gpu(
    flat: Path, tmp_path: Path, script: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After an error, a GPU gives only errors."""
    monkeypatch.setattr(worker, "check_worker", lambda backend: None)
    script.set({20: ["break"] * 9})
    options = {"scheduler": "sync", "fitter": script.fitter}
    assert mine(flat, tmp_path / "cpu.zarr", SETTINGS, **options).errors == [(1, "20.png: something broke")]
    with pytest.raises(RunError, match=r"GPU cannot be used \(something broke\): solve the problem"):
        mine(flat, tmp_path / "gpu.zarr", SETTINGS, device="cuda", **options)
    assert counts(Store.open(tmp_path / "gpu.zarr"))[1] == 0


def test_a_gpu_that_is_not_there_is_one_sentence(flat: Path, tmp_path: Path, script: Any) -> None:
    if os.path.exists("/dev/nvidia0"):
        pytest.skip("there is a GPU")
    with pytest.raises(RunError, match="sees no GPU"):
        mine(flat, tmp_path / "a.zarr", SETTINGS, device="cuda", scheduler="sync", fitter=script.fitter)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "is full: make room, then repeat the command"),
        (OSError(errno.EIO, "Input/output error"), "cannot be written .*Input/output error.*repeat"),
    ],
)
def test_a_store_that_cannot_be_written_ends_the_run_and_loses_nothing(
    error: OSError, said: str, flat: Path, tmp_path: Path, script: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, options = tmp_path / "a.zarr", {"scheduler": "sync", "fitter": script.fitter}
    write, written = Store.write, []

    def three_times(store: Store, *arguments: Any) -> None:
        if len(written) == 3:
            raise error
        written.append(write(store, *arguments))

    with monkeypatch.context() as patch:
        patch.setattr(Store, "write", three_times)
        with pytest.raises(RunError, match=said):
            mine(flat, path, SETTINGS, **options)
    assert counts(Store.open(path)) == (3, 0, 5)
    assert counts(mine(flat, path, SETTINGS, **options)) == (8, 0, 0)
    assert [script.calls(crop) for crop in range(10, 90, 10)] == [1, 1, 1, 2, 1, 1, 1, 1]
