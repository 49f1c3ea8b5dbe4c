"""`dgp-mine` reaches the library with exactly its options; an error is one sentence, never a traceback."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
import pytest
from dgp_mine import one_sentence, run

from dgp_mining import cli, mining
from dgp_mining.fitting.recipes import RECIPES
from dgp_mining.mining import mine
from dgp_mining.planning.settings import Settings
from dgp_mining.prior.condense import METHODS
from dgp_mining.store.store import Store
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
    options += " --device cuda --target-psnr 42.1"
    run("fit", "--images", "x", *options.split())
    (call,) = calls
    assert call["settings"] == Settings(64, 9, 0.18, "gaussianimage", 11, 5, True, target_psnr=42.1)
    assert (call["store"], call["workers"], call["device"]) == ("s.zarr", 3, "cuda")
    assert call["overwrite"]
    assert call["strict"]
    assert call["retry_failed"]


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


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--crop", "4"], "--crop"),
        (["--density", "0"], "--density"),
        (["--density", "abc"], "--density"),
        (["--max-crops", "0"], "--max-crops"),
        (["--iterations", "-1"], "--iterations"),
        (["--target-psnr", "0"], "--target-psnr"),
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
    assert (iterations < 300).all()
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
    assert shown["images"] == "photos"
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


def test_a_dry_run_says_what_it_would_take_and_writes_nothing(photos: Path, tmp_path: Path) -> None:
    result = run(
        "fit", "--images", photos, "--store", tmp_path / "a.zarr", "--crop", 32, "--max-crops", 4, "--dry-run"
    )
    assert result.exit_code == 0, result.output
    assert "4 crops of 32x32 from 4 of 6 images" in result.stdout
    assert "1,024 Gaussians" in result.stdout
    assert "MB of disk" in result.stdout
    assert not (tmp_path / "a.zarr").exists()


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
