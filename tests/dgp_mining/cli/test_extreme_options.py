"""Numbers that no machine can use are refused at once, by the option's name."""

from __future__ import annotations

from pathlib import Path

import pytest
from dgp_mine import run
from PIL import Image

from dgp_mining import machine
from dgp_mining.planning.settings import Settings
from dgp_mining.workers import memory
from dgp_mining.workers.memory import check_memory


@pytest.fixture
def images(tmp_path: Path) -> Path:
    (tmp_path / "images").mkdir()
    Image.new("RGB", (64, 64), "gray").save(tmp_path / "images/a.png")
    return tmp_path / "images"


@pytest.mark.parametrize("option", ["--crop", "--max-crops", "--iterations", "--workers", "--seed"])
@pytest.mark.parametrize("value", ["9" * 20, "9" * 400, "-1", "nan", "1e9", "0x10", "9" * 5000])
def test_whole_numbers_beyond_use_are_refused(images: Path, option: str, value: str) -> None:
    done = run("fit", "--images", images, "--store", images.parent / "a.zarr", option, value)
    assert done.exit_code == 2
    assert option in done.stderr.splitlines()[-1]
    assert not (images.parent / "a.zarr").exists()


@pytest.mark.parametrize("option", ["--density", "--held-out-share", "--target-psnr"])
@pytest.mark.parametrize("value", ["1e999", "-1", "nan", "inf", "-inf", "x"])
def test_numbers_beyond_use_are_refused(images: Path, option: str, value: str) -> None:
    done = run("fit", "--images", images, "--store", images.parent / "a.zarr", option, value)
    assert done.exit_code == 2
    assert option in done.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    ("command", "option"),
    [
        (["dictionary", "build"], "--kernels"),
        (["dictionary", "build"], "--seed"),
        (["fit", "--images", "."], "--snapshots"),
        (["fit", "--images", "."], "--window"),
        (["fit", "--images", "."], "--white"),
        (["images", "."], "--slice"),
        (["export-field", "--out", "a.png"], "--index"),
    ],
)
def test_so_they_are_in_every_command(command: list[str], option: str) -> None:
    for value in ("-1", "nan", "9" * 5000):
        done = run(*command, option, value)
        assert done.exit_code in (1, 2)
        last = done.stderr.splitlines()[-1]
        assert last.startswith("Error: ")
        assert len(last) < 1000


def test_a_crop_or_workers_that_memory_does_not_hold_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "available_memory", lambda: 4_000_000_000)
    check_memory(Settings(crop=4096), "local", workers=20)
    with pytest.raises(
        ValueError, match=r"crop=16384 and density=4 takes .* GB of memory, and 4.0 GB are free"
    ):
        check_memory(Settings(crop=16384, density=4), "sync")
    with pytest.raises(ValueError, match=r"workers=21 do not fit into memory: there is room for 20 here"):
        check_memory(Settings(), "local", workers=21)
    check_memory(Settings(crop=16384, density=4), "tcp://10.0.0.1:8786")


def test_workers_are_refused_before_images_are_looked_for(images: Path) -> None:
    most = machine.available_memory() // memory.IMPORTS
    done = run("fit", "--images", images / "none", "--workers", most + 1000)
    assert done.exit_code == 2
    assert "do not fit into memory" in done.stderr
    assert "--workers" in done.stderr
