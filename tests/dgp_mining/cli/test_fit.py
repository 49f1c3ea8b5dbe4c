"""`dgp-mine` reaches the library with exactly its options; an error is one sentence, never a traceback."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
import tifffile
from dgp_mine import one_sentence, run
from PIL import Image

from dgp_mining import cli, mining
from dgp_mining.fitting.generation import GENERATION
from dgp_mining.fitting.recipes import RECIPES, make_recipe
from dgp_mining.images.reading import TONES
from dgp_mining.mining import mine
from dgp_mining.planning.settings import Settings
from dgp_mining.prior.condense import METHODS
from dgp_mining.report.fitted_crops import fitted_crop
from dgp_mining.store import versions
from dgp_mining.store.store import Chunk, Store
from dgp_mining.workers import dask_cluster


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The arguments that reach `mine`, which then behaves as if interrupted."""
    recorded: list[dict[str, Any]] = []

    def record(images: str, store: str, settings: Settings, **options: Any) -> None:
        recorded.append({"images": images, "store": store, "settings": settings, **options})
        raise KeyboardInterrupt

    monkeypatch.setattr(mining, "mine", record)
    return recorded


def test_fit_alone_uses_the_defaults_of_the_library(calls: list[dict[str, Any]]) -> None:
    assert run("fit", "--images", "DIV2K/").exit_code == 130
    (call,) = calls
    assert (call["images"], call["store"], call["settings"]) == ("DIV2K/", "dgp.zarr", Settings())
    assert (call["scheduler"], call["workers"], call["device"]) == ("local", None, "cpu")
    assert [call["overwrite"], call["strict"], call["retry_failed"], *call["tls"]] == [False] * 3 + [None] * 3


def test_every_option_of_fit_reaches_the_library(calls: list[dict[str, Any]]) -> None:
    options = "--store s.zarr --crop 64 --max-crops 9 --density 0.18 --recipe gaussianimage --iterations 11"
    options += " --scheduler local --workers 3 --seed 5 --keep-fields --overwrite --strict --retry-failed"
    options += " --device cuda --target-psnr 42.1 --window -5,900.5 --axis x --slice 3 --tone reinhard"
    run("fit", "--images", "x", *options.split())
    (call,) = calls
    more = {"target_psnr": 42.1, "window": (-5.0, 900.5), "axis": "x", "slice": 3, "tone": "reinhard"}
    assert call["settings"] == Settings(64, 9, 0.18, "gaussianimage", 11, 5, True, **more)
    assert (call["store"], call["workers"], call["device"]) == ("s.zarr", 3, "cuda")
    assert call["overwrite"]
    assert call["strict"]
    assert call["retry_failed"]


def test_white_reaches_the_library(calls: list[dict[str, Any]]) -> None:
    run("fit", "--images", "x", "--white", "10000")
    assert calls[0]["settings"] == Settings(white=10_000)


def test_where_to_fit_reaches_the_library(calls: list[dict[str, Any]]) -> None:
    files = ["--tls-ca", "ca.pem", "--tls-cert", "cert.pem", "--tls-key", "key.pem"]
    run("fit", "--images", "x", "--scheduler", "tls://127.0.0.1:9", *files)
    run("fit", "--images", "x", "--scheduler", "gpu", "--workers", "2")
    assert (calls[0]["scheduler"], calls[0]["tls"]) == (
        "tls://127.0.0.1:9",
        ("ca.pem", "cert.pem", "key.pem"),
    )
    assert (calls[1]["scheduler"], calls[1]["device"], calls[1]["workers"]) == ("gpu", "cuda", 2)


def test_the_choices_are_those_of_the_library() -> None:
    def choices(command: click.Command, option: str) -> list[str]:
        return list(next(p for p in command.params if p.name == option).type.choices)

    assert choices(cli.fit.fit, "recipe") == list(RECIPES)
    assert choices(cli.dictionary.build, "method") == list(METHODS)
    assert choices(cli.fit.fit, "tone") == list(TONES)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--crop", "4"], "--crop"),
        (["--density", "0"], "--density"),
        (["--density", "abc"], "--density"),
        (["--max-crops", "0"], "--max-crops"),
        (["--iterations", "-1"], "--iterations"),
        (["--target-psnr", "0"], "--target-psnr"),
        (["--white", "0"], "--white"),
        (["--white", "255", "--window", "0,255"], "--window"),
        (["--window", "9,9"], "--window"),
        (["--window", "9"], "--window is two numbers"),
        (["--axis", "w"], "--axis"),
        (["--slice", "-1"], "--slice"),
        (["--tone", "drago"], "--tone"),
        (["--recipe", "slow"], "--recipe"),
        (["--scheduler", "cluster"], "--scheduler"),
        (["--scheduler", "sync", "--workers", "2"], "--workers"),
        (["--workers", "0"], "--workers"),
        (["--scheduler", "udp://127.0.0.1:9"], "--scheduler"),
        (["--scheduler", "gpu", "--device", "cpu"], "--device"),
        (["--tls-ca", "ca.pem"], "--tls-ca"),
    ],
)
def test_wrong_usage_names_the_option_and_exits_with_2(photos: Path, options: list[str], named: str) -> None:
    assert named in one_sentence(run("fit", "--images", photos, *options), 2)


