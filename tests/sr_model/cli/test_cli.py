"""The commands work as documented, and answer bad input with one sentence and the right exit status."""

import json
import re
from pathlib import Path

import pytest
from commands import refused, run
from PIL import Image

from dgp_mining.prior.dictionary import Dictionary
from sr_model.cli.evaluate import main as evaluate
from sr_model.cli.train import main as train
from sr_model.cli.upscale import main as upscale

pytestmark = pytest.mark.usefixtures("tiny_demo")


@pytest.fixture
def model(prior: Path) -> Path:
    assert run(train, "--prior", prior, "--steps", 2).exit_code == 0
    return Path("runs/demo/best.safetensors")


def test_the_three_commands_lead_from_a_dictionary_to_a_larger_image(prior: Path, photographs: Path):
    trained = run(train, "--prior", prior)
    assert trained.exit_code == 0, trained.output
    assert "for 6 steps" in trained.output
    model = trained.stdout.strip()
    assert Path(model).is_file()

    small = photographs / "0.png"
    assert run(upscale, small, "--scale", "3.7", "--model", model).exit_code == 0
    assert Image.open(photographs / "0_x3.7.png").size == (178, 148)
    assert run(upscale, small, "--out", "out.jpg", "--size", "100x90", "--model", model).exit_code == 0
    assert Image.open("out.jpg").size == (100, 90)

    measured = run(evaluate, "--model", model, "--images", photographs, "--scales", "2,2.5", "--json")
    report = json.loads(measured.stdout)
    assert report["protocol"] == "benchmark"
    assert report["mean"].keys() == {"x2", "x2.5"}
    assert report["mean"]["x2"].keys() == {"psnr", "ssim", "bicubic_psnr", "bicubic_ssim"}
    again = run(evaluate, "--model", model, "--images", photographs, "--scales", "2")
    assert "mean of 4" in again.stdout, "the picture that sr-upscale made is not an HR image"
    assert "0_x3.7.png" in again.stderr


def test_resume_goes_on_where_the_run_stopped(prior: Path):
    assert run(train, "--prior", prior, "--steps", 2).exit_code == 0
    refused(run(train, "--prior", prior, "--steps", 4), 1, "runs/demo", "--resume", "--out")
    resumed = run(train, "--prior", prior, "--steps", 4, "--resume")
    assert resumed.exit_code == 0
    assert "for 4 steps, from step 2" in resumed.output


def test_resume_with_fewer_steps_than_are_done_is_refused_and_changes_nothing(prior: Path):
    assert run(train, "--prior", prior, "--steps", 3).exit_code == 0
    before = {path: path.read_bytes() for path in Path("runs/demo").iterdir()}
    said = "has taken 3 steps already, more than the 2 steps of --steps"
    refused(run(train, "--prior", prior, "--steps", 2, "--resume"), 1, "runs/demo", said)
    assert {path: path.read_bytes() for path in Path("runs/demo").iterdir()} == before
    assert run(train, "--prior", prior, "--steps", 3, "--resume").exit_code == 0  # nothing is left to do


def test_ablation_has_a_run_of_its_own(prior: Path):
    assert run(train, "--prior", prior, "--steps", 1, "--covariance", "fixed").exit_code == 0
    assert Path("runs/demo-fixed/best.safetensors").is_file()


def test_without_a_prior_the_reference_is_blended(photographs: Path):
    trained = run(train, "--images", photographs, "--steps", 1)
    assert trained.exit_code == 0
    assert "reference prior" in trained.output
    refused(run(train, "--steps", 1), 2, "--images")


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
    refused(run(train, "--prior", prior, "--encoder-weights", "file", *new), 1, "file", "not weights")
    refused(run(train, "--prior", prior, "--out", "file/run", "--steps", 1), 1, "file/run", "--out")
    refused(run(train, "--prior", prior, "--steps", 1, "--minutes", 1), 2, "--steps", "--minutes")
    refused(run(train, "--prior", prior, "--steps", 0), 2, "--steps")
    refused(run(train, "--prior", prior, "--out", "none", "--resume"), 1, "none", "--resume")


def test_train_without_images_says_that_they_are_gone(dictionary: Dictionary):
    Dictionary(dictionary.cholesky, {"images": "DIV2K"}).save("dict.npz")
    result = run(train, "--prior", "dict.npz", "--steps", 1)
    refused(result, 1, "DIV2K", "gone", "--images")
    assert len(re.findall(r"\.(\s|$)", result.output.strip())) == 1
