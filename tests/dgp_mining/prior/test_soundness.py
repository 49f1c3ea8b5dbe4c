"""Priors that mean little are warned of, in the same words by every command; the reference prior is not."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from html import unescape
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from dgp_mining.cli import main
from dgp_mining.fitting.content import CONTENT, measure_content
from dgp_mining.fitting.statistics import COUNTS
from dgp_mining.prior.dictionary import Dictionary
from dgp_mining.prior.soundness import few_gaussians, kept_gaussians, kernel_warnings, mining_warnings

SAMPLES = Path(__file__).parents[3] / "data" / "samples" / "mining"
SIDE = 128


def run(*arguments: object) -> tuple[str, str]:
    """Run `dgp-mine` and return stdout and stderr."""
    result = CliRunner().invoke(main, [str(argument) for argument in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout, result.stderr


def counts(crops: int, dead: int = 0) -> np.ndarray:
    """Counts of crops with 4,000 Gaussians each, of which a quarter is at the border."""
    row = dict.fromkeys(COUNTS, 0) | {"gaussians": 4000, "dead": dead, "border": 1000, "sampled": 256}
    return np.tile([row[name] for name in COUNTS], (crops, 1))


def content(crops: int, **values: float) -> np.ndarray:
    """Descriptors of crops of a photograph, except for `values`."""
    row = {"contrast": 0.2, "gradient": 0.05, "sharpness": 2.0, "coherence": 0.3, "noise": 0.003}
    return np.tile([{**row, "spectral_slope": 2.2, **values}[name] for name in CONTENT], (crops, 1))


def described(change: Callable[[Image.Image], Image.Image]) -> np.ndarray:
    """Descriptors of crops of the sample photographs, each changed as a whole."""
    found = []
    for path in sorted(SAMPLES.iterdir()):
        with Image.open(path) as image:
            pixels = np.asarray(change(image.convert("RGB")), np.float32) / 255
        for top in range(0, pixels.shape[0] - SIDE + 1, 2 * SIDE):
            for left in range(0, pixels.shape[1] - SIDE + 1, 2 * SIDE):
                found.append(measure_content(pixels[top : top + SIDE, left : left + SIDE]))
    return np.array(found)


def jpeg(image: Image.Image) -> Image.Image:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=50)
    return Image.open(file)


def larger(method: Image.Resampling) -> Callable[[Image.Image], Image.Image]:
    return lambda image: image.resize((2 * image.width, 2 * image.height), method)


def keys(found: np.ndarray) -> list[str]:
    return [*mining_warnings(counts(len(found)), found)]


def test_photographs_and_lossy_ones_are_not_warned_of() -> None:
    assert keys(described(lambda image: image)) == []
    assert keys(described(jpeg)) == []


@pytest.mark.parametrize("method", [Image.Resampling.BILINEAR, Image.Resampling.BICUBIC])
def test_enlarged_photographs_are_warned_of(method: Image.Resampling) -> None:
    assert keys(described(larger(method))) == ["smooth"]


def test_black_crops_do_not_hide_or_pretend_that_images_are_enlarged() -> None:
    black = content(30, contrast=0, gradient=0, sharpness=0)
    assert keys(np.concatenate([content(30), black])) == []
    assert keys(np.concatenate([content(30, sharpness=1), black])) == ["smooth"]


def test_dead_gaussians_and_flat_crops_are_counted() -> None:
    assert mining_warnings(counts(30, dead=1990), content(30)) == {}
    assert mining_warnings(counts(30, dead=2520), content(30))["dead"].startswith("63% of the Gaussians")
    flat = np.concatenate([content(32, contrast=0.001), content(8)])
    assert mining_warnings(counts(40), flat)["flat"].startswith("80% of the crops")
    assert mining_warnings(counts(36), flat[2:-2]).keys() == {"flat"}
    assert mining_warnings(counts(32), flat[8:]) == {}
    assert mining_warnings(counts(40), content(40, contrast=0.021)) == {}


def test_crops_and_gaussians_may_be_too_few() -> None:
    assert mining_warnings(counts(0), content(0)) == {}
    assert [*mining_warnings(counts(19), content(19))] == ["few_crops"]
    assert [*mining_warnings(counts(9), content(9))] == ["few_crops", "few_gaussians"]
    assert kept_gaussians(counts(9)) == 9 * 192
    assert few_gaussians(1825, 730, symmetric=True) == {}
    assert "9.9 for each shape" in few_gaussians(1810, 730, symmetric=True)["few_gaussians"]
    assert "at most 181 kernels" in few_gaussians(1810, 730, symmetric=False)["few_gaussians"]


def test_kernels_that_repeat_are_warned_of() -> None:
    one = np.array([[1.0, 0, 1], [1.01, 0, 1]])
    apart = np.array([[2.0, 0, 1], [1.0, 0, 2]])
    assert kernel_warnings(np.concatenate([one, apart]), 1000, "kmeans", symmetric=False) == {}
    found = kernel_warnings(np.concatenate([one, apart[:1]]), 1000, "kmeans", symmetric=False)
    assert found["repeated"].startswith("67% of the 3 kernels")
    assert kernel_warnings(np.concatenate([one, apart[:1]]), 1000, "sample", symmetric=False) == {}


def test_the_reference_prior_is_not_warned_of() -> None:
    reference = Dictionary.reference()
    about = reference.metadata
    assert kernel_warnings(reference.cholesky, about["gaussians"], about["method"], about["symmetric"]) == {}


def test_every_command_warns_in_the_same_words(tmp_path: Path) -> None:
    """Seven images of eight are black."""
    (tmp_path / "images").mkdir()
    for number in range(8):
        pixels = np.random.default_rng(number).integers(0, 256, (48, 48, 3), np.uint8)
        pixels *= number == 0
        pixels[0, 0] = number  # copies are mined once
        Image.fromarray(pixels).save(tmp_path / "images" / f"{number}.png")
    store, out = tmp_path / "a.zarr", tmp_path / "dict.npz"
    options = ["--crop", 16, "--iterations", 1, "--max-crops", 40, "--scheduler", "sync"]
    fitted, progress = run("fit", "--images", tmp_path / "images", "--store", store, *options)
    lines = [line for line in fitted.splitlines() if line.startswith("warning: ")]
    dead, _ = lines
    assert dead.startswith("warning: 86% of the Gaussians are dead")
    assert "with --white," in dead
    assert "crops so far.)" in progress
    assert (tmp_path / "a.zarr.log").read_text().count("% of the Gaussians are dead") >= 2

    assert [line for line in run("status", "--store", store)[0].splitlines() if "warning" in line] == lines
    assert [*json.loads(run("status", "--store", store, "--json")[0])["warnings"]] == [
        "dead",
        "few_gaussians",
    ]
    printed = run("dictionary", "build", "--store", store, "--out", out, "--kernels", 128)[1].splitlines()
    assert dead in printed
    assert f"warning: {Dictionary.load(out).metadata['warnings']['few_gaussians']}" in printed
    assert dead in run("dictionary", "show", out)[0].splitlines()
    run("report", "--store", store, "--out", tmp_path / "report.html")
    page = unescape((tmp_path / "report.html").read_text())
    assert f"<li>{dead.removeprefix('warning: ')}</li>" in page
