"""The benchmarks of architectures and of GSASR's renderer run to the end; no test asserts a time."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

FOLDER = Path(__file__).parents[3] / "workflows" / "benchmarks"


def quick(name: str, folder: Path) -> tuple[str, dict]:
    """Run a benchmark with --quick; return its output and the figures it wrote."""
    command = [sys.executable, str(FOLDER / name), "--quick", "--out", "figures.json"]
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return result.stdout, json.loads((folder / "figures.json").read_text())


def test_architectures_prints_what_each_reaches_and_costs(tmp_path):
    printed, written = quick("architectures.py", tmp_path)
    assert "budget: 0.02 minutes each" in printed
    assert set(written["networks"]) == {"ContinuousSR", "GSASR", "LIIF"}
    for figures in written["networks"].values():
        assert figures["steps"] >= 1
        assert figures["parameters"] > 100_000
        assert figures["psnr"].keys() == figures["bicubic"].keys() == {"x2", "x4"}
        assert all(value > 0 for cost in figures["cost"].values() for value in cost.values())
    assert (
        abs(written["networks"]["GSASR"]["psnr"]["x2"] - written["networks"]["GSASR"]["bicubic"]["x2"]) < 0.5
    )


def test_the_released_renderer_is_compared_with_splat2d(tmp_path):
    printed, written = quick("gsasr_peer.py", tmp_path)
    assert "Algorithm 1 holds" in printed
    figures = written["released renderer"]["cpu"]
    assert figures["gaussians"] == 16 * 12**2
    assert len(figures["seconds"]["splat2d"]) == len(figures["seconds"]["Algorithm 1"]) == 1
    assert all(held > 3 * 48**2 * 4 - 1 for held in figures["bytes"].values())


def test_liif_learns_from_the_pixels_that_it_renders(monkeypatch):
    """A pixel's loss is against that pixel: a network that renders the image has none."""
    monkeypatch.syspath_prepend(FOLDER)
    from architectures import LIIFNetwork

    from sr_model.encoders import EDSR
    from sr_model.training.samples import Batch

    torch.manual_seed(0)
    network = LIIFNetwork(EDSR(8, 1)).requires_grad_(False)
    lr = torch.rand(2, 3, 6, 6)
    rendered = network(lr).render((15, 15))
    random = torch.Generator().manual_seed(0)
    assert network.loss(Batch(lr, (rendered,)), random) == pytest.approx(0, abs=1e-6)
    assert network.loss(Batch(lr, (rendered.mT.contiguous(),)), random) > 1e-3
