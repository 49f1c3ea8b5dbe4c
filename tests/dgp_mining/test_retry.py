"""Passing faults are tried again, lasting ones are not; what ends a run loses nothing."""

from __future__ import annotations

import errno
import os
import signal
from collections import Counter
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dask
import numpy as np
import pytest

from dgp_mining import mining
from dgp_mining import retry as retry_module
from dgp_mining.callbacks import Callback
from dgp_mining.images.reader import ImageError, decode_image
from dgp_mining.mining import mine
from dgp_mining.planning import crop_loader
from dgp_mining.planning.crop_loader import load_crops
from dgp_mining.planning.plan import Plan
from dgp_mining.planning.settings import Settings
from dgp_mining.retry import RunError, disk_is_full, is_transient, retry
from dgp_mining.store.crop_results import DONE, FAILED, PENDING
from dgp_mining.store.store import Store, StoreError
from dgp_mining.workers import worker
from dgp_mining.workers.messages import Progress

SETTINGS = Settings(crop=32)


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses that were made, without making them."""
    made: list[float] = []
    monkeypatch.setattr(retry_module, "time", SimpleNamespace(sleep=made.append))
    return made


@pytest.fixture
def decoding(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Faults to come, by file name, and under 'calls' how often each file was decoded."""
    script: dict[str, Any] = {"calls": Counter()}

    def decode(path: Path) -> Any:
        script["calls"][path.name] += 1
        if to_come := script.get(path.name):
            raise to_come.pop(0)
        return decode_image(path)

    monkeypatch.setattr(crop_loader, "decode_image", decode)
    return script


def counts(store: Store) -> tuple[int, int, int]:
    """Crops done, failed and pending."""
    status = store.status
    return tuple(int((status == value).sum()) for value in (DONE, FAILED, PENDING))


def caused_by(error: BaseException) -> StoreError:
    wrapped = StoreError("the store says so")
    wrapped.__cause__ = error
    return wrapped


def test_faults_are_told_apart_by_their_cause() -> None:
    passing = [OSError(errno.EIO, "I/O"), TimeoutError(), ConnectionResetError(), OSError(errno.ESTALE, "")]
    lasting = [ImageError("bad"), OSError("truncated"), FileNotFoundError(errno.ENOENT, ""), KeyError(1)]
    full = [OSError(errno.ENOSPC, "full"), OSError(errno.EDQUOT, "quota")]
    for error in passing:
        assert is_transient(error)
        assert is_transient(caused_by(error))
    for error in lasting + full:
        assert not is_transient(error)
        assert not is_transient(caused_by(error))
    assert [disk_is_full(caused_by(error)) for error in full + passing] == [True] * 2 + [False] * 4
    assert is_transient(
        type("EndpointConnectionError", (Exception,), {"__module__": "botocore.exceptions"})()
    )


def test_a_passing_fault_is_tried_three_times_more_with_growing_pauses(pauses: list[float]) -> None:
    calls = []

    def fails() -> None:
        calls.append(None)
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        retry(fails)
    assert len(calls) == 4
    assert pauses == sorted(pauses) == list(retry_module.PAUSES)


def test_a_passing_fault_while_reading_changes_nothing(
    flat: Path, tmp_path: Path, script: Any, decoding: dict[str, Any], pauses: list[float]
) -> None:
    decoding["30.png"] = [OSError(errno.EIO, "Input/output error"), TimeoutError(errno.ETIMEDOUT, "late")]
    store = mine(flat, tmp_path / "a.zarr", SETTINGS, scheduler="sync", fitter=script.fitter)
    assert counts(store) == (8, 0, 0)
    assert decoding["calls"].pop("30.png") == 3
    assert set(decoding["calls"].values()) == {1}
    assert len(pauses) == 2


def test_a_file_that_stays_unreadable_fails_alone_after_four_tries(
    flat: Path, tmp_path: Path, script: Any, decoding: dict[str, Any]
) -> None:
    decoding["30.png"] = [OSError(errno.EIO, "Input/output error")] * 9
    store = mine(flat, tmp_path / "a.zarr", SETTINGS, scheduler="sync", fitter=script.fitter)
    assert counts(store) == (7, 1, 0)
    assert store.errors == [(2, "30.png cannot be read (Input/output error).")]
    assert decoding["calls"]["30.png"] == 4


def test_what_is_wrong_with_a_crop_is_not_tried_again(flat: Path, tmp_path: Path, script: Any) -> None:
    script.set({20: ["refuse"] * 9})
    store = mine(flat, tmp_path / "a.zarr", SETTINGS, scheduler="sync", fitter=script.fitter)
    assert store.errors == [(1, "20.png: the crop is refused")]
    assert [script.calls(crop) for crop in range(10, 90, 10)] == [1] * 8


