"""`dgp-mine dictionary build` reaches the library with exactly its options; an error is one sentence."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from dgp_mine import one_sentence, run

from dgp_mining.mining import mine
from dgp_mining.planning.settings import Settings
from dgp_mining.prior import build as prior
from dgp_mining.prior.dictionary import Dictionary
from dgp_mining.store.store import Chunk, Store


def test_building_from_an_unfinished_store_or_into_a_bad_place_is_one_sentence(
    photos: Path, tmp_path: Path, fitter: str
) -> None:
    path = tmp_path / "a.zarr"
    mine(photos, path, Settings(crop=32, max_crops=3), scheduler="sync", fitter=fitter)
    build = ["dictionary", "build", "--store", path]
    assert "cannot make 730 kernels" in one_sentence(run(*build), 1)
    assert "take --kernels 65 or --kernels 126" in one_sentence(
        run(*build, "--method", "grid", "--kernels", 100), 1
    )
    unwritable = one_sentence(run(*build, "--kernels", 64, "--out", tmp_path / "none" / "d.npz"), 1)
    assert re.search(r"--out \S+none/d.npz cannot be written: there is no folder \S+none\.$", unwritable)
    store = Store.open(path)
    store.mark_pending(Chunk(store.parts[0].name, 0))
    assert "still has 1 of 3 crops to fit" in one_sentence(run(*build, "--kernels", 64), 1)


def test_the_warnings_of_status_name_options_in_either_form(
    photos: Path, tmp_path: Path, fitter: str
) -> None:
    path = tmp_path / "a.zarr"
    mine(photos, path, Settings(crop=32, max_crops=3), scheduler="sync", fitter=fitter)
    for printed in (run("status", "--store", path).stdout, run("status", "--store", path, "--json").stdout):
        assert "with a larger --max-crops or a smaller --crop" in printed
        assert "max_crops=" not in printed


def test_build_passes_its_options_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def record(*arguments: object, callback: object) -> Dictionary:
        calls.append(arguments)
        return Dictionary(np.ones((8, 3)), {"gaussians": 1, "crops": 1, "symmetric": True})

    monkeypatch.setattr(prior, "build_dictionary", record)
    monkeypatch.chdir(tmp_path)
    run("dictionary", "build")
    options = ["--store", "s.zarr", "--out", "o.npz", "--kernels", 65, "--method", "sample", "--seed", 4]
    run("dictionary", "build", *options, "--symmetric")
    run("dictionary", "build", "--asymmetric")
    assert calls == [
        ("dgp.zarr", 730, "kmeans", 0, None),
        ("s.zarr", 65, "sample", 4, True),
        ("dgp.zarr", 730, "kmeans", 0, False),
    ]
    assert {path.name for path in tmp_path.iterdir()} == {"dict.npz", "o.npz"}


def test_build_says_if_it_replaces_a_dictionary_and_show_rounds(
    photos: Path, tmp_path: Path, fitter: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    mine(photos, "dgp.zarr", Settings(crop=32, max_crops=3), scheduler="sync", fitter=fitter)
    build = ("dictionary", "build", "--kernels", 64)
    assert "replaces" not in run(*build).stdout
    assert "of 3 crops. It replaces the former one.\nNext: sr-train" in run(*build).stdout
    shown = run("dictionary", "show", "dict.npz").stdout
    assert not re.search(r"\d\.\d{4}", shown)
    assert re.search(r"^psnr +\d+\.\d+$", shown, re.MULTILINE)


def test_import_keeps_an_existing_dictionary_unless_it_may_be_overwritten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("dict.npz").write_text("precious")
    refusal = one_sentence(run("dictionary", "import", "--released"), 1)
    assert "--out dict.npz exists already" in refusal
    assert "--overwrite" in refusal
    assert Path("dict.npz").read_text() == "precious"
    assert run("dictionary", "import", "--released", "--overwrite").exit_code == 0
    assert len(Dictionary.load("dict.npz")) == 730
