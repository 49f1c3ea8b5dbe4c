"""Dictionaries are measured alone, by Gaussians, and compared with each other."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from dgp_mining.cli import main
from dgp_mining.prior.condense import condense
from dgp_mining.prior.dictionary import Dictionary
from dgp_mining.prior.quality import compare, kernel_quality, quality


def shapes(n: int, seed: int = 0) -> np.ndarray:
    """Cholesky factors [n, 3], some of them thin."""
    rng = np.random.default_rng(seed)
    return np.column_stack(
        [np.exp(rng.normal(-0.5, 1, n)), rng.normal(0, 1, n), np.exp(rng.normal(-0.5, 1, n))]
    )


def test_redundant_kernels_and_thin_ones_are_counted() -> None:
    found = kernel_quality(Dictionary([[1, 0, 1], [1.01, 0, 1], [3, 0, 3], [0.1, 0, 1]]))
    assert found["redundant"] == 0.5
    assert found["condition_max"] == pytest.approx(100)
    assert found["condition_median"] == pytest.approx((1.01**2 + 1) / 2)
    assert found["tilt"] == 0


def test_more_kernels_quantise_finer() -> None:
    gaussians = shapes(20_000)
    errors = [
        quality(Dictionary(condense(gaussians, n, "kmeans")), gaussians)["quantisation"] for n in (8, 64)
    ]
    assert 0 < errors[1] < 0.75 * errors[0]
    assert quality(Dictionary(gaussians[:50]), gaussians[:50])["quantisation"] < 1e-9


def test_comparing_says_what_each_can_make_of_the_other() -> None:
    small = Dictionary(np.array([[a, b, c] for a in (1, 2) for b in (-1, 1) for c in (1, 2)]), {"seed": 1})
    large = Dictionary(
        np.array([[a, b, c] for a in (0.5, 3) for b in (-2, 2) for c in (0.5, 3)]), {"seed": 2}
    )
    found = compare(small, large, np.array([[1.5, 0, 1.5], [2.5, 0, 2.5]]))
    assert found["a_from_b"]["coverage"]["cholesky"] == 1
    assert found["b_from_a"]["coverage"]["cholesky"] == 0
    assert found["metadata"]["seed"] == [1, 2]
    assert found["entries"]["l11"] == [[1.5, 0.5], [1.75, 1.25]]
    assert (found["a"]["coverage"]["cholesky"]["dictionary"], found["b"]["quantisation"] > 0) == (0.5, True)
    same = compare(small, small)
    assert same["a_from_b"]["distance"] < 1e-9
    assert same["metadata"] == {}


def run(*arguments: object, status: int = 0) -> str:
    done = CliRunner().invoke(main, ["dictionary", *map(str, arguments)])
    assert done.exit_code == status, done.output
    return done.output


def test_compare_prints_a_table_or_json(tmp_path: Path) -> None:
    a, b = tmp_path / "a.npz", tmp_path / "b.npz"
    Dictionary(shapes(30)).save(a)
    run("import", "--released", "--out", b)
    printed = run("compare", a, b)
    assert "730" in printed
    assert "ContinuousSR, released code" in printed
    assert json.loads(run("compare", a, b, "--json"))["sizes"] == [30, 730]
    assert "does not exist" in run("compare", a, tmp_path / "c.npz", status=1)
