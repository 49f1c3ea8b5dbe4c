"""A store that is overwritten stays until the new one has fitted crops, whatever ends the run before."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from dgp_mining import Callback, Settings, mine
from dgp_mining.cli import main as dgp_mine
from dgp_mining.mining import open_store, plan_run
from dgp_mining.retry import RunError
from dgp_mining.store.location import Location
from dgp_mining.store.set_aside import Replacement
from dgp_mining.store.store import DONE, Store, StoreError

SETTINGS = Settings(crop=16, max_crops=4)
OTHERS = Settings(crop=32, max_crops=3)
HOW = {"scheduler": "sync", "overwrite": True}


@pytest.fixture
def store(flat: Path, tmp_path: Path, fitter: str) -> Path:
    """A finished store of four crops."""
    folder = tmp_path / "stores"
    folder.mkdir()
    mine(flat, folder / "a.zarr", SETTINGS, scheduler="sync", fitter=fitter)
    return folder / "a.zarr"


def assert_former(store: Path) -> None:
    """The finished store is there, and nothing beside it."""
    assert Store.open(store).status.tolist() == [DONE] * 4
    assert [path.name for path in store.parent.iterdir() if path.suffix != ".log"] == [store.name]


class Ends(Callback):
    """Ends a run with an error when its store is open, and notes what it is told."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error
        self.undone: list[str] = []

    def on_plan(self, plan: object, store: Store) -> None:
        assert not (store.status == DONE).any()
        if self.error:
            raise self.error

    def on_undone(self, store: str) -> None:
        self.undone.append(store)


@pytest.mark.parametrize("error", [RunError("The log cannot be written."), KeyboardInterrupt()])
def test_a_run_that_ends_before_its_first_crop_leaves_the_former_store(
    flat: Path, store: Path, fitter: str, error: BaseException
) -> None:
    callback = Ends(error)
    with pytest.raises(type(error)):
        mine(flat, store, OTHERS, **HOW, fitter=fitter, callback=callback)
    assert callback.undone == [str(store)]
    assert_former(store)


def test_a_disk_that_is_full_for_the_new_store_leaves_the_former_one(
    flat: Path, store: Path, fitter: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Location, "write", full)
    with pytest.raises((StoreError, RunError), match=r"room|No space"):
        mine(flat, store, OTHERS, **HOW, fitter=fitter)
    assert_former(store)


