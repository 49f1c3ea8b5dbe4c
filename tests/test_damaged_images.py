"""Whatever is wrong with some images of a folder, every command names each of them and goes on: status 3."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner
from PIL import Image

from dgp_mining.cli import main as dgp_mine
from sr_model.cli.evaluate import main as sr_eval
from sr_model.cli.upscale import main as sr_upscale
from tests.small_images import damaged_images, unwritable_exif


@pytest.fixture(scope="module")
def damaged() -> dict[str, bytes]:
    return damaged_images()


@pytest.fixture
def folder(tmp_path: Path, damaged: dict[str, bytes], monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of files that cannot be read, and of two pictures, one of them with damaged EXIF."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "images"
    folder.mkdir()
    for name, content in damaged.items():
        (folder / name).write_bytes(content)
    Image.effect_noise((32, 32), 50).convert("RGB").save(folder / "whole.png")
    Image.effect_noise((32, 32), 60).convert("RGB").save(folder / "exif.tif", exif=unwritable_exif())
    return folder


def output(command, *arguments: object) -> str:
    """What a command prints that finishes with failures."""
    result = CliRunner().invoke(command, [str(argument) for argument in arguments])
    assert result.exit_code == 3, result.output
    assert isinstance(result.exception, SystemExit)
    assert "Traceback" not in result.output
    return result.output


def test_sr_upscale(folder: Path, damaged: dict[str, bytes]) -> None:
    said = output(sr_upscale, folder, "--scale", "2", "--out", "large", "--format", "tiff")
    failed = [line for line in said.splitlines() if line.startswith("failed: ")]
    assert len(failed) == len(damaged)
    assert all(any(f"{folder}/{name} " in line for line in failed) for name in damaged)
    assert sorted(path.name for path in Path("large").iterdir()) == ["exif.tif", "whole.tif"]
    assert "large/exif.tif: damaged EXIF cannot be written to TIFF, left out" in said
    assert f"{len(damaged)} of {len(damaged) + 2} images failed" in said


def test_sr_eval(folder: Path, damaged: dict[str, bytes]) -> None:
    said = output(sr_eval, "--images", folder, "--scales", "2")
    skipped = [line for line in said.splitlines() if line.startswith("skipped: ")]
    assert all(any(f"{folder}/{name} " in line for line in skipped) for name in damaged)
    assert "mean of 2" in said


def test_dgp_mine_images(folder: Path, damaged: dict[str, bytes]) -> None:
    said = output(dgp_mine, "images", folder, "--decode")
    assert f"{len(damaged)} of them cannot be read" in said
    assert all(f"{folder}/{name}" in said for name in damaged)


def test_dgp_mine_fit(folder: Path, damaged: dict[str, bytes]) -> None:
    # Some headers are whole; those of images that are large enough fail when they are decoded.
    said = output(
        dgp_mine, "fit", "--images", folder, "--crop", 16, "--scheduler", "sync", "--store", "a.zarr"
    )
    assert all(name in said for name in damaged)
    assert "8 of " in said
    assert " crops done" in said
