"""The benchmark of consistency prints a row for each scale and each maker of LR images."""

from __future__ import annotations

import json
import sys

import numpy as np
from PIL import Image


def test_rounds_raise_the_consistency_and_the_kernel_itself_fits_best(tmp_path, monkeypatch, capsys):
    import consistency

    small = np.random.default_rng(0).integers(0, 256, (15, 15, 3), np.uint8)
    Image.fromarray(small).resize((60, 60), Image.Resampling.BICUBIC).save(tmp_path / "a.png")
    asked = ["--quick", "--images", tmp_path, "--scales", "2", "--made", "2", "--out", tmp_path / "out.json"]
    monkeypatch.setattr(sys, "argv", ["consistency.py", *map(str, asked)])
    consistency.main()
    printed = capsys.readouterr().out
    written = json.loads((tmp_path / "out.json").read_text())
    rounds = [kept for _, kept in written["rounds"]["x2"]]
    assert len(rounds) == consistency.ROUNDS + 2
    assert rounds[0] + 3 < rounds[1] == rounds[-1] < rounds[consistency.ROUNDS]
    assert all(f"x2, {name}" in printed for name in consistency.MAKERS)
    for name in ("bilinear", "area"):
        interpolated, alone, bicubic, own = written["made"][f"x2, {name}"]
        assert own > max(interpolated, alone, bicubic)
