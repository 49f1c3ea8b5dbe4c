"""A program: runs every command that writes, with its output on a full disk, and prints what came of it.

It is given the folder of a small file system and one for everything else, and prints a JSON object: by the
name of a case [exit status, error output, what the output held before, what it holds after, names beside it].
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import click
import numpy as np
from click.testing import CliRunner
from PIL import Image

from dgp_mining import Settings, mine
from dgp_mining.cli import main as dgp_mine
from dgp_mining.prior.dictionary import Dictionary
from sr_model.cli.convert import main as sr_convert
from sr_model.cli.evaluate import main as sr_eval
from sr_model.cli.train import main as sr_train
from sr_model.cli.upscale import main as sr_upscale
from sr_model.image_io import writer

sys.path.insert(0, str(Path(__file__).parent / "sr_model"))
from released import Released

LEFT = 1 << 12
"""Bytes that are free: one page, so that most outputs begin to be written."""

SMALL = ["--set", "network.width=8", "--set", "network.depth=1", "--set", "training.batch=2"]
SMALL += ["--set", "training.crop=8", "--set", "training.scales=2,2", "--steps", "2", "--preset", "demo"]


def inputs(folder: Path) -> None:
    """What the commands read: images, two stores, released weights, a prior and a run."""
    random = np.random.default_rng(0)
    for name in ("images/a.png", "sets/Set5/a.png", "sets/Set5/b.png"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(random.integers(0, 256, (48, 64, 3), np.uint8)).save(folder / name)
    settings = Settings(crop=32, iterations=2, keep_fields=True)
    for name in ("a.zarr", "b.zarr"):
        mine(folder / "images", folder / name, settings, scheduler="sync")
    Released("continuoussr-swinir").save_continuoussr(folder / "released.pth")
    Dictionary.reference().save(folder / "prior.npz")


def fill(disk: Path, left: int) -> None:
    """Leave so many bytes free."""
    filler = disk / "filler"
    filler.unlink(missing_ok=True)
    with filler.open("wb", buffering=0) as file:
        free = shutil.disk_usage(disk).free
        file.write(bytes(max(0, free - left)))


def digest(path: Path) -> str:
    """Of a file, or of all files of a folder."""
    if path.is_dir():
        files = (one for one in sorted(path.rglob("*")) if one.is_file())
        return " ".join(f"{one.relative_to(path)}:{digest(one)}" for one in files)
    return hashlib.sha256(path.read_bytes()).hexdigest()[:8] if path.is_file() else ""


def case(
    disk: Path, command: click.Command, out: str, arguments: list[str], left: int, store: Path | None
) -> list:
    for path in disk.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    target = disk / out
    if store:
        shutil.copytree(store, target)
    elif target.suffix not in ("", ".zarr"):
        target.write_bytes(b"former " * 500)
    fill(disk, left)
    before = digest(target)
    result = CliRunner().invoke(command, arguments)
    beside = sorted(path.name for path in disk.iterdir() if path.name not in ("filler", Path(out).parts[0]))
    failed = result.exception is not None and not isinstance(result.exception, SystemExit)
    said = result.stderr + (f"Traceback: {result.exception!r}" if failed else "")
    return [result.exit_code, said, before, digest(target), beside]


def cases(inputs: Path, disk: Path) -> dict[str, tuple]:
    """By name, (command, output, arguments, bytes that are free, the store that the output is at first)."""
    found: dict[str, tuple] = {}

    def add(name: str, command: click.Command, out: str, *arguments: object, left: int = LEFT) -> None:
        found[name] = (
            command,
            out,
            [*map(str, arguments)],
            left,
            inputs / "a.zarr" if name == "fit --overwrite" else None,
        )

    prior, image, store = inputs / "prior.npz", inputs / "images/a.png", inputs / "a.zarr"
    build = ["dictionary", "build", "--store", store, "--kernels", 8, "--out"]
    add("dictionary build", dgp_mine, "a.npz", *build, disk / "a.npz", left=0)
    imported = ["dictionary", "import", "--released", "--overwrite", "--out"]
    add("dictionary import", dgp_mine, "a.npz", *imported, disk / "a.npz")
    for suffix in ("npy", "csv"):
        out = disk / f"a.{suffix}"
        add(f"dictionary export .{suffix}", dgp_mine, out.name, "dictionary", "export", prior, "--out", out)
    for suffix in ("png", "pdf", "svg"):
        out = disk / f"a.{suffix}"
        add(f"dictionary show .{suffix}", dgp_mine, out.name, "dictionary", "show", prior, "--plot", out)
    report = ["report", "--store", store, "--prior", prior, "--out"]
    add("report", dgp_mine, "a.html", *report, disk / "a.html")
    for suffix in ("png", "safetensors", "ply"):
        out = disk / f"a.{suffix}"
        export = ["export-field", "--store", store, "--index", 0, "--out", out]
        add(f"export-field .{suffix}", dgp_mine, out.name, *export, left=0)
    add("merge", dgp_mine, "m.zarr", "merge", store, inputs / "b.zarr", "--out", disk / "m.zarr", left=0)
    fit = ["fit", "--images", inputs / "images", "--crop", 16, "--iterations", 2, "--scheduler", "sync"]
    fit += ["--log", inputs / "log", "--store"]
    add("fit", dgp_mine, "new.zarr", *fit, disk / "new.zarr", left=0)
    add("fit --overwrite", dgp_mine, "old.zarr", *fit, disk / "old.zarr", "--overwrite", left=0)
    for suffix in ("png", "jpg", "webp", "tif"):
        out = disk / f"a.{suffix}"
        upscale = [image, "--scale", 3, "--overwrite", "--out", out]
        add(f"sr-upscale .{suffix}", sr_upscale, out.name, *upscale)
    saved = ["--save-field", disk / "a.safetensors", "--scale", 2, "--overwrite", "--out", inputs / "x.png"]
    add("sr-upscale --save-field", sr_upscale, "a.safetensors", image, *saved)
    folder = ["--scale", 3, "--out", disk / "many"]
    add("sr-upscale of a folder", sr_upscale, "many", inputs / "images", *folder)
    pictures = ["--images", inputs / "images", "--scales", 2, "--save", disk / "pictures"]
    add("sr-eval --save", sr_eval, "pictures", *pictures)
    tables = ["--suite", inputs / "sets", "--scales", 2, "--save-table", disk / "a.md"]
    add("sr-eval --save-table", sr_eval, "a.md", *tables, left=0)
    convert = [inputs / "released.pth", "--overwrite", "--out"]
    add("sr-convert", sr_convert, "a.safetensors", *convert, disk / "a.safetensors")
    train = ["--prior", prior, "--images", inputs / "images", "--cache", inputs / "cache", *SMALL, "--out"]
    add("sr-train settings", sr_train, "run", *train, disk / "run", left=0)
    add("sr-train", sr_train, "run", *train, disk / "run", left=1 << 14)
    add("sr-train --dry-run", sr_train, "run", *train, disk / "run", "--dry-run")
    add(
        "sr-train --cache",
        sr_train,
        "cache",
        *train[:4],
        "--cache",
        disk / "cache",
        *SMALL,
        "--out",
        inputs / "r",
    )
    return found


def main() -> None:
    disk, elsewhere = (Path(argument) for argument in sys.argv[1:3])
    made = elsewhere / "inputs"
    made.mkdir()
    inputs(made)

    # What is known to be too large is refused before; here, writing is tried.
    writer.shutil = SimpleNamespace(disk_usage=lambda path: SimpleNamespace(free=1 << 40))
    print(json.dumps({name: case(disk, *one) for name, one in cases(made, disk).items()}))


if __name__ == "__main__":
    main()
