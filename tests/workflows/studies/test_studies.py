"""The studies run to the end, print a row for each variant, and write their figures and a plot."""

from __future__ import annotations

import importlib
import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dgp_mining.fitting.statistics import prior_sample
from dgp_mining.mining import mine
from dgp_mining.planning.settings import Settings

FOLDER = Path(__file__).parents[3] / "workflows" / "studies"
OTHERS = {
    *("study", "metrics_of_libraries", "reader_against_others", "other_decoders", "decoding_process"),
    *("peers", "peer_networks", "keras_network"),
}
"""What they share, and studies of libraries instead of fits."""
STUDIES = sorted(path.stem for path in FOLDER.glob("*.py") if path.stem not in OTHERS)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Four photographs of clouds and edges, 80x80."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for i in range(4):
        coarse = np.random.default_rng(i).integers(0, 256, (6, 6, 3), np.uint8)
        image = np.asarray(Image.fromarray(coarse).resize((80, 80), Image.Resampling.BICUBIC)).copy()
        image[:, 30 + 5 * i :] //= 2
        Image.fromarray(image).save(folder / f"{i}.png")
    return folder


@pytest.fixture
def studies(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """Runs a study by name, in this process, and returns what it has written."""
    monkeypatch.syspath_prepend(FOLDER)
    monkeypatch.chdir(tmp_path)
    before = set(sys.modules)

    def run(name: str, *options: object) -> dict:
        monkeypatch.setattr(sys, "argv", [f"{name}.py", *map(str, options)])
        importlib.import_module(name).main()
        assert Image.open(tmp_path / "studies" / f"{name}.png").size[0] > 400
        return json.loads((tmp_path / "studies" / f"{name}.json").read_text())

    yield run
    for name in {*STUDIES, "study"} - before:
        sys.modules.pop(name, None)


@pytest.mark.parametrize("name", STUDIES)
def test_a_study_prints_a_row_for_each_variant_and_writes_its_figures(
    name: str, studies, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    written = studies(name, "--quick", "--images", photos)
    printed = capsys.readouterr().out
    assert len(written["figures"]) > 1
    for variant in written["figures"]:
        assert variant in printed
    assert written["options"]["images"] == "photos"
    assert str(photos) not in json.dumps(written)


@pytest.mark.parametrize("name", STUDIES)
def test_a_study_documents_its_command_and_its_full_size(name: str) -> None:
    doc = (FOLDER / f"{name}.py").read_text().split('"""')[1]
    assert f"python workflows/studies/{name}.py" in doc
    assert "--images DIV2K" in doc or "--store" in doc


def test_every_study_has_its_answer_in_the_table_of_results() -> None:
    results = (FOLDER / "README.md").read_text()
    assert [name for name in STUDIES if f"`{name}.py" not in results] == []


def test_intervals_are_those_of_images(studies, photos: Path) -> None:
    figures = studies("start", "--quick", "--images", photos)["figures"]
    found = figures["start 0.588"]["moments"]["l11"]
    assert found["low"] < found["value"] < found["high"]
    # After six iterations the prior is its start.
    assert figures["start 0.4"]["moments"]["l11"]["value"] < figures["start 0.9"]["moments"]["l11"]["value"]


def test_mirrored_crops_have_mirrored_statistics(studies, photos: Path) -> None:
    figures = studies("mirrors", "--quick", "--images", photos)["figures"]
    plain, mirrored, transposed = (
        figures[name]["moments"] for name in ("as they are", "mirrored", "transposed")
    )
    assert abs(plain["S_xy"]["value"]) > 1e-5
    assert mirrored["S_xy"]["value"] == pytest.approx(-plain["S_xy"]["value"], rel=0.02)
    assert transposed["S_xx"]["value"] == pytest.approx(plain["S_yy"]["value"], rel=1e-4)


def test_variants_are_compared_with_the_default_crop_by_crop(studies, photos: Path) -> None:
    figures = studies("start", "--quick", "--images", photos)["figures"]
    assert figures["start 0.588"]["over_base"] is None
    means = {name: figures[name]["held_out_psnr"]["value"] for name in ("start 0.9", "start 0.588")}
    over = figures["start 0.9"]["over_base"]
    assert over["value"] == pytest.approx(means["start 0.9"] - means["start 0.588"])
    spread = figures["start 0.9"]["held_out_psnr"]
    assert over["high"] - over["low"] < spread["high"] - spread["low"]


def test_a_recipe_is_judged_on_other_photographs_than_it_is_chosen_on(
    studies, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(photos, tmp_path / "judges")
    written = studies("recipe", "--quick", "--images", photos, "--judges", tmp_path / "judges")
    assert "of judges" in capsys.readouterr().out
    assert written["options"]["judges"] == "judges"
    studies("recipe", "--quick", "--images", photos)
    assert "chosen on 2 crops" in (printed := capsys.readouterr().out)
    assert "judged on 2 others" in printed


def test_dictionaries_of_a_store_are_judged_by_photographs_elsewhere(
    studies, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = mine(photos, tmp_path / "a.zarr", Settings(crop=32, max_crops=4, iterations=3), scheduler="sync")
    written = studies("dictionaries", "--quick", "--images", photos, "--store", store.path)
    assert f"made of {len(prior_sample(store.samples(np.arange(4)))):,} Gaussians" in capsys.readouterr().out
    assert written["options"]["store"] == "a.zarr"
    assert written["figures"]["kmeans, 65, symmetric"]["coverage"]["cholesky"]["value"] > 0.2


def test_random_phases_keep_the_spectrum(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(FOLDER)
    phases = importlib.import_module("phases")
    pixels = (0.5 + 0.05 * np.random.default_rng(0).normal(size=(32, 32, 3))).astype(np.float32)
    mixed = phases.random_phases(pixels)
    assert np.abs(mixed - pixels).mean() > 0.02
    spectra = [np.abs(np.fft.rfft2(image, axes=(0, 1)))[1:16, 1:16] for image in (pixels, mixed)]
    np.testing.assert_allclose(*spectra, rtol=1e-3)
    np.testing.assert_allclose(mixed.mean((0, 1)), pixels.mean((0, 1)), atol=1e-5)


def test_without_photographs_a_study_ends_with_a_message(studies, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="none"):
        studies("start", "--quick", "--images", tmp_path / "none")
    with pytest.raises(SystemExit, match="does not exist"):
        studies("dictionaries", "--store", tmp_path / "none.zarr")
