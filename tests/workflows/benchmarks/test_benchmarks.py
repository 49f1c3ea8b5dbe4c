"""The benchmarks run to the end, print their ratios and write what they saw; no test asserts a time."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from splat2d import render

FOLDER = Path(__file__).parents[3] / "workflows" / "benchmarks"
needs_compiler = pytest.mark.skipif(
    not (shutil.which("g++") or shutil.which("c++")), reason="no C++ compiler"
)


@pytest.fixture(autouse=True)
def benchmarks(monkeypatch):
    """Their modules can be imported as they import each other."""
    monkeypatch.syspath_prepend(FOLDER)


def run(name: str, folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(FOLDER / name), *options]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)


def quick(name: str, folder: Path, *options: str) -> tuple[str, dict]:
    """Run a benchmark with --quick; return its output and the figures it wrote."""
    result = run(name, folder, "--quick", "--out", "figures.json", *options)
    assert result.returncode == 0, result.stderr
    return result.stdout, json.loads((folder / "figures.json").read_text())


@needs_compiler
def test_render_prints_the_ratio_to_the_baseline_and_names_the_baselines_flags(tmp_path):
    printed, written = quick("render.py", tmp_path)
    assert "ratio" in printed
    assert "a fit of 3 iterations" in printed
    assert "-O3 -march=native -ffast-math" in printed
    assert {"CPU", "cores", "instruction set", "torch", "numpy", "date"} <= written["machine"].keys()
    assert len(written["seconds"]["forward"]["splat2d"]) == len(written["seconds"]["forward"]["baseline"]) > 1
    if not torch.cuda.is_available():
        assert "not measured yet" in printed


def test_continuous_prints_the_ratio_to_liif(tmp_path):
    printed, written = quick("continuous.py", tmp_path)
    assert "ratio 6x5" in printed
    assert "LIIF is timed at x4, x6" in printed
    assert written["average, s"]["cpu"][0]["LIIF, EDSR-baseline"] > 0


def test_fit_prints_all_recipes_and_the_ratio_of_their_times(tmp_path):
    images = FOLDER.parents[1] / "data" / "samples" / "mining"
    printed, written = quick("fit.py", tmp_path, "--images", str(images), "--crops", "1")
    assert "ratio" in printed
    assert written["curves"].keys() == {"fast", "lattice", "gaussianimage"}
    (equal,) = written["equal PSNR"].values()
    assert equal["lattice"][-1]["psnr"] >= equal["gaussianimage"]["psnr"]
    assert (tmp_path / "fit.png").exists()


def test_equal_psnr_resumes_with_the_same_settings_only(tmp_path, monkeypatch):
    import equal_psnr

    monkeypatch.setattr(equal_psnr, "SCHEDULES", (5, 10))
    random = np.random.default_rng(0)
    crops = {name: random.random((16, 16, 3), dtype=np.float32) for name in ("one", "two")}
    path = tmp_path / "fit.json"
    first = equal_psnr.measure({"one": crops["one"]}, 10, path, resume=True)
    measured = []
    once = equal_psnr.timed_fit
    monkeypatch.setattr(equal_psnr, "timed_fit", lambda *a: measured.append(a[1]) or once(*a))
    both = equal_psnr.measure(crops, 10, path, resume=True)
    assert both["one"] == first["one"]
    assert measured == ["gaussianimage", "lattice", "lattice"]
    assert json.loads(path.read_text())["equal PSNR"] == both
    with pytest.raises(SystemExit, match="other --iterations"):
        equal_psnr.measure(crops, 20, path, resume=True)


def test_one_schedule_for_all_crops_is_the_shortest_whose_mean_is_enough():
    import equal_psnr

    def crop(goal: float, *reached: float) -> dict:
        rows = [{"iterations": n, "psnr": psnr} for n, psnr in zip((10, 20, 30), reached, strict=False)]
        return {"gaussianimage": {"psnr": goal}, "lattice": rows}

    crops = [crop(40, 30, 39, 45), crop(30, 20, 32, 33)]
    assert [fit["iterations"] for fit in equal_psnr.reaching_the_mean(crops)] == [20, 20]
    crops = [crop(40, 30, 39), crop(30, 20, 30, 33)]  # never; the first has no third
    assert [fit["iterations"] for fit in equal_psnr.reaching_the_mean(crops)] == [20, 20]


def test_a_folder_without_images_is_named_in_one_sentence(tmp_path):
    result = run("fit.py", tmp_path, "--quick", "--images", "nowhere")
    assert result.returncode == 1
    assert result.stderr.startswith("fit: The folder nowhere does not exist")
    assert len(result.stderr.splitlines()) == 1


@needs_compiler
def test_the_baseline_computes_what_splat2d_computes():
    """Image and gradients: a ratio of times means nothing otherwise."""
    import baseline

    random = np.random.default_rng(0)
    means, l21 = random.uniform(-5, 40, (60, 2)), random.normal(0, 1.5, 60)
    shapes = np.stack([random.uniform(0.3, 3, 60), l21, random.uniform(0.3, 3, 60)], -1)
    plain = baseline.Gaussians(*(a.astype(np.float32) for a in (means, shapes, random.normal(0, 1, (60, 3)))))
    leaves = [torch.tensor(a)[None].requires_grad_() for a in (plain.means, plain.cholesky, plain.colors)]
    image = render(*leaves, (21, 34))
    ours = image.detach()[0].permute(1, 2, 0).numpy()
    assert np.abs(ours - baseline.forward(plain, (21, 34))).max() < 1e-4
    (image.square().sum() / 2).backward()
    gradient = baseline.backward(plain, np.ascontiguousarray(ours))
    for exact, name in zip(leaves, ("means", "cholesky", "colors"), strict=True):
        assert np.allclose(getattr(gradient, name), exact.grad[0].numpy(), rtol=1e-3, atol=1e-3)


@needs_compiler
def test_the_baselines_fit_fits():
    import baseline
    from render import psnr, textured

    target = textured(32)
    start = baseline.grid_start(target)
    fitted = baseline.fit(target, start, 100)
    before, after = (psnr(baseline.forward(g, (32, 32)), target) for g in (start, fitted))
    assert after > before + 5
    assert np.array_equal(start.means, baseline.grid_start(target).means)


def test_liif_blends_its_four_neighbours_as_bilinear_interpolation_does():
    """Local ensemble's weights: a decoder that returns its feature interpolates the features."""
    from liif import LIIF

    class Feature(torch.nn.Module):
        def forward(self, inputs):
            return inputs[..., 4:5].expand(*inputs.shape[:-1], 3)  # the middle one of the unfolded nine

    liif = LIIF(torch.nn.Identity(), 1)
    liif.decoder = Feature()
    features = torch.rand(2, 1, 5, 7, generator=torch.Generator().manual_seed(0))
    ours = liif(features, (20, 35))[:, :1]
    exact = torch.nn.functional.interpolate(features, (20, 35), mode="bilinear", align_corners=False)
    inner = (..., slice(2, -2), slice(3, -3))  # beyond the outer centres LIIF does not interpolate
    assert torch.allclose(ours[inner], exact[inner], atol=1e-5)


def test_times_at_scales_that_were_not_timed_follow_the_number_of_pixels():
    from continuous import Times

    pixels = {scale: 6 * scale**2 for scale in (4, 5, 6, 7, 8)}
    proportional = Times(encode=0.5, render={s: 1e-3 * pixels[s] for s in (4, 6)})
    assert proportional.average(pixels) == pytest.approx((0.5 + 1e-3 * sum(pixels.values())) / 5)


@pytest.mark.slow
def test_flow_prints_plan_overhead_and_the_ratio_of_two_workers(tmp_path):
    images = FOLDER.parents[1] / "data" / "samples" / "mining"
    printed, written = quick("flow.py", tmp_path, "--images", str(images))
    assert "ratio to twice one" in printed
    assert written["plan"]["crops"] == 2000
    assert {"in this process", "in one worker"} == written["overhead"].keys()
    assert {"fitting", "in all"} == written["scaling"]["2"].keys()
