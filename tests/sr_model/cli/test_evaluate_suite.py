"""sr-eval --suite prints tables, keeps what it has measured, and says what it has not."""

import csv
import json
from pathlib import Path

import pytest
from commands import refused, run

from sr_model.cli.evaluate import main as evaluate
from sr_model.evaluation import evaluate as evaluation


@pytest.fixture
def sets(photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Set5 and Kodak of two images each; commands run in the folder that holds them."""
    root = tmp_path / "sets"
    for index, path in enumerate(sorted(photographs.iterdir())):
        place = root / ("Set5" if index < 2 else "kodak")
        place.mkdir(parents=True, exist_ok=True)
        path.rename(place / path.name)
    monkeypatch.chdir(tmp_path)
    return root


def test_markdown_is_printed_and_other_forms_are_saved(checkpoint, sets):
    files = ("--save-table", "t.csv", "--save-table", "t.tex")
    printed = run(evaluate, "--model", checkpoint, "--suite", sets, "--scales", "2", *files)
    assert printed.exit_code == 0, printed.output
    assert printed.stdout.startswith("PSNR (dB) / SSIM on Set5, 2 images, protocol benchmark")
    assert f"| {checkpoint} | benchmark |" in printed.stdout
    assert "Set5: 0.png" in printed.stderr
    assert "Not in" in printed.stderr
    with open("t.csv") as file:
        assert {row["set"] for row in csv.DictReader(file)} == {"Set5", "Kodak"}
    assert r"\toprule" in Path("t.tex").read_text()


def test_scales_default_to_those_of_the_papers(checkpoint, sets, monkeypatch):
    asked = []

    def recorded(network, paths, scales, *rest, **others):
        asked.append(tuple(scales))
        return iter(())

    monkeypatch.setattr("sr_model.evaluation.suite.evaluate", recorded)
    run(evaluate, "--model", checkpoint, "--suite", sets)
    assert asked == [(2, 3, 4, 6, 8, 12)] * 2


def test_a_bad_image_and_a_bad_set_end_nothing(checkpoint, sets):
    (sets / "Set5" / "bad.png").write_bytes(b"damaged")
    (sets / "Set14").mkdir()
    printed = run(evaluate, "--model", checkpoint, "--suite", sets, "--scales", "2", "--json")
    assert printed.exit_code == 3
    report = json.loads(printed.stdout)
    assert report["sets"]["Set5"]["counts"] == {"x2": 2}
    assert report["sets"]["Kodak"]["counts"] == {"x2": 2}
    assert "sets not measured: Set14; skipped: 1 image" in printed.stderr.splitlines()[-1]


def test_what_was_measured_before_a_crash_is_printed_and_saved(checkpoint, sets, monkeypatch):
    compare = evaluation.compare

    def crashes_at_the_third_image(*arguments):
        crashes_at_the_third_image.calls += 1
        if crashes_at_the_third_image.calls == 3:
            raise KeyboardInterrupt
        return compare(*arguments)

    crashes_at_the_third_image.calls = 0
    monkeypatch.setattr(evaluation, "compare", crashes_at_the_third_image)
    printed = run(evaluate, "--model", checkpoint, "--suite", sets, "--scales", "2", "--save-table", "t.md")
    assert printed.exit_code == 130
    assert "PSNR (dB) / SSIM on Set5, 2 images" in printed.stdout
    assert Path("t.md").read_text() == printed.stdout


def test_pictures_of_each_set_are_saved(checkpoint, sets):
    asked = ("--model", checkpoint, "--suite", sets, "--scales", "2", "--save", "pictures", "--save-bicubic")
    assert run(evaluate, *asked).exit_code == 0
    saved = {path.as_posix() for path in Path("pictures").glob("*/*.png")}
    assert len(saved) == 8
    assert {"pictures/Set5/0_x2_bicubic.png", "pictures/Kodak/2_x2_bicubic.png"} <= saved
    refused(run(evaluate, *asked), 1, "exist already", "--overwrite")
    assert run(evaluate, *asked, "--overwrite").exit_code == 0


def test_options_that_contradict_each_other_are_refused(checkpoint, sets):
    model = ("--model", checkpoint)
    refused(run(evaluate, *model, "--suite", sets, "--images", sets), 2, "--suite", "--images")
    refused(run(evaluate, *model, "--suite", sets, "--json", "--table", "csv"), 2, "--table")
    refused(run(evaluate, *model, "--images", sets, "--table", "csv"), 2, "--suite")
    refused(run(evaluate, *model, "--suite", sets, "--save-table", "t.doc"), 2, "--save-table", ".csv")
    refused(run(evaluate, *model, "--suite", sets, "--save-table", "missing/t.md"), 1, "--save-table")
    refused(run(evaluate, *model, "--suite", "missing"), 1, "--suite", "missing")
    Path("empty").mkdir()
    refused(run(evaluate, *model, "--suite", "empty"), 1, "--suite", "Set5")


def test_a_missing_metric_that_was_asked_for_is_named(checkpoint, sets, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "lpips", None)
    asked = ("--model", checkpoint, "--suite", sets, "--metric", "lpips")
    refused(run(evaluate, *asked), 1, "lpips", "dgp-mining[perceptual]")
    unasked = run(evaluate, "--model", checkpoint, "--suite", sets, "--scales", "2")
    assert unasked.exit_code == 0
    assert "The metric lpips needs lpips" in unasked.stderr
