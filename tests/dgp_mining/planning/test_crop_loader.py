"""A folder of all kinds of bad files among good ones is mined to the end, and each is explained."""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from click.testing import CliRunner
from PIL import Image

from dgp_mining.cli import main
from dgp_mining.images.paths import printable_name

SIDE = 48
"""Side of the images in pixels; crops have 32."""


def noise(dtype: type = np.uint8, *shape: int) -> np.ndarray:
    return np.random.default_rng(5).integers(0, np.iinfo(dtype).max, shape or (SIDE, SIDE, 3), dtype)


def encoded(path: Path, **options: object) -> bytes:
    """The good file that `path` might have been."""
    Image.fromarray(noise()).save(path, **options)
    return path.read_bytes()


def with_byte(content: bytes, at: int, value: int) -> bytes:
    return content[:at] + bytes([value]) + content[at + 1 :]


def png_claiming(width: int, height: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")

    size = width.to_bytes(4, "big") + height.to_bytes(4, "big")
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", size + bytes([8, 2, 0, 0, 0])) + chunk(b"IDAT", b"")


def tiff(values: np.ndarray, **options: object) -> Callable[[Path], None]:
    return lambda path: tifffile.imwrite(path, values, **options)


POISON: dict[str, tuple[Callable[[Path], object], str]] = {
    "empty.png": (Path.touch, "is empty"),
    "text.jpg": (lambda path: path.write_text("not an image"), "is not an image"),
    "zeros.tif": (lambda path: path.write_bytes(bytes(1000)), "is not an image"),
    "html.png": (lambda path: path.write_text("<html><body>404</body></html>"), "is not an image"),
    "cut.png": (lambda path: path.write_bytes(encoded(path)[:2000]), "cannot be decoded"),
    "cut.jpg": (lambda path: path.write_bytes(encoded(path)[:1500]), "cannot be decoded"),
    "cut.bmp": (lambda path: path.write_bytes(encoded(path)[:2000]), "ends before its pixels do"),
    "cut.webp": (lambda path: path.write_bytes(encoded(path, lossless=True)[:2000]), "cannot be decoded"),
    "cut.jp2": (lambda path: path.write_bytes(encoded(path)[:700]), "ends before its pixels do"),
    "cut.tif": (lambda path: path.write_bytes(encoded(path)[:2000]), "ends before its pixels do"),
    "head.png": (lambda path: path.write_bytes(encoded(path)[:20]), "is a damaged PNG"),
    "flipped.png": (lambda path: path.write_bytes(with_byte(encoded(path), 60, 0)), "cannot be decoded"),
    "bomb.png": (lambda path: path.write_bytes(png_claiming(1_000_000, 1_000_000)), "has more than"),
    "flat.png": (lambda path: path.write_bytes(png_claiming(1000, 0)), "has 1000x0 pixels"),
    "tiny.png": (lambda path: Image.new("RGB", (31, 400)).save(path), "smaller than a crop of 32"),
    "nan.tif": (tiff(np.full((SIDE, SIDE), np.nan, np.float32)), "not finite"),
    "inf.tif": (tiff(np.full((SIDE, SIDE), np.inf, np.float64)), "not finite"),
    "kelvin.tif": (tiff(np.full((SIDE, SIDE), 293.15, np.float32)), "floats from 293.15"),
    "signed.tif": (
        tiff(np.full((SIDE, SIDE), -5, np.int16)),
        "integers of 16 bits, for which the value of white is unknown",
    ),
    "counts.tif": (
        tiff(np.full((SIDE, SIDE), 70_000, np.uint32)),
        "integers of 32 bits, for which the value of white is unknown",
    ),
    "complex.tif": (tiff(np.full((SIDE, SIDE), 1j, np.complex64)), "complex numbers"),
    "bands.tif": (
        tiff(noise(np.uint8, SIDE, SIDE, 12), photometric="minisblack", planarconfig="contig"),
        "has 12 channels, but at most 8",
    ),
    "pipe.png": (os.mkfifo, "is a pipe"),
    "device.png": (lambda path: path.symlink_to("/dev/zero"), "a device"),
    "dangling.png": (lambda path: path.symlink_to("nowhere.png"), "is a link that leads nowhere"),
    "l\udce4rm.png": (lambda path: path.write_bytes(encoded(path.with_name("n.png"))), "unprintable"),
    "new\nline.png": (lambda path: path.write_bytes(encoded(path.with_name("n.png"))), "unprintable"),
    "loop.png": (lambda path: path.symlink_to(path.name), "is a link that leads back to itself"),
}
"""Bad files: how to make each, and what its message must contain."""

GOOD = ("a.png", "more/b.tif", "folder.png/c.jpg")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The poisoned folder."""
    folder = tmp_path / "my\u00a0new\nphotos"
    for name in GOOD:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(noise()).save(folder / name)
    for name, (make, _) in POISON.items():
        make(folder / name)
    (folder / "n.png").unlink()
    (folder / "again").symlink_to(folder)
    return folder


def run(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.stdout


def test_a_poisoned_folder_is_mined_to_the_end(folder: Path, tmp_path: Path) -> None:
    store = tmp_path / "a.zarr"
    options = ["--crop", 32, "--iterations", 2, "--scheduler", "sync"]
    status, _ = run("fit", "--images", folder, "--store", store, *options)
    assert status == 3
    summary = json.loads(run("status", "--store", store, "--json")[1])
    said = {failed["image"]: failed["error"] for failed in summary["failures"] + summary["skipped"]}
    assert not [failed["error"] for failed in summary["failures"] if tmp_path.name in failed["error"]]
    assert summary["failures"]
    for name, (_, reason) in POISON.items():
        assert reason in said.pop(printable_name(name)), name
    assert not said, "what is good was said to be bad"
    assert summary["pending"] == 0
    assert summary["done"] == len(GOOD)


def test_what_is_left_out_of_good_images_is_said_once_and_logged_for_each(tmp_path: Path) -> None:
    for number, name in enumerate(("a.png", "b.png", "c.png")):
        Image.fromarray(noise(np.uint8, SIDE, SIDE, 4) ^ np.uint8(number)).save(tmp_path / name)
    options = [
        "--crop",
        "16",
        "--iterations",
        "2",
        "--scheduler",
        "sync",
        "--store",
        str(tmp_path / "a.zarr"),
    ]
    result = CliRunner().invoke(main, ["fit", "--images", str(tmp_path), *options])
    assert result.exit_code == 0
    assert result.stderr.count("the alpha channel is dropped") == 1
    log = (tmp_path / "a.zarr.log").read_text()
    assert all(f"warning: {name}.png: the alpha channel is dropped" in log for name in "abc")


def test_a_folder_of_nothing_but_poison_is_refused_in_one_sentence(folder: Path, tmp_path: Path) -> None:
    for name in GOOD:
        (folder / name).unlink()
    for name, (_, _) in POISON.items():
        if name != "text.jpg":
            (folder / name).unlink()
    result = CliRunner().invoke(main, ["fit", "--images", str(folder), "--store", str(tmp_path / "a.zarr")])
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: No image in ")
    assert "text.jpg is not an image" in result.stderr
    assert not (tmp_path / "a.zarr").exists()
