"""The commands train and use a GSASR like any other network."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from commands import refused, run
from PIL import Image

from dgp_mining.prior.dictionary import Dictionary
from sr_model import GSASR, PRESETS, Checkpoint, load
from sr_model.cli.evaluate import main as sr_eval
from sr_model.cli.train import main as sr_train
from sr_model.cli.upscale import main as sr_upscale
from sr_model.networks.gsasr.initial_kernel import start_at_mean_kernel


@pytest.fixture
def trained(tiny_gsasr, photographs, tmp_path, monkeypatch) -> Path:
    """The checkpoint that sr-train makes of the smallest network."""
    monkeypatch.setitem(PRESETS, "gsasr-demo", tiny_gsasr)
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.chdir(tmp_path)
    made = run(sr_train, "--arch", "gsasr", "--images", photographs, "--steps", 2)
    assert made.exit_code == 0, made.output
    return Path("runs/gsasr-demo/best.safetensors")


def test_the_tools_take_its_checkpoint_without_being_told(trained: Path, photographs: Path):
    assert isinstance(load(trained), GSASR)
    picture = next(photographs.iterdir())
    assert (
        run(sr_upscale, picture, "--out", "large.png", "--model", trained, "--scale", "3.3x2").exit_code == 0
    )
    assert Image.open("large.png").size == (158, 80)
    asked = ("--model", trained, "--images", photographs, "--scales", "2", "--reduction", "none")
    scored = run(sr_eval, *asked, "--json", "--cost")
    assert scored.exit_code == 0, scored.output
    figures = json.loads(scored.stdout)
    assert abs(figures["mean"]["x2"]["psnr"] - figures["mean"]["x2"]["bicubic_psnr"]) < 1.5
    tiles = run(sr_upscale, picture, "--out", "tiles.png", "--model", trained, "--scale", 2, "--tile", 16)
    assert tiles.exit_code == 0, tiles.output


def test_a_field_of_its_is_kept_for_the_scale_it_is_made_for(trained: Path, photographs: Path):
    picture = next(photographs.iterdir())
    refused(run(sr_upscale, picture, "--model", trained, "--save-field", "f.safetensors"), 1, "--scale")
    kept = ("--save-field", "f.safetensors", "--scale", 4)
    assert run(sr_upscale, picture, "--out", "a.png", "--model", trained, *kept).exit_code == 0
    assert run(sr_upscale, "f.safetensors", "--out", "b.png", "--scale", 4).exit_code == 0
    assert Path("a.png").read_bytes() == Path("b.png").read_bytes()


def test_a_prior_is_where_it_starts_and_need_not_be_given(trained: Path, dictionary, photographs: Path):
    assert Checkpoint.load(trained).dictionary is None
    Dictionary(dictionary.cholesky, {"images": str(photographs)}).save("dict.npz")
    made = run(sr_train, "--arch", "gsasr", "--prior", "dict.npz", "--steps", 1, "--out", "primed")
    assert made.exit_code == 0, made.output
    settings = Checkpoint.load("primed/best.safetensors").network
    assert settings == start_at_mean_kernel(PRESETS["gsasr-demo"].network, dictionary)


def test_options_of_the_other_architecture_are_refused(trained: Path, photographs: Path):
    refused(run(sr_train, "--arch", "gsasr", "--preset", "demo", "--images", photographs), 2, "continuoussr")
    refused(
        run(sr_train, "--arch", "gsasr", "--images", photographs, "--covariance", "fixed"), 2, "--covariance"
    )
    refused(run(sr_train, "--arch", "gsasr"), 2, "--images")


def test_a_dry_run_says_what_the_training_takes(trained: Path, photographs: Path):
    rehearsed = run(sr_train, "--arch", "gsasr", "--images", photographs, "--out", "dry", "--dry-run")
    assert rehearsed.exit_code == 0, rehearsed.output
    parameters = sum(p.numel() for p in load(trained).parameters())
    assert f"network: {parameters:,} parameters" in rehearsed.output


def test_an_architecture_of_another_version_is_named(trained: Path, photographs: Path):
    checkpoint = Checkpoint.load(trained)
    picture = next(photographs.iterdir())
    replace(checkpoint, notes={"architecture": "newer"}).save(Path("newer.safetensors"))
    refused(run(sr_upscale, picture, "--model", "newer.safetensors", "--scale", 2), 1, "newer.safetensors")


def test_a_training_of_the_other_architecture_is_not_resumed(trained: Path, dictionary, photographs: Path):
    Dictionary(dictionary.cholesky).save("dict.npz")
    other = ("--prior", "dict.npz", "--preset", "demo", "--out", "runs/gsasr-demo", "--resume")
    small = ("--set", "training.batch=2", "--set", "training.crop=8")
    refused(run(sr_train, *other, *small, "--images", photographs), 1, "other settings", "network")