def test_crops_are_fitted_to_the_psnr_asked_for_and_no_further(photos: Path, tmp_path: Path) -> None:
    store = tmp_path / "s.zarr"
    options = ["--store", store, "--crop", 32, "--max-crops", 3, "--scheduler", "sync"]
    done = run("fit", "--images", photos, *options, "--target-psnr", 33)
    assert done.exit_code == 0, done.output
    psnr, _, iterations, _ = Store.open(store).at().results.T
    assert (psnr >= 33).all()
    assert (iterations < make_recipe("fast").iterations).all()
    assert "target_psnr" in one_sentence(run("fit", "--images", photos, *options), 1)


def test_images_are_asked_for() -> None:
    assert "--images" in one_sentence(run("fit"), 2)


def test_a_real_fit_from_photographs_to_dictionary(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    fitted = run(
        *("fit", "--images", "photos", "--crop", 32, "--max-crops", 6),
        *("--iterations", 20, "--scheduler", "sync", "--keep-fields"),
    )
    assert fitted.exit_code == 0, fitted.output
    assert "6 of 6 crops done" in fitted.stdout
    status = json.loads(run("status", "--json").stdout)
    assert (status["crops"], status["done"], status["failed"], status["pending"]) == (6, 6, 0, 0)
    assert set(status["psnr"]) == set(status["held_out_psnr"]) == {"mean", "min", "p5", "p50", "p95"}
    assert status["off_lattice_psnr"] == status["held_out_psnr"]  # its name in JSON until 0.3
    assert status["psnr"]["mean"] > 30
    assert status["seconds"] > 0
    built = run("dictionary", "build", "--kernels", 64)
    assert built.exit_code == 0, built.output
    shown = json.loads(run("dictionary", "show", "dict.npz", "--json", "--plot", "d.png").stdout)
    assert shown["size"] == 64
    assert shown["units"] == "grid spacing"
    assert shown["min_eigenvalue"] > 0
    assert set(shown["ranges"]) == {"l11", "l21", "l22"}
    assert {"cholesky", "covariance", "sqrt"} < set(shown["coverage"])
    assert "images" not in shown  # a dictionary is passed on, and names no folder
    assert shown["off_lattice_psnr"] == shown["held_out_psnr"] == status["held_out_psnr"]["mean"]
    assert (tmp_path / "d.png").read_bytes().startswith(b"\x89PNG")
    assert "coverage" in run("dictionary", "show", "dict.npz").stdout


def test_failures_are_told_and_exit_with_3(
    photos: Path, tmp_path: Path, fitter: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mining, "mine", lambda *a, **k: mine(*a, fitter=fitter, **k))
    (photos / "text.png").write_text("not an image")
    options = ["fit", "--images", photos, "--store", tmp_path / "a.zarr", "--crop", 32, "--scheduler", "sync"]
    result = run(*options)
    assert result.exit_code == 3
    assert "text.png is not an image" in result.stdout
    again = run(*options)
    assert again.exit_code == 3
    assert "has all of them already" in again.stderr


@pytest.mark.parametrize("load", [0.1, 99.0])
def test_a_dry_run_says_what_it_would_take_and_writes_nothing(
    load: float, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "getloadavg", lambda: (load, load, load), raising=False)
    result = run(
        "fit", "--images", photos, "--store", tmp_path / "a.zarr", "--crop", 32, "--max-crops", 4, "--dry-run"
    )
    assert result.exit_code == 0, result.output
    assert "4 crops of 32x32 from 4 of 6 images" in result.stdout
    assert "1,024 Gaussians" in result.stdout
    assert "if nothing else keeps the machine busy" in result.stdout
    assert ("its load is 99 now, on " in result.stdout) == (load == 99)
    assert "MB of disk" in result.stdout
    assert not (tmp_path / "a.zarr").exists()


def test_a_dry_run_says_what_the_store_has_and_refuses_what_a_run_would_refuse(
    flat: Path, tmp_path: Path, script: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    script.set({20: ["refuse"]})
    path = tmp_path / "a.zarr"
    store = mine(flat, path, Settings(crop=32), scheduler="sync", fitter=script.fitter)
    dry = ["fit", "--images", flat, "--store", path, "--crop", 32, "--scheduler", "sync", "--dry-run"]
    assert run(*dry).stdout.splitlines()[-1] == f"{path} has 8 crops: 7 done, 1 failed, 0 to fit."
    store.mark_pending(Chunk(store.parts[0].name, 7))
    shutil.copy(flat / "10.png", flat / "copy.png")
    Image.effect_noise((64, 32), 50).convert("RGB").save(flat / "new.png")
    before = sorted(path.rglob("*"))
    said = run(*dry).stdout.splitlines()
    assert said[-2] == f"{path} has 8 crops: 6 done, 1 failed, 1 to fit; 2 would be added."
    with monkeypatch.context() as patch:
        patch.setattr(versions, "GENERATION", 99)
        assert f"fitting {GENERATION}; here fitting 99): the crops to come may differ" in run(*dry).stdout
    assert said[-1].startswith("768 Gaussians; about ")
    assert "2 to fit; 2 would be added" in run(*dry, "--retry-failed").stdout
    assert f"{path} would be replaced." in run(*dry, "--overwrite").stdout
    assert "20.png: the crop is refused" in one_sentence(run(*dry, "--strict"), 1)
    assert "does not match this run (seed is 0 there and 1 here)" in one_sentence(run(*dry, "--seed", 1), 1)
    assert "--overwrite leaves it" in one_sentence(run(*dry, "--overwrite", "--store", flat), 1)
    assert sorted(path.rglob("*")) == before


def test_a_dry_run_says_how_images_are_read_and_what_is_not_read(photos: Path) -> None:
    tifffile.imwrite(photos / "deep.tif", np.full((32, 32), 9_000, np.uint16))
    for name in ("a.cr9", "b.cr9", "notes.txt"):
        (photos / name).touch()
    shutil.copy(photos / "p1.png", photos / "p1 copy.png")
    options = ["fit", "--images", photos, "--crop", 32, "--max-crops", 7, "--dry-run"]
    said = run(*options).stdout.splitlines()
    assert "1 image is a copy of another, and is mined once: p1 copy.png = p1.png." in said
    assert "3 other files are not read: 2 .cr9, 1 .txt." in said
    assert "6 x 8-bit RGB PNG, sRGB, white is 255" in said
    assert "1 x 16-bit grey TIFF, sRGB, white is 65,535" in said
    assert said[3].endswith("is 9,000 of 65,535: if white is 10,000, say so with --white 10000.")
    chosen = run(*options, "--white", 10_000).stdout
    assert "1 x 16-bit grey TIFF, sRGB, white is 10,000 (as you chose)" in chosen
    assert "say so" not in chosen


def test_copies_are_no_failures_and_other_files_are_told(
    flat: Path, tmp_path: Path, fitter: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mining, "mine", lambda *a, **k: mine(*a, fitter=fitter, **k))
    for name in ("10 copy.png", "90.png"):
        shutil.copy(flat / "10.png", flat / name)
    (flat / "x.cr9").touch()
    options = ["fit", "--images", flat, "--store", tmp_path / "a.zarr", "--crop", 32, "--scheduler", "sync"]
    done = run(*options, "--strict")
    assert done.exit_code == 0, done.output
    told = "2 images are copies of others, and are mined once: 10 copy.png = 10.png, 90.png = 10.png"
    assert f"{told}." in done.stderr
    assert "1 other file is not read: 1 .cr9." in done.stderr
    assert "8 of 8 crops done" in done.stdout
    assert f"copies    {told}" in done.stdout
    assert run("status", "--store", tmp_path / "a.zarr").exit_code == 0
    status = json.loads(run("status", "--store", tmp_path / "a.zarr", "--json").stdout)
    assert status["copies"] == ["10 copy.png", "90.png"]
    assert status["copy_of"] == dict.fromkeys(status["copies"], "10.png")
    assert status["skipped"] == []
    log = (tmp_path / "a.zarr.log").read_text()
    assert "90.png is a copy of 10.png: it is mined once." in log
    assert "note: 1 other file is not read: 1 .cr9." in log
    again = run(*options)
    assert again.exit_code == 0
    assert len(Store.open(tmp_path / "a.zarr").parts) == 1


def test_the_reading_is_recorded_and_another_does_not_resume_the_store(
    tmp_path: Path, fitter: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mining, "mine", lambda *a, **k: mine(*a, fitter=fitter, **k))
    (tmp_path / "deep").mkdir()
    tifffile.imwrite(tmp_path / "deep/a.tif", np.full((32, 32), 9_000, np.uint16))
    options = ["fit", "--images", tmp_path / "deep", "--store", tmp_path / "a.zarr", "--crop", 32]
    options += ["--scheduler", "sync"]
    assert run(*options, "--white", 10_000).exit_code == 0
    assert Store.open(tmp_path / "a.zarr").settings.reading.white == 10_000
    assert "iterations, seed 0, white 10000\n" in run("status", "--store", tmp_path / "a.zarr").stdout
    shown = fitted_crop(Store.open(tmp_path / "a.zarr"), 0)
    assert shown.pixels is not None
    assert np.unique(shown.pixels).tolist() == pytest.approx([0.9])
    assert "white is 10000 there and not given here" in one_sentence(run(*options), 1)


def test_reasons_that_many_images_share_are_said_once_and_all_images_are_named(photos: Path) -> None:
    for number in range(12):
        (photos / f"bad{number:02}.png").write_text("no image")
    said = run("fit", "--images", photos, "--crop", 32, "--max-crops", 2, "--dry-run").stdout
    assert f"skipped: 12 images, the first {photos}/bad00.png: each is not an image" in said
    assert said.count("is not an image") == 1
    assert all(said.count(f"{photos}/bad{number:02}.png") == 1 for number in range(12))


def test_images_whose_package_is_missing_say_in_one_line_what_to_install(
    photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    for number in range(9):
        (photos / f"{number}.heic").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic")
    said = run("fit", "--images", photos, "--crop", 32, "--max-crops", 2, "--dry-run").stdout.splitlines()
    assert [line for line in said if "heic" in line] == [
        f"skipped: 9 images, the first {photos}/0.heic: each is HEIF, which pillow-heif reads: install it "
        "with pip install 'dgp-mining[heif]'.",
        *(f"  {photos}/{number}.heic" for number in range(1, 9)),
    ]


def test_a_missing_or_empty_folder_or_one_of_small_images_is_one_sentence(
    photos: Path, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    assert "does not exist" in one_sentence(run("fit", "--images", tmp_path / "none"), 1)
    assert "holds no images" in one_sentence(run("fit", "--images", tmp_path / "empty"), 1)
    assert "is large enough for a crop of 256x256 pixels" in one_sentence(run("fit", "--images", photos), 1)


def test_what_is_no_store_or_dictionary_is_one_sentence(tmp_path: Path, photos: Path) -> None:
    other = tmp_path / "thesis"
    other.mkdir()
    (other / "chapter1").write_text("years of work")
    fit = ["fit", "--images", photos, "--crop", 32, "--scheduler", "sync", "--store"]
    for command in (["status", "--store", other], ["dictionary", "build", "--store", other], [*fit, other]):
        assert "is not a store" in one_sentence(run(*command), 1)
    assert "--overwrite leaves it" in one_sentence(run(*fit, other, "--overwrite"), 1)
    assert "cannot be written" in one_sentence(run(*fit, other / "chapter1" / "a.zarr"), 1)
    assert (other / "chapter1").read_text() == "years of work"
    assert "does not exist" in one_sentence(run("status", "--store", tmp_path / "none.zarr"), 1)
    assert "not a kernel dictionary" in one_sentence(run("dictionary", "show", other / "chapter1"), 1)
    assert "does not exist" in one_sentence(run("dictionary", "show", tmp_path / "none.npz"), 1)


def test_a_scheduler_that_is_not_there_is_one_sentence(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dask_cluster, "CONNECT_SECONDS", 1)
    options = ["--store", tmp_path / "a.zarr", "--crop", 32, "--scheduler", "tcp://127.0.0.1:1"]
    message = one_sentence(run("fit", "--images", photos, *options), 1)
    assert "No Dask scheduler answers at tcp://127.0.0.1:1" in message
