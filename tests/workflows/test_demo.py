"""`make demo` does, in miniature, what the README says it does."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

DEMO = Path(__file__).resolve().parents[2] / "workflows" / "demo.py"


@pytest.mark.slow
@pytest.mark.alone
def test_the_demo_mines_trains_upscales_and_beats_bicubic(tmp_path):
    command = [sys.executable, str(DEMO), "--out", "demo", "--minutes", "0.6", "--crops", "8"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "bicubic" in done.stdout
    for name in ("before-after.png", "prior.png", "upscaled-x4.png", "upscaled-x3.7.png"):
        assert Image.open(tmp_path / "demo" / name).size[0] > 300
    assert (tmp_path / "demo" / "dict.npz").is_file()