def test_crops_that_all_fail_under_strict_leave_the_former_store(
    flat: Path, store: Path, fitter: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: object, **settings: object) -> None:
        raise ValueError("the crop is refused")

    monkeypatch.setattr(sys.modules[fitter], "fit_image", refuse)
    with pytest.raises(RunError, match="the crop is refused"):
        mine(flat, store, OTHERS, **HOW, strict=True, fitter=fitter)
    assert_former(store)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        pytest.param(["--scheduler", "tcp://127.0.0.1:9"], "tcp://127.0.0.1:9", marks=pytest.mark.slow),
        (["--log", "none/run.log"], "none/run.log"),
        (["--images", "none"], "none"),
        (["--density", "-1"], "density"),
        (["--scheduler", "gpu"], "GPU"),
    ],
    ids=lambda value: value[-1] if isinstance(value, list) else "",
)
def test_a_run_that_cannot_start_leaves_the_former_store(
    flat: Path, store: Path, options: list[str], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.chdir(store.parent)
    images = [] if "--images" in options else ["--images", str(flat)]
    given = ["fit", *images, "--store", str(store), "--crop", "32", "--overwrite", *options]
    result = CliRunner().invoke(dgp_mine, given)
    assert result.exit_code in (1, 2)
    assert said in result.stderr.splitlines()[-1]
    assert_former(store)


def test_a_run_that_goes_well_leaves_only_the_new_store(flat: Path, store: Path, fitter: str) -> None:
    seen = []

    class Look(Callback):
        def on_plan(self, plan: object, opened: Store) -> None:
            seen.append(sorted(path.name for path in store.parent.iterdir()))

        def on_chunk(self, progress: object) -> None:
            seen.append(sorted(path.name for path in store.parent.iterdir()))

    found = mine(flat, store, OTHERS, **HOW, fitter=fitter, callback=Look())
    assert found.status.tolist() == [DONE] * 3
    assert seen == [["a.zarr", "a.zarr.former"], *[["a.zarr"]] * (len(seen) - 1)]


def killed_before_its_first_crop(flat: Path, store: Path, fitter: str) -> None:
    """Leave what a run leaves that is killed outright between opening its store and its first crop."""
    replacement = Replacement(store)
    replacement.begin()
    open_store(store, plan_run(flat, OTHERS))
    assert sorted(path.name for path in store.parent.iterdir()) == ["a.zarr", "a.zarr.former"]


def test_after_a_kill_the_former_store_is_still_the_one_to_replace(
    flat: Path, store: Path, fitter: str
) -> None:
    killed_before_its_first_crop(flat, store, fitter)
    with pytest.raises(RunError):
        mine(flat, store, OTHERS, **HOW, fitter=fitter, callback=Ends(RunError("Again.")))
    assert_former(store)
    killed_before_its_first_crop(flat, store, fitter)
    assert mine(flat, store, OTHERS, **HOW, fitter=fitter).status.tolist() == [DONE] * 3
    assert [path.name for path in store.parent.iterdir()] == ["a.zarr"]


def test_after_a_kill_a_run_that_goes_on_says_where_the_former_store_is(
    flat: Path, store: Path, fitter: str
) -> None:
    killed_before_its_first_crop(flat, store, fitter)
    said: list[str] = []

    class Listen(Callback):
        def on_message(self, text: str) -> None:
            said.append(text)

    mine(flat, store, OTHERS, scheduler="sync", fitter=fitter, callback=Listen())
    assert any(f"{store}.former is the store" in text for text in said)
    assert Store.open(f"{store}.former").status.tolist() == [DONE] * 4


def test_something_else_under_the_name_of_the_former_store_is_left(
    flat: Path, store: Path, fitter: str
) -> None:
    other = store.with_name("a.zarr.former")
    other.mkdir()
    (other / "mine.txt").write_text("mine")
    with pytest.raises(StoreError, match=r"a\.zarr\.former"):
        mine(flat, store, OTHERS, **HOW, fitter=fitter)
    assert (other / "mine.txt").read_text() == "mine"
    assert Store.open(store).status.tolist() == [DONE] * 4


def test_a_run_that_is_stopped_at_once_says_that_the_former_store_is_back(
    flat: Path, store: Path, fitter: str
) -> None:
    program = (
        "import functools, dgp_mining.mining as m; m.mine = functools.partial(m.mine, fitter='fake_fitter');"
        "from dgp_mining.entry import dgp_mine; dgp_mine()"
    )
    command = [sys.executable, "-c", program, "fit", "--images", str(flat), "--store", str(store)]
    command += ["--crop", "32", "--scheduler", "sync", "--overwrite"]
    environment = {**os.environ, "FAKE_FIT_SECONDS": "1000"}
    run = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
    while not (store.with_name("a.zarr.former").exists() and Store.exists(store)):
        assert run.poll() is None, run.stderr.read()
        time.sleep(0.05)
    run.send_signal(signal.SIGHUP)
    time.sleep(0.5)
    run.send_signal(signal.SIGINT)
    said = run.communicate(timeout=60)[1]
    # By SIGHUP, if it came before the first crop was begun: then nothing was in progress to be finished.
    assert run.returncode in (128 + signal.SIGHUP, 128 + signal.SIGINT), said
    assert f"Nothing was fitted, and {store} is the store that it was.\n" in said
    assert said.endswith("Interrupted before the first crop.\n")
    assert_former(store)
