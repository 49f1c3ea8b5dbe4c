"""The ablation promises to train each variant alike, never twice, and to pair what it compares."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from dgp_mining.prior.dictionary import Dictionary
from sr_model.networks.continuoussr.dictionary_choice import chosen_kernels
from sr_model.networks.registry import build_network

FOLDER = Path(__file__).parents[3] / "workflows" / "benchmarks"


@pytest.fixture(autouse=True)
def benchmarks(monkeypatch):
    """Their modules can be imported as they import each other."""
    monkeypatch.syspath_prepend(FOLDER)


@pytest.fixture
def prior(tmp_path) -> Path:
    random = np.random.default_rng(0)
    cholesky = random.normal([0.62, 0.0, 0.62], 0.2, (70, 3))
    cholesky[:, [0, 2]] = cholesky[:, [0, 2]].clip(0.1)
    Dictionary(cholesky).save(tmp_path / "dict.npz")
    return tmp_path / "dict.npz"


def run(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(FOLDER / "ablation.py"), "--quick", "--prior", "dict.npz", "--steps", "1"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run([*command, *options], cwd=folder, capture_output=True, text=True, env=environment)


def test_it_prints_a_table_and_repeats_no_training(prior, tmp_path):
    variants = (
        "--variants",
        "mined dictionary,no dictionary",
        "--rates",
        "1e-3",
        "--blendings",
        "sqrt,covariance",
    )
    first = run(tmp_path, *variants, "--seeds", "1")
    assert first.returncode == 0, first.stderr
    log = tmp_path / "ablation.jsonl"
    records = [json.loads(line) for line in log.read_text().splitlines()]
    assert len(records) == (2 * 2 + 2) * 2  # cells by tuning and a seed
    assert {"variant", "rate", "seed", "steps", "psnr", "bicubic", "usage", "key"} <= records[0].keys()
    rows = [line.split("|")[1:-1] for line in first.stdout.splitlines() if line.startswith("| ")][1:]
    assert [row[0].strip() for row in rows] == ["mined dictionary"] * 4 + ["no dictionary"] * 2
    assert all("±" in row[5] for row in rows[4:])

    log.write_text(log.read_text()[:-20])  # as a kill would leave it
    second = run(tmp_path, *variants, "--seeds", "2")
    assert second.returncode == 0, second.stderr
    assert second.stderr.count(" dB\n") == 1 + 6  # what was cut short, and the new seed of every cell


def test_options_that_name_nothing_are_one_sentence(prior, tmp_path):
    for options in (
        ("--variants", "minde"),
        ("--starts", "cold"),
        ("--images", "nowhere"),
        ("--rates", "fast"),
    ):
        result = run(tmp_path, *options)
        assert result.returncode == 1
        assert options[1] in result.stderr
        assert result.stderr.startswith("ablation: ")
        assert len(result.stderr.splitlines()) == 1


def test_differences_are_paired_by_image():
    from ablation import MINED, Cell, Row, difference

    def row(*seeds: tuple[float, ...]) -> Row:
        records = [{"psnr": {str(i): psnr for i, psnr in enumerate(seed)}} for seed in seeds]
        return Row(Cell(MINED, "random", "sqrt"), 1e-3, False, records)

    base = row((20.0, 30.0, 40.0), (22.0, 32.0, 42.0))
    better = row((21.0, 31.0, 41.0), (23.0, 33.0, 43.0))
    assert difference(better, base) == "+1.000 ± 0.000 (0.000)"
    uneven = row((20.0, 31.0, 42.0), (22.0, 33.0, 44.0))  # by 0, 1 and 2
    assert difference(uneven, base) == f"+1.000 ± {1 / np.sqrt(3):.3f} (0.000)"
    assert difference(Row(base.cell, 1e-3, False, [{"psnr": {}}]), base) == "failed"


@pytest.mark.parametrize("start", ["interpolator", "random"])
def test_every_variant_is_a_network(prior, start):
    from ablation import VARIANTS, cells, quick_preset

    mined = Dictionary.load(prior)
    chosen = list(cells(list(VARIANTS), [start], ["sqrt", "cholesky", "covariance"]))
    assert len(chosen) == 6 * 3 + 3
    for cell in chosen:
        network = cell.preset(quick_preset()).network
        kernels = torch.tensor(chosen_kernels(network, mined).cholesky)
        field = build_network(network, kernels)(torch.rand(1, 3, 6, 6))
        assert torch.isfinite(field.cholesky).all()


def test_usage_measures_weights_widths_and_offsets(prior):
    from dataclasses import replace

    from ablation import SMALL
    from usage import usage

    small = replace(SMALL.network, width=8, depth=1, features=8, latent=8, embedding=(8,), hidden=(8,))
    kernels = torch.tensor(Dictionary.load(prior).cholesky)
    images = [torch.rand(3, 6, 7), torch.rand(3, 8, 6)]

    fixed = usage(build_network(replace(small, covariance="fixed"), kernels), images)
    assert "entropy" not in fixed
    assert [fixed[f"sigma {q} %"] for q in (5, 50, 95)] == pytest.approx([0.65] * 3)
    gaussians = 4 * (8 * 9 + 10 * 8)  # with their margins
    assert fixed["widths"][6] == sum(fixed["widths"]) == gaussians  # the bin of 0.6 to 0.7
    assert fixed["elongated"] == fixed["saturated"] == 0

    network = build_network(replace(small, interpolate=False), kernels)
    with torch.no_grad():
        for tensor in (network.kernels.query.weight, network.kernels.query.bias, network.offset[-1].weight):
            tensor.zero_()
        network.offset[-1].bias.copy_(torch.tensor([5.0, 0.0]))
    even = usage(network, images)
    assert even["entropy"] == pytest.approx(1)  # all kernels weigh the same
    assert even["saturated"] == pytest.approx(0.5)  # one axis of two
    with torch.no_grad():
        network.kernels.query.bias[-3:] = torch.tensor([1e4, 0.0, 0.0])
    sharp = usage(network, images)
    assert sharp["entropy"] == pytest.approx(0, abs=1e-6)
