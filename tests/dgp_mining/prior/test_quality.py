"""The affine-invariant distance is what it is by definition; dictionaries are judged and compared by it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from scipy.linalg import eigvalsh

from dgp_mining.cli import main
from dgp_mining.covariance import (
    cholesky_from_covariance,
    covariance_from_cholesky,
)
from dgp_mining.covariance import logarithm_from_cholesky as log
from dgp_mining.prior.condense import condense
from dgp_mining.prior.dictionary import Dictionary
from dgp_mining.prior.distance import distance, nearest
from dgp_mining.prior.quality import compare, kernel_quality, quality


def shapes(n: int, seed: int = 0) -> np.ndarray:
    """Cholesky factors [n, 3], some of them thin."""
    rng = np.random.default_rng(seed)
    return np.column_stack(
        [np.exp(rng.normal(-0.5, 1, n)), rng.normal(0, 1, n), np.exp(rng.normal(-0.5, 1, n))]
    )


def matrix(cholesky: np.ndarray) -> np.ndarray:
    factor = np.array([[cholesky[0], 0], cholesky[1:]])
    return factor @ factor.T


def by_definition(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.linalg.norm(np.log(eigvalsh(matrix(b), matrix(a)))))


def test_the_distance_is_that_of_the_definition() -> None:
    a, b = shapes(200), shapes(200, seed=1)
    expected = [by_definition(*pair) for pair in zip(a, b, strict=True)]
    np.testing.assert_allclose(distance(log(a), log(b)), expected, rtol=1e-7)


def test_small_distances_keep_their_digits() -> None:
    a = shapes(50)
    scaled = distance(log(a), log(a * (1 + 1e-9)))
    np.testing.assert_allclose(scaled, 2 * np.sqrt(2) * 1e-9, rtol=1e-5)
    assert (distance(log(a), log(a)) < 1e-12).all()
    round_one = np.array([[1.0, 0, 1]])
    assert distance(log(round_one), log(round_one))[0] == 0


def test_the_distance_does_not_depend_on_how_both_are_seen() -> None:
    a, b = shapes(2)
    change = np.array([[2.0, 0.7], [-0.3, 0.5]])

    def seen(shape: np.ndarray) -> np.ndarray:
        there = change @ matrix(shape) @ change.T
        return cholesky_from_covariance(np.array([[there[0, 0], there[0, 1], there[1, 1]]]))[0]

    here, there = ((x[None], y[None]) for x, y in ((a, b), (seen(a), seen(b))))
    assert distance(*map(log, here))[0] == pytest.approx(distance(*map(log, there))[0])


@pytest.mark.parametrize("skip", [0, 1])
@pytest.mark.parametrize("kernels", [2, 20, 300])
def test_the_nearest_is_found_exactly(skip: int, kernels: int) -> None:
    points, centres = shapes(100), shapes(kernels, seed=2)
    every = np.sort(distance(log(points)[:, None], log(centres)[None]), axis=1)
    np.testing.assert_array_equal(nearest(points, centres, skip=skip), every[:, skip])


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


@pytest.mark.parametrize("method", ["marginal", "sample", "kmeans"])
@pytest.mark.parametrize("size", [64, 65, 66, 67])
def test_a_symmetric_dictionary_holds_all_images_of_its_kernels(method: str, size: int) -> None:
    kernels = condense(shapes(5000), size, method, symmetric=True)
    assert kernels.shape == (size, 3)
    xx, xy, yy = covariance_from_cholesky(kernels).T

    def listed(*columns: np.ndarray) -> np.ndarray:
        rows = np.round(np.column_stack(columns), 9) + 0.0
        return rows[np.lexsort(rows.T)]

    np.testing.assert_array_equal(listed(xx, xy, yy), listed(xx, -xy, yy))
    np.testing.assert_array_equal(listed(xx, xy, yy), listed(yy, xy, xx))
    found = kernel_quality(Dictionary(kernels))
    assert abs(found["asymmetry"]) < 1e-9
    assert abs(found["tilt"]) < 1e-9


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
