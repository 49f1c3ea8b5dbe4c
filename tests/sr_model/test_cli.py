"""The commands promise to work as written, and to answer bad input with one sentence and the right status."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from dgp_mining.dictionary import Dictionary
from sr_model import PRESETS
from sr_model.cli.evaluate import main as evaluate
from sr_model.cli.train import main as train
from sr_model.cli.upscale import main as upscale


def run(command, *arguments) -> Result:
    return CliRunner().invoke(command, [str(argument) for argument in arguments])


@pytest.fixture(autouse=True)
def small_preset(monkeypatch, tiny, tmp_path):
    monkeypatch.setitem(PRESETS, "demo", tiny)
    monkeypatch.setattr("sr_model.cli.train.default_preset", lambda: "demo")
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def prior(dictionary: Dictionary, photographs: Path) -> Path:
    Dictionary(dictionary.cholesky, {"images": str(photographs)}).save("dict.npz")
    return Path("dict.npz")


@pytest.fixture
def model(prior: Path) -> Path:
    assert run(train, "--prior", prior, "--steps", 2).exit_code == 0
    return Path("runs/demo/best.safetensors")


def refused(result: Result, status: int, *mentions: str) -> None:
    """One sentence, the exit status, the names in it, and no traceback."""
    assert result.exit_code == status, result.output
    assert isinstance(result.exception, SystemExit)
    sentence = result.output.strip().splitlines()[-1]
    assert sentence.startswith("Error: ")
    assert "Traceback" not in result.output
    for mention in mentions:
        assert mention in sentence


def test_the_three_commands_lead_from_a_dictionary_to_a_larger_image(prior: Path, photographs: Path):
    trained = run(train, "--prior", prior)
    assert trained.exit_code == 0, trained.output
    assert "for 6 steps" in trained.output
    model = trained.stdout.strip()
    assert Path(model).is_file()

    small = photographs / "0.png"
    assert run(upscale, small, "--scale", "3.7", "--model", model).exit_code == 0
    assert Image.open(photographs / "0_x3.7.png").size == (178, 148)
    assert run(upscale, small, "out.jpg", "--size", "100x90", "--model", model).exit_code == 0
    assert Image.open("out.jpg").size == (100, 90)

    measured = run(evaluate, "--model", model, "--data", photographs, "--scales", "2,2.5", "--json")
    report = json.loads(measured.stdout)
    assert report["protocol"] == "benchmark"
    assert report["mean"].keys() == {"x2", "x2.5"}
    assert report["mean"]["x2"].keys() == {"psnr", "ssim", "bicubic_psnr", "bicubic_ssim"}
    assert "mean of 5" in run(evaluate, "--model", model, "--data", photographs, "--scales", "2").stdout


def test_resume_goes_on_where_the_run_stopped(prior: Path):
    assert run(train, "--prior", prior, "--steps", 2).exit_code == 0
    refused(run(train, "--prior", prior, "--steps", 4), 1, "runs/demo", "--resume", "--out")
    resumed = run(train, "--prior", prior, "--steps", 4, "--resume")
    assert resumed.exit_code == 0
    assert "for 4 steps, from step 2" in resumed.output


def test_ablation_has_a_run_of_its_own(prior: Path):
    assert run(train, "--prior", prior, "--steps", 1, "--covariance", "fixed").exit_code == 0
    assert Path("runs/demo-fixed/best.safetensors").is_file()


def test_grey_palette_and_transparent_images_are_upscaled(model: Path):
    pixels = np.random.default_rng(0).integers(0, 256, (9, 8, 4), np.uint8)
    picture = Image.fromarray(pixels, "RGBA")
    for mode, expected in (("L", "L"), ("P", "RGB"), ("RGBA", "RGBA"), ("1", "L")):
        (picture if mode == "RGBA" else picture.convert("RGB").convert(mode)).save("in.png")
        result = run(upscale, "in.png", "out.png", "--scale", "2", "--model", model, "--overwrite")
        assert result.exit_code == 0, result.output
        out = Image.open("out.png")
        assert (out.size, out.mode) == ((16, 18), expected)


@pytest.mark.parametrize("scale", ["0", "abc", "-1", "nan", "inf"])
def test_an_impossible_scale_is_a_usage_error(model: Path, photographs: Path, scale):
    small = photographs / "0.png"
    refused(run(upscale, small, "--scale", scale, "--model", model), 2, "--scale", scale)
    refused(run(evaluate, "--model", model, "--data", photographs, "--scales", f"2,{scale}"), 2, scale)


def test_upscale_names_what_it_cannot_use(model: Path, photographs: Path, tmp_path: Path):
    small = photographs / "0.png"
    Path("text.png").write_text("no image")
    whole = small.read_bytes()
    Path("cut.png").write_bytes(whole[: len(whole) // 2])
    refused(run(upscale, "text.png", "--scale", 2, "--model", model), 1, "text.png")
    refused(run(upscale, "cut.png", "--scale", 2, "--model", model), 1, "cut.png")
    refused(run(upscale, "missing.png", "--scale", 2, "--model", model), 1, "missing.png")
    refused(run(upscale, small, "--scale", 2, "--model", "dict.npz"), 1, "dict.npz")
    refused(run(upscale, small, "--scale", 2, "--model", "missing"), 1, "missing")
    refused(run(upscale, small, "nowhere/out.png", "--scale", 2, "--model", model), 1, "nowhere")
    refused(run(upscale, small, "out.xyz", "--scale", 2, "--model", model), 1, "out.xyz")
    refused(run(upscale, small, "--scale", 1e9, "--model", model), 1, "pixels")
    refused(run(upscale, small, "--model", model), 2, "--scale", "--size")
    refused(run(upscale, small, "--size", "100", "--model", model), 2, "1920x1080")


def test_train_names_what_it_cannot_use(prior: Path, model: Path, tmp_path: Path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "small").mkdir()
    Image.new("RGB", (10, 10)).save(tmp_path / "small" / "a.png")
    Path("file").write_text("a file")
    new = ("--out", "new", "--steps", 1)
    refused(run(train, "--prior", "missing.npz", *new), 1, "missing.npz")
    refused(run(train, "--prior", "file", *new), 1, "file")
    refused(run(train, "--prior", prior, "--images", "missing", *new), 1, "missing")
    refused(run(train, "--prior", prior, "--images", "empty", *new), 1, "empty")
    refused(run(train, "--prior", prior, "--images", "small", *new), 1, "small")
    refused(run(train, "--prior", prior, "--val", "small", *new), 1, "small")
    refused(run(train, "--prior", prior, "--out", "file/run", "--steps", 1), 1, "file/run", "--out")
    refused(run(train, "--prior", prior, "--steps", 1, "--minutes", 1), 2, "--steps", "--minutes")
    refused(run(train, "--prior", prior, "--steps", 0), 2, "--steps")
    refused(run(train, "--prior", prior, "--out", "none", "--resume"), 1, "none", "--resume")


def test_train_without_images_says_that_they_are_gone(dictionary: Dictionary):
    Dictionary(dictionary.cholesky, {"images": "DIV2K"}).save("dict.npz")
    result = run(train, "--prior", "dict.npz", "--steps", 1)
    refused(result, 1, "DIV2K", "gone", "--images")
    assert len(re.findall(r"\.(\s|$)", result.output.strip())) == 1


def test_evaluate_names_what_it_cannot_use(model: Path, tmp_path: Path):
    (tmp_path / "empty").mkdir()
    refused(run(evaluate, "--model", model, "--data", "missing"), 1, "missing")
    refused(run(evaluate, "--model", model, "--data", "empty"), 1, "empty")
    refused(run(evaluate, "--model", "dict.npz", "--data", "photographs"), 1, "dict.npz")
