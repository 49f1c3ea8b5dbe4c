"""sr-eval prints figures as text, JSON or a table, and one sentence if it cannot measure them."""

import json
from pathlib import Path

import numpy as np
import tifffile
from commands import refused, run
from PIL import Image

from sr_model.cli.evaluate import main as evaluate
from sr_model.evaluation import cost
from sr_model.evaluation import evaluate as evaluation


def test_every_image_at_every_scale_and_the_means(checkpoint, photographs):
    printed = run(evaluate, "--model", checkpoint, "--images", photographs, "--scales", "x2, 2.5x")
    assert printed.exit_code == 0, printed.output
    lines = printed.stdout.splitlines()
    assert len(lines) == 4 * 2 + 2
    assert "mean of 4, protocol benchmark" in lines[-1]


def test_it_says_on_stderr_whether_results_are_corrected(checkpoint, photographs, monkeypatch):
    asked = ("--model", checkpoint, "--images", photographs, "--scales", "2")
    said = run(evaluate, *asked).stderr
    assert "made smaller by bicubic, they are the low-resolution images; --reduction none measures" in said
    assert "corrected" not in run(evaluate, *asked, "--reduction", "none").stderr
    monkeypatch.setattr("sr_model.cli.evaluate.chosen_reduction", lambda network, asked: "none")
    assert "corrected" not in run(evaluate, *asked).stderr  # as of networks that do not start as bicubic


def test_json_holds_it_all(checkpoint, photographs):
    printed = run(
        evaluate, "--model", checkpoint, "--images", photographs, "--scales", "2", "--json", "--cost"
    )
    report = json.loads(printed.stdout)
    assert report["mean"]["x2"].keys() == {"psnr", "ssim", "bicubic_psnr", "bicubic_ssim"}
    assert report["images"].keys() == {"0.png", "1.png", "2.png", "3.png"}
    assert report["cost"]["macs"] > 0 < report["cost"]["memory"]


def test_a_table_has_a_row_for_each_method_and_a_column_for_each_scale(checkpoint, photographs):
    printed = run(evaluate, "--model", checkpoint, "--images", photographs, "--scales", "2,2.5", "--markdown")
    table = [line for line in printed.stdout.splitlines() if line.startswith("|")]
    assert table[0] == "| method | x2 | x2.5 |"
    assert table[2].startswith("| bicubic | ")
    assert table[3].startswith(f"| {checkpoint} | ")
    assert "protocol `benchmark`" in printed.stdout


def test_an_ensemble_is_a_protocol_and_a_picture_of_its_own(checkpoint, photographs):
    asked = ("--model", checkpoint, "--images", photographs, "--scales", "2", "--save", "out", "--ensemble")
    printed = run(evaluate, *asked)
    assert printed.exit_code == 0, printed.output
    assert "protocol benchmark, self-ensemble" in printed.stdout.splitlines()[-1]
    assert Path("out/0_x2_model_ensemble.png").is_file()


def test_the_border_of_old_matlab_is_an_option(checkpoint, photographs):
    asked = ("--model", checkpoint, "--images", photographs, "--scales", "2", "--border", "replicate")
    printed = run(evaluate, *asked)
    assert "protocol benchmark, replicated border" in printed.stdout.splitlines()[-1]
    refused(run(evaluate, *asked, "--protocol", "continuoussr"), 1, "--border", "Pillow")


def test_costs_need_no_images(checkpoint, monkeypatch):
    monkeypatch.setattr(cost, "REPEATS", 1)
    printed = run(evaluate, "--model", checkpoint, "--cost", "--time")
    assert printed.exit_code == 0, printed.output
    assert "multiply-adds of encoding 64x64" in printed.stdout
    assert "average time of 21x13 over 45 scales, x4 to x48" in printed.stdout


def test_a_missing_extra_is_named(checkpoint, photographs, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "lpips", None)
    asked = ("--model", checkpoint, "--images", photographs, "--metric", "lpips")
    refused(run(evaluate, *asked), 1, "lpips", "dgp-mining[perceptual]")


def test_what_cannot_be_used_is_named_in_one_sentence(checkpoint, photographs, monkeypatch):
    model = ("--model", checkpoint)
    for name in ("empty", "nan", "tiny"):
        Path(name).mkdir()
    tifffile.imwrite("nan/a.tif", np.full((40, 40), np.nan, np.float32))
    Image.new("RGB", (12, 12)).save("tiny/a.png")
    Path("text").write_text("no checkpoint")
    refused(run(evaluate, *model, "--images", "missing"), 1, "missing", "--images")
    refused(run(evaluate, *model, "--images", "empty"), 1, "empty", "--images")
    refused(run(evaluate, *model, "--images", "nan"), 1, "a.tif")
    refused(run(evaluate, *model, "--images", "tiny"), 1, "a.png", "scale 2")
    refused(run(evaluate, "--model", "text", "--images", photographs), 1, "text")
    refused(run(evaluate, *model), 2, "--images")
    refused(run(evaluate, *model, "--images", photographs, "--json", "--markdown"), 2, "--markdown")
    refused(run(evaluate, *model, "--images", photographs, "--scales", "2,0"), 2, "--scales")
    monkeypatch.setattr(evaluation, "free_memory", lambda: 10_000)
    refused(
        run(evaluate, *model, "--images", photographs), 1, "0.png", "48x40", "10.0 kB are free", "smaller"
    )


