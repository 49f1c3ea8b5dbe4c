"""The benchmark of rendering runs to the end and names its baseline; no test asserts a time."""

from __future__ import annotations

import shutil

import pytest
import torch

needs_compiler = pytest.mark.skipif(
    not (shutil.which("g++") or shutil.which("c++")), reason="no C++ compiler"
)


@needs_compiler
def test_render_prints_the_ratio_to_the_baseline_and_names_the_baselines_flags(quick):
    printed, written = quick("render.py")
    assert "ratio" in printed
    assert "a fit of 3 iterations" in printed
    assert "-O3 -march=native -ffast-math" in printed
    assert {"CPU", "cores", "instruction set", "torch", "numpy", "date"} <= written["machine"].keys()
    assert len(written["seconds"]["forward"]["splat2d"]) == len(written["seconds"]["forward"]["baseline"]) > 1
    if not torch.cuda.is_available():
        assert "not measured yet" in printed
