"""A folder of a run belongs to one training at a time, and to none once that has ended, however it has."""

from __future__ import annotations

import errno
import logging
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from dgp_mining.images.paths import list_images
from dgp_mining.prior.dictionary import Dictionary
from sr_model import Budget, Preset, TrainingCallback, TrainingError, train
from sr_model.training import run_folder as module
from sr_model.training.run_folder import LOCK, run_folder
from sr_model.training.state import STATE

HOLD = """
import sys, time
from pathlib import Path
from sr_model.training.run_folder import run_folder
with run_folder(Path(sys.argv[1]), False):
    print("held", flush=True)
    time.sleep(60)
"""


def enter(out: Path, resume: bool = False) -> None:
    with run_folder(out, resume):
        pass


@pytest.mark.parametrize("resume", [False, True])
def test_a_second_training_is_refused_while_the_first_runs(
    photographs: Path, dictionary: Dictionary, tiny: Preset, tmp_path: Path, resume: bool
) -> None:
    out, refused = tmp_path / "run", []

    class Second(TrainingCallback):
        def on_step(self, done: object) -> None:
            with pytest.raises(TrainingError) as error:
                train(dictionary, list_images(photographs), tiny, out, resume=resume)
            refused.append(str(error.value))

    train(dictionary, list_images(photographs), tiny, out, budget=Budget(steps=1), callbacks=[Second()])
    assert refused == [
        f"Another training is running in {out}: wait for its end, or name another folder with out=."
    ]
    assert (out / STATE).is_file()
    assert not (out / LOCK).exists()


def test_a_training_that_is_killed_leaves_its_folder_free(tmp_path: Path) -> None:
    out = tmp_path / "run"
    held = subprocess.Popen([sys.executable, "-c", HOLD, str(out)], stdout=subprocess.PIPE, text=True)
    assert held.stdout is not None
    assert held.stdout.readline() == "held\n"
    with pytest.raises(TrainingError, match="Another training is running"):
        enter(out)
    held.send_signal(signal.SIGKILL)
    held.communicate()
    enter(out)


def test_a_file_system_without_locks_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def no_locks(*arguments: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(module.fcntl, "flock", no_locks)
    with caplog.at_level(logging.WARNING):
        enter(tmp_path / "run")
    assert "cannot be locked (No locks available): start no other training there" in caplog.text


def test_a_lock_that_is_removed_as_it_is_taken_keeps_nobody_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first training ends between the second's opening and locking of the file."""
    out, opened = tmp_path / "run", module._open
    calls = []

    def open_late(folder: Path) -> int:
        lock = opened(folder)
        calls.append(lock)
        if len(calls) == 1:
            os.unlink(folder / LOCK)
        return lock

    monkeypatch.setattr(module, "_open", open_late)
    with run_folder(out, False), pytest.raises(TrainingError, match="Another training is running"):
        enter(out)
    assert len(calls) == 3


def test_a_planted_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / LOCK).symlink_to(tmp_path / "victim")
    with pytest.raises(TrainingError, match=r"run cannot be written"):
        enter(tmp_path / "run")
    assert not (tmp_path / "victim").exists()


def test_what_is_refused_makes_no_folder(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="no training to resume"):
        enter(tmp_path / "run", resume=True)
    assert not os.path.exists(tmp_path / "run")