def test_failed_crops_are_tried_again_when_asked_and_no_others(
    flat: Path, tmp_path: Path, script: Any
) -> None:
    script.set({20: ["refuse"]})
    path, options = tmp_path / "a.zarr", {"scheduler": "sync", "fitter": script.fitter}
    assert counts(mine(flat, path, SETTINGS, **options)) == (7, 1, 0)
    assert counts(mine(flat, path, SETTINGS, **options)) == (7, 1, 0)
    assert counts(mine(flat, path, SETTINGS, retry_failed=True, **options)) == (8, 0, 0)
    assert [script.calls(crop) for crop in range(10, 90, 10)] == [1, 2, 1, 1, 1, 1, 1, 1]


def test_strict_stops_at_the_first_failed_crop(flat: Path, tmp_path: Path, script: Any) -> None:
    script.set({10: ["refuse"]})
    path, options = tmp_path / "a.zarr", {"scheduler": "sync", "fitter": script.fitter, "strict": True}
    for _ in range(2):  # it has failed for good
        with pytest.raises(RunError, match=r"strict=True: 10.png: the crop is refused"):
            mine(flat, path, SETTINGS, **options)
        assert counts(Store.open(path)) == (0, 1, 7)
    assert script.calls(10) == 1


class Interrupt(Callback):
    def on_chunk(self, progress: Progress) -> None:
        os.kill(os.getpid(), signal.SIGINT)


def test_ctrl_c_is_ctrl_c_with_strict_too(flat: Path, tmp_path: Path, script: Any) -> None:
    path = tmp_path / "a.zarr"
    with pytest.raises(KeyboardInterrupt):
        mine(
            flat,
            path,
            SETTINGS,
            scheduler="sync",
            fitter=script.fitter,
            strict=True,
            callback=Interrupt(),
        )
    assert counts(Store.open(path)) == (1, 0, 7)


def test_strict_does_not_begin_where_an_image_cannot_be_mined(
    flat: Path, tmp_path: Path, script: Any
) -> None:
    (flat / "text.png").write_text("not an image")
    with pytest.raises(RunError, match=r"strict=True: .*text.png is not a PNG"):
        mine(flat, tmp_path / "a.zarr", SETTINGS, scheduler="sync", fitter=script.fitter, strict=True)
    assert script.calls(10) == 0


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


def test_a_folder_that_goes_away_fails_no_crop(flat: Path, tmp_path: Path, script: Any) -> None:
    path, options = tmp_path / "a.zarr", {"scheduler": "sync", "fitter": script.fitter}

    class Lose(Callback):
        def on_plan(self, plan: Plan, store: Store) -> None:
            flat.rename(tmp_path / "elsewhere")

    with pytest.raises(RunError, match=f"cannot read the folder {flat}"):
        mine(flat, path, SETTINGS, callback=Lose(), **options)
    assert counts(Store.open(path)) == (0, 0, 8)


@pytest.mark.parametrize("name", ["../secret.png", "/etc/passwd", "a/../../secret.png"])
def test_a_task_cannot_lead_out_of_the_folder_of_images(
    name: str, flat: Path, decoding: dict[str, Any]
) -> None:
    (flat.parent / "secret.png").write_bytes((flat / "10.png").read_bytes())
    (crop,) = load_crops(flat, [(name, 0, 0)], 32)
    assert crop.pixels is None
    assert crop.error.endswith("it is not read.")
    assert not decoding["calls"]


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
    """One chunk of eight crops, of which one kills: first the chunk's workers, then its own."""
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
    """A GPU that has had an error gives no more than errors."""
    monkeypatch.setattr(worker, "check_worker", lambda backend: None)
    script.set({20: ["break"] * 9})
    options = {"scheduler": "sync", "fitter": script.fitter}
    assert mine(flat, tmp_path / "cpu.zarr", SETTINGS, **options).errors == [(1, "20.png: something broke")]
    with pytest.raises(RunError, match=r"GPU cannot be used \(something broke\): see to it"):
        mine(flat, tmp_path / "gpu.zarr", SETTINGS, device="cuda", **options)
    assert counts(Store.open(tmp_path / "gpu.zarr"))[1] == 0


def test_a_gpu_that_is_not_there_is_one_sentence(flat: Path, tmp_path: Path, script: Any) -> None:
    if os.path.exists("/dev/nvidia0"):
        pytest.skip("there is a GPU")
    with pytest.raises(RunError, match="sees no GPU"):
        mine(flat, tmp_path / "a.zarr", SETTINGS, device="cuda", scheduler="sync", fitter=script.fitter)