def test_a_bad_image_is_named_and_the_means_are_of_the_others(checkpoint, photographs):
    asked = ("--model", checkpoint, "--images", photographs, "--scales", "2")
    good = json.loads(run(evaluate, *asked, "--json").stdout)
    (photographs / "0b.png").write_text("no image")
    Image.new("RGB", (12, 12)).save(photographs / "tiny.png")
    printed = run(evaluate, *asked, "--json")
    assert printed.exit_code == 3
    report = json.loads(printed.stdout)
    assert report["mean"] == good["mean"]
    assert report["counts"] == good["counts"] == {"x2": 4}
    assert [(one["image"], one["scale"]) for one in report["skipped"]] == [
        ("0b.png", None),
        ("tiny.png", "x2"),
    ]
    assert good["skipped"] == []
    lines = printed.stderr.splitlines()
    assert lines[-1] == "2 of 6 images skipped, at some scales or all; the means are over the others."
    assert [line for line in lines if line.startswith("skipped: ")] == [
        f"skipped: {one['reason']}" for one in report["skipped"]
    ]
    for form in ([], ["--markdown"]):
        printed = run(evaluate, *asked, *form)
        assert printed.exit_code == 3
        assert ("4 images" if form else "mean of 4") in printed.stdout


def test_of_a_test_set_the_hr_images_are_measured(checkpoint, photographs):
    for path in sorted(photographs.iterdir()):
        for place in ("HR", "X2"):
            (photographs / place).mkdir(exist_ok=True)
            (photographs / place / path.name).write_bytes(path.read_bytes())
        path.unlink()
    asked = ("--model", checkpoint, "--scales", "2", "--images")
    printed = run(evaluate, *asked, photographs)
    assert printed.exit_code == 0, printed.output
    assert "mean of 4," in printed.stdout
    assert "those in HR; left out: X2" in printed.stderr
    (photographs / "HR").rename(photographs / "GTmod12")
    (photographs / "X2").rename(photographs / "original")
    refused(run(evaluate, *asked, photographs), 1, "GTmod12 and original", "--images")


def test_lr_images_are_paired_and_the_report_says_so(checkpoint, photographs):
    Path("X2").mkdir()
    for path in photographs.iterdir():
        Image.open(path).resize((24, 20)).save(f"X2/{path.stem}x2.png")
    asked = ("--model", checkpoint, "--images", photographs)
    printed = run(evaluate, *asked, "--lr", "X2", "--json")
    assert printed.exit_code == 0, printed.output
    report = json.loads(printed.stdout)
    assert report["lr"] == {"source": "given", "folders": ["X2"]}
    assert report["mean"].keys() == {"x2"}
    assert "low-resolution images of X2" in run(evaluate, *asked, "--lr", "X2", "--markdown").stdout
    assert json.loads(run(evaluate, *asked, "--json").stdout)["lr"] == {"source": "made", "folders": []}
    Path("X2/3x2.png").unlink()
    printed = run(evaluate, *asked, "--lr", "X2")
    assert printed.exit_code == 3
    assert "mean of 3, protocol benchmark, low-resolution images of X2" in printed.stdout
    assert "3.png has no LR image" in printed.stderr
    refused(run(evaluate, *asked, "--lr", "missing"), 1, "missing", "--lr")
    refused(run(evaluate, *asked, "--lr", "X2", "--scales", "3"), 1, "X2", "of scale 2:", "--scales")
    refused(run(evaluate, "--model", checkpoint, "--lr", "X2", "--cost"), 2, "--lr", "--images")


def test_pictures_are_saved_and_never_replaced_unasked(checkpoint, photographs, monkeypatch):
    asked = ("--model", checkpoint, "--images", photographs, "--scales", "2")
    assert run(evaluate, *asked, "--save", "sr").exit_code == 0
    assert sorted(path.name for path in Path("sr").iterdir()) == [f"{i}_x2_model.png" for i in range(4)]
    before = Path("sr/0_x2_model.png").read_bytes()
    Path("sr/0_x2_model.png").write_text("precious")
    Path("file").touch()
    with monkeypatch.context() as patched:  # refused before the network is loaded
        patched.setattr("sr_model.cli.evaluate.as_network", None)
        refused(run(evaluate, *asked, "--save", "sr"), 1, "0_x2_model.png and 3 more exist", "--overwrite")
        refused(run(evaluate, *asked, "--save", "file"), 1, "file is a file", "--save")
        refused(run(evaluate, *asked, "--save", "file/sr"), 1, "file is a file", "--save")
        refused(run(evaluate, *asked, "--save", photographs), 1, "another folder", "--images")
        refused(run(evaluate, *asked, "--save-bicubic"), 2, "--save")
        refused(run(evaluate, *asked, "--overwrite"), 2, "--save")
    assert Path("sr/0_x2_model.png").read_text() == "precious"
    assert run(evaluate, *asked, "--save", "sr", "--overwrite").exit_code == 0
    assert Path("sr/0_x2_model.png").read_bytes() == before


def test_saved_pictures_within_the_images_are_not_measured(checkpoint, photographs):
    asked = ("--model", checkpoint, "--images", photographs, "--scales", "2", "--save", photographs / "sr")
    assert run(evaluate, *asked).exit_code == 0
    assert "mean of 4," in run(evaluate, *asked, "--overwrite").stdout
