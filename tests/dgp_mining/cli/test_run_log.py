"""The log records a run's settings, the outcome of each chunk, and what failed and why; runs append to it."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest
from click.testing import CliRunner
from PIL import Image

from dgp_mining.cli import main
from dgp_mining.cli.run_log import RunLog, default_log


def fit(*options: object) -> tuple[int, str]:
    """Exit status and stderr of a small real run."""
    arguments = ["fit", "--crop", 32, "--iterations", 2, "--scheduler", "sync", "--images", *options]
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    return result.exit_code, result.stderr


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """One good image, one with an alpha channel, and a broken one."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "images"
    folder.mkdir()
    Image.new("RGB", (64, 32), "grey").save(folder / "good.png")
    Image.new("RGBA", (32, 32), "grey").save(folder / "alpha.png")
    Image.effect_noise((32, 32), 50).save(folder / "zcut.png")
    (folder / "zcut.png").write_bytes((folder / "zcut.png").read_bytes()[:600])
    return folder


def test_a_run_is_told_line_by_line(folder: Path) -> None:
    assert fit(folder)[0] == 3
    lines = Path("dgp.zarr.log").read_text().splitlines()
    assert all(re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \S", line) for line in lines)
    said = [line[20:] for line in lines]
    assert said[0].startswith("start: dgp.zarr, 4 crops of 3 images in ")
    assert json.loads(said[1].removeprefix("settings: "))["crop"] == 32
    assert json.loads(said[2].removeprefix("versions: ")).keys() >= {"torch", "numpy", "dgp-mining"}
    chunks = [line for line in said if line.startswith("chunk ")]
    assert len(chunks) == 4
    assert all(re.match(r"chunk [0-9a-f]{16}/\d: ", line) for line in chunks)
    assert sum(": 1 fitted, " in line for line in chunks) == 3
    assert "warning: alpha.png: the alpha channel is dropped" in said
    (failed,) = [line for line in said if line.startswith("failed: ") and "zcut.png cannot be" in line][:1]
    assert str(folder) not in failed
    assert any(line.startswith("end: ") and "3 of 4 crops done" in line for line in said)


def test_runs_append_and_the_log_can_be_elsewhere(folder: Path, tmp_path: Path) -> None:
    log = tmp_path / "runs.log"
    fit(folder, "--log", log)
    once = log.read_text()
    fit(folder, "--log", log)
    assert log.read_text().startswith(once)
    assert log.read_text().count(" start: ") == 2
    assert not Path("dgp.zarr.log").exists()


def test_what_ends_a_run_is_in_the_log(folder: Path) -> None:
    status, said = fit(folder, "--strict")
    assert status == 1
    assert "Error: Stopped by --strict: zcut.png cannot be decoded" in said
    assert " end: stopped: Stopped by --strict: zcut.png" in Path("dgp.zarr.log").read_text()


def test_a_log_that_cannot_be_written_is_one_sentence(folder: Path, tmp_path: Path) -> None:
    status, said = fit(folder, "--log", tmp_path / "none" / "runs.log")
    assert status == 1
    assert said.splitlines()[-1].startswith(
        f"Error: The log {tmp_path}/none/runs.log cannot be written (No such"
    )
    assert not Path("dgp.zarr").exists()


def test_the_log_of_a_remote_store_is_here() -> None:
    assert default_log("runs/a.zarr/") == Path("runs/a.zarr.log")
    assert default_log("s3://bucket/runs/a.zarr") == Path("a.zarr.log")


def test_the_log_is_never_written_through_a_link(flat: Path, tmp_path: Path) -> None:
    """Somebody else may have left one in a folder that is shared."""
    (tmp_path / "victim").write_text("theirs")
    (tmp_path / "a.zarr.log").symlink_to(tmp_path / "victim")
    status, said = fit(flat, "--store", tmp_path / "a.zarr")
    assert status == 1
    assert "a.zarr.log cannot be written (it is a link): name another with --log.\n" in said
    assert (tmp_path / "victim").read_text() == "theirs"
    assert not (tmp_path / "a.zarr").exists()


def test_the_log_is_no_pipe_which_would_wait_for_a_reader(flat: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "log")
    status, said = fit(flat, "--store", tmp_path / "a.zarr", "--log", tmp_path / "log")
    assert status == 1
    assert "log cannot be written" in said


def test_the_log_may_go_nowhere() -> None:
    log = RunLog("/dev/null")
    log.check()
    log.started = True
    log.write("A line.")
    assert Path("/dev/null").is_char_device()
