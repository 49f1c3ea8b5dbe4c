"""Transient errors are retried, permanent ones are not; an error that ends a run loses nothing."""

from __future__ import annotations

import errno
import os
import signal
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from dgp_mining import retry as retry_module
from dgp_mining.callbacks import Callback
from dgp_mining.images.reader import ImageError, decode_image
from dgp_mining.images.reading import Reading
from dgp_mining.mining import mine
from dgp_mining.planning import crop_loader
from dgp_mining.planning.crop_loader import load_crops
from dgp_mining.planning.plan import Plan
from dgp_mining.planning.settings import Settings
from dgp_mining.retry import RunError, disk_is_full, is_transient, is_unreachable, retry
from dgp_mining.store.crop_results import DONE, FAILED, PENDING
from dgp_mining.store.store import Store, StoreError
from dgp_mining.workers.messages import Progress

SETTINGS = Settings(crop=32)


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds of each pause; no test pauses."""
    made: list[float] = []
    monkeypatch.setattr(retry_module, "time", SimpleNamespace(sleep=made.append))
    return made


@pytest.fixture
def decoding(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Errors to raise, by file name, and under 'calls' how often each file was decoded."""
    script: dict[str, Any] = {"calls": Counter()}

    def decode(path: Path, reading: Reading) -> Any:
        script["calls"][path.name] += 1
        if to_come := script.get(path.name):
            raise to_come.pop(0)
        return decode_image(path, reading)

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
    passing.append(FileNotFoundError(errno.ENOENT, "", "a.zarr/c/0.0a1b.partial"))
    full = [OSError(errno.ENOSPC, "full"), OSError(errno.EDQUOT, "quota")]
    for error in passing:
        assert is_transient(error)
        assert is_transient(caused_by(error))
    for error in lasting + full:
        assert not is_transient(error)
        assert not is_transient(caused_by(error))
    assert [disk_is_full(caused_by(error)) for error in full + passing] == [True] * 2 + [False] * 5


@pytest.mark.parametrize(
    "module", ["botocore.exceptions", "aiohttp.client", "urllib3.exceptions", "aiobotocore"]
)
def test_an_error_of_the_network_is_transient_and_says_nothing_of_the_data(module: str) -> None:
    error = type("EndpointConnectionError", (Exception,), {"__module__": module})()
    assert is_transient(caused_by(error))
    assert is_unreachable(caused_by(error))


def test_missing_and_damaged_data_are_not_unreachable() -> None:
    assert is_unreachable(PermissionError(errno.EACCES, "denied"))
    assert not is_unreachable(FileNotFoundError(errno.ENOENT, "missing"))
    assert not is_unreachable(ValueError("bad checksum"))


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


@pytest.mark.parametrize("number", [errno.ENOENT, errno.ESTALE, errno.EIO])
def test_a_chunk_whose_file_cannot_be_renamed_once_is_written_again(
    number: int, flat: Path, tmp_path: Path, script: Any, monkeypatch: pytest.MonkeyPatch, pauses: list[float]
) -> None:
    """As on network file systems, or if another run has swept away the temporary file of a slow one."""
    replace, failed = Path.replace, set()

    def fails_once(path: Path, target: Path) -> Path:
        about_to_create = target.name == "zarr.json" and not failed
        if (about_to_create or "status/c/" in str(target)) and target not in failed:
            failed.add(target)
            raise OSError(number, os.strerror(number), str(path))
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", fails_once)
    store = mine(flat, tmp_path / "a.zarr", SETTINGS, scheduler="sync", fitter=script.fitter)
    assert counts(store) == (8, 0, 0)
    assert len(pauses) == len(failed) == 9
    assert not list(tmp_path.rglob("*.partial"))


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
    with pytest.raises(RunError, match=r"strict=True: .*text.png is not an image"):
        mine(flat, tmp_path / "a.zarr", SETTINGS, scheduler="sync", fitter=script.fitter, strict=True)
    assert script.calls(10) == 0


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
