"""The benchmark of fitting runs to the end with all recipes."""

from __future__ import annotations

from pathlib import Path

SAMPLES = Path(__file__).parents[3] / "data" / "samples" / "mining"


def test_fit_prints_all_recipes_and_the_ratio_of_their_times(quick, tmp_path):
    images = SAMPLES
    printed, written = quick("fit.py", "--images", str(images), "--crops", "1")
    assert "ratio" in printed
    assert written["curves"].keys() == {"fast", "lattice", "gaussianimage"}
    (equal,) = written["equal PSNR"].values()
    assert equal["lattice"][-1]["psnr"] >= equal["gaussianimage"]["psnr"]
    assert (tmp_path / "fit.png").exists()


def test_a_folder_without_images_is_named_in_one_sentence(run):
    result = run("fit.py", "--quick", "--images", "nowhere")
    assert result.returncode == 1
    assert result.stderr.startswith("fit: The folder nowhere does not exist")
    assert len(result.stderr.splitlines()) == 1
