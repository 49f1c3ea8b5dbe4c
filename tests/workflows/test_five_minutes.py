"""The tour of five minutes runs from its first cell to its last, and can be run again."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

TOUR = Path(__file__).resolve().parents[2] / "workflows" / "five_minutes.py"


def run(folder: Path, *options: str) -> str:
    done = subprocess.run([sys.executable, str(TOUR), *options], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_it_mines_plots_fits_and_upscales(tmp_path: Path) -> None:
    printed = run(tmp_path, "--quick")
    assert "20 crops fitted" in printed
    assert "held-out-pixel PSNR" in printed
    for name in ("prior", "fit", "upscaled", "upscaled-comparison"):
        assert Image.open(tmp_path / "five_minutes-quick" / f"{name}.png").size[0] >= 96
    assert run(tmp_path, "--quick") == printed


@pytest.mark.slow
def test_at_full_size_the_model_beats_bicubic(tmp_path: Path) -> None:
    line = run(tmp_path).splitlines()[-1]
    bicubic, model = (float(part.split()[-2]) for part in line.removeprefix("x4: ").split(", "))
    assert model > bicubic


def test_its_cells_are_marked_for_notebooks() -> None:
    cells = [line for line in TOUR.read_text().splitlines() if line.startswith("# %%")]
    assert len(cells) >= 10
    assert any("[markdown]" in cell for cell in cells)
