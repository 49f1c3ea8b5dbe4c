"""The benchmark of training steps runs to the end, on a GPU or without one; no test asserts a time."""

from __future__ import annotations

from pathlib import Path

import pytest

SAMPLES = Path(__file__).parents[3] / "data" / "samples" / "mining"


@pytest.mark.slow
def test_steps_and_upscaling_are_timed_with_their_parts(quick) -> None:
    options = ("--images", str(SAMPLES), "--presets", "demo", "--batch", "2", "--precision", "float32")
    printed, written = quick("gpu_training.py", *options)
    assert "step with data ready, s" in printed
    assert [row["scale"] for row in written["upscaling"]] == [4, 12, 48]
    assert all(row["finite"] for row in written["upscaling"] + written["training"])
