"""A picture is drawn with one row for each scale, and texts that are no detail are refused."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).resolve().parents[2]


def run(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "workflows" / "before_after.py"), *options]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)


def test_it_draws_a_row_for_each_scale(tmp_path: Path) -> None:
    photograph = Image.open(ROOT / "data" / "samples" / "heldout" / "chelsea.png")
    photograph.crop((100, 60, 196, 156)).save(tmp_path / "photo.png")
    heights = []
    for scales in ("4", "4,8"):
        done = run(tmp_path, "--image", "photo.png", "--detail", "10,10,48,32", "--scales", scales)
        assert done.returncode == 0, done.stderr
        heights.append(Image.open(tmp_path / "before-after.png").height)
    assert heights[1] == 2 * heights[0]


def test_a_detail_of_three_numbers_is_refused(tmp_path: Path) -> None:
    refused = run(tmp_path, "--detail", "1,2,3")
    assert refused.returncode == 2
    assert "--detail" in refused.stderr
    assert "Traceback" not in refused.stderr
