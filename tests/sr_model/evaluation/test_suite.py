"""A suite measures what can be measured, and its tables put published figures beside ours."""

import csv
import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dgp_mining.images.reader import ImageError
from sr_model import ContinuousSR, evaluate
from sr_model.evaluation import perceptual
from sr_model.evaluation.suite import Suite
from sr_model.evaluation.suite_tables import as_csv, as_latex, as_markdown


def picture(path: Path, seed: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    small = Image.fromarray(np.random.default_rng(seed).integers(0, 256, (12, 14, 3), np.uint8))
    small.resize((56, 48), Image.Resampling.BICUBIC).save(path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Set5 with LR images and a damaged image, Urban100 of one image, a set without images, other images."""
    root = tmp_path / "sets"
    for index, name in enumerate(("baby", "bird")):
        picture(root / "set5" / "HR" / f"{name}.png", index)
        picture(root / "set5" / "X4" / f"{name}x4.png", index)
    (root / "set5" / "HR" / "head.png").write_bytes(b"damaged")
    picture(root / "Urban100" / "img_001.png", 3)
    picture(root / "holiday" / "a.png")
    (root / "Set14").mkdir()
    return root


@pytest.fixture
def suite(folder: Path, network: ContinuousSR) -> Suite:
    suite = Suite.find(folder, "gsasr", "my_network")
    list(suite.run(network, [2, 4], on_skip=lambda skipped: None))
    return suite


def test_its_means_are_those_of_each_folder_alone(suite: Suite, folder: Path, network: ContinuousSR):
    alone = [one.score.psnr for one in evaluate(network, folder / "Urban100", [2.0], "gsasr")]
    assert suite.reports["Urban100"].means()["x2"].psnr == pytest.approx(np.mean(alone))
    assert suite.reports["Set5"].counts() == {"x2": 2, "x4": 2}


def test_what_is_missing_is_said(suite: Suite):
    notes = "\n".join(suite.notes)
    assert "holiday is no test set" in notes
    assert "Set14 is not measured" in notes
    assert "BSD100, Manga109, General100, DIV2K, LSDIR, Kodak" in notes
    assert "Set5 holds 3 images here, but 5 in the literature" in notes
    assert [one.path.name for one in suite.reports["Set5"].skipped] == ["head.png"]


def test_results_are_there_while_it_runs(folder: Path, network: ContinuousSR):
    suite = Suite.find(folder)
    running = suite.run(network, [2], on_skip=lambda skipped: None)
    label, result = next(running)
    running.close()
    assert label == "Set5"
    assert suite.reports["Set5"].means()["x2"] == result.score
    assert "my" not in as_markdown(suite)


def number_of_gsasr(text: str) -> str:
    """The number by which a text lists the source of GSASR's figures."""
    (number,) = re.findall(r"^\W*\[(\d+)\] Generalized and Efficient 2D Gaussian Splatting", text, re.M)
    return number


def test_markdown_has_published_figures_with_protocol_and_source(suite: Suite):
    text = as_markdown(suite)
    rows = [line for line in text.splitlines() if line.startswith("| GSASR (RDN)")]
    assert rows == [
        rf"| GSASR (RDN) [{number_of_gsasr(text)}] | gsasr | – | 27.15 / 0.8177\* |"
    ]  # of all Urban100; x2 was not published
    quoted = next(line for line in text.splitlines() if line.startswith("| ContinuousSR (SwinIR)"))
    assert quoted.endswith(r"| – | 27.65 / 0.8211\* |")  # by another protocol
    assert "PSNR (dB) / SSIM on Urban100, 1 image, protocol gsasr" in text
    assert "Not read in that paper itself" in text
    assert "| my_network | gsasr |" in text
    assert "\n| bicubic, as published [1] | benchmark |" in text


def test_csv_has_every_figure_at_full_precision(suite: Suite):
    rows = list(csv.DictReader(io.StringIO(as_csv(suite))))
    (ours,) = [
        row
        for row in rows
        if (row["set"], row["scale"], row["metric"], row["method"]) == ("Set5", "4", "psnr", "my_network")
    ]
    assert float(ours["value"]) == suite.reports["Set5"].means()["x4"].psnr
    assert (ours["images"], ours["comparable"], ours["source"]) == ("2", "yes", "")
    assert {row["comparable"] for row in rows if row["method"].startswith("ContinuousSR")} == {"no"}


def test_latex_escapes_names(folder: Path, network: ContinuousSR):
    suite = Suite.find(folder, "gsasr", "my_network & 50 %")
    list(suite.run(network, [2], on_skip=lambda skipped: None))
    text = as_latex(suite)
    assert r"my\_network \& 50 \% & gsasr" in text
    assert text.count(r"\begin{tabular}") == text.count(r"\end{tabular}") == 2
    for line in text.splitlines():
        if line.endswith(r"\\"):
            assert line.replace(r"\&", "").count("&") == 2  # method, protocol, x2


def test_json_holds_sets_and_published_figures(suite: Suite):
    held = json.loads(json.dumps(suite.as_dict()))
    assert held["sets"].keys() == {"Set5", "Urban100"}
    gsasr = [row for row in held["sets"]["Urban100"]["published"] if row["method"] == "GSASR (RDN)"]
    assert [(row["psnr"], row["lpips"]) for row in gsasr] == [(27.15, 0.1953)]
    assert not any(gsasr[0]["comparable"].values())  # one image is not the set


def test_perceptual_metrics_have_tables_of_their_own(folder: Path, network: ContinuousSR, monkeypatch):
    monkeypatch.setitem(
        perceptual._SINGLE, "lpips", lambda: lambda image, hr: float((image - hr).abs().mean())
    )
    suite = Suite.find(folder, "gsasr")
    list(suite.run(network, [4], ["lpips"], on_skip=lambda skipped: None))
    text = as_markdown(suite)
    assert "LPIPS (lower is better) on Urban100" in text
    assert rf"| GSASR (RDN) [{number_of_gsasr(text)}] | gsasr | 0.1953\* |" in text
    assert "DISTS" not in text.split("[1]")[0]


def test_only_the_same_metric_on_the_same_images_is_comparable(network: ContinuousSR, tmp_path: Path):
    for index in range(5):
        picture(tmp_path / "Set5" / f"{index}.png", index)

    def comparable(protocol: str, scale: float) -> set[str]:
        suite = Suite.find(tmp_path, protocol)
        list(suite.run(network, [scale], on_skip=lambda skipped: None))
        rows = csv.DictReader(io.StringIO(as_csv(suite)))
        return {row["comparable"] for row in rows if row["method"] == "bicubic, as published"}

    assert comparable("benchmark", 2) == {"yes"}
    assert comparable("div2k", 2) == {"no"}
    (tmp_path / "Set5" / "4.png").write_bytes(b"damaged")
    assert comparable("benchmark", 2) == {"no"}


def test_an_infinite_mean_is_explained(network: ContinuousSR, tmp_path: Path):
    (tmp_path / "Set5").mkdir()
    Image.new("RGB", (48, 48)).save(tmp_path / "Set5" / "black.png")
    suite = Suite.find(tmp_path)
    list(suite.run(network, [2]))
    assert any("black.png at x2" in note and "infinite" in note for note in suite.notes)


def test_pictures_are_saved_set_by_set(folder: Path, network: ContinuousSR, tmp_path: Path):
    suite = Suite.find(folder)
    list(suite.run(network, [2], save=tmp_path / "pictures", on_skip=lambda skipped: None))
    saved = {
        path.relative_to(tmp_path / "pictures").as_posix() for path in tmp_path.glob("pictures/**/*.png")
    }
    names = ("Set5/baby", "Set5/bird", "Urban100/img_001")
    assert saved == {f"{name}_x2_network.png" for name in names}
    with pytest.raises(ImageError, match="exist already"):
        next(suite.run(network, [2], save=tmp_path / "pictures"))


@pytest.mark.parametrize("place", ["", "set5", "set5/pictures"])
def test_pictures_do_not_mix_with_the_images_of_a_set(folder: Path, network: ContinuousSR, place: str):
    with pytest.raises(ImageError, match="would mix with the images"):
        next(Suite.find(folder).run(network, [2], save=folder / place))


def test_sets_without_a_usable_image_end_in_one_sentence(tmp_path: Path, network: ContinuousSR):
    (tmp_path / "Set5").mkdir()
    (tmp_path / "Set5" / "a.png").write_bytes(b"damaged")
    with pytest.raises(ImageError, match="No test set in"):
        list(Suite.find(tmp_path).run(network, [2], on_skip=lambda skipped: None))
