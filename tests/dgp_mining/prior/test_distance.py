"""The distance is the affine-invariant one, and the nearest kernel is found exactly."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import eigvalsh

from dgp_mining.covariance import (
    cholesky_from_covariance,
)
from dgp_mining.covariance import logarithm_from_cholesky as log
from dgp_mining.prior import distance as module
from dgp_mining.prior.distance import distance, nearest


def shapes(n: int, seed: int = 0) -> np.ndarray:
    """Cholesky factors [n, 3], some of them thin."""
    rng = np.random.default_rng(seed)
    return np.column_stack(
        [np.exp(rng.normal(-0.5, 1, n)), rng.normal(0, 1, n), np.exp(rng.normal(-0.5, 1, n))]
    )


def turned(angle: np.ndarray, length: np.ndarray | float, width: np.ndarray | float) -> np.ndarray:
    """Cholesky factors of kernels at angles in radians."""
    cosine, sine = np.cos(angle), np.sin(angle)
    xx, yy = (length * cosine) ** 2 + (width * sine) ** 2, (length * sine) ** 2 + (width * cosine) ** 2
    return cholesky_from_covariance(np.column_stack([xx, (length**2 - width**2) * cosine * sine, yy]))


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


def test_thin_kernels_in_all_directions_take_memory_for_a_few_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """None of them is nearer than the others by the lower bound."""
    thin = turned(np.linspace(0, np.pi, 300, endpoint=False), 50.0, 1 / 50)
    whole = nearest(thin, thin, skip=1)
    sizes = []
    monkeypatch.setattr(module, "AT_ONCE", 1000)
    monkeypatch.setattr(module, "distance", lambda a, b: sizes.append(b[..., 0].size) or distance(a, b))
    assert np.array_equal(nearest(thin, thin, skip=1), whole)
    assert max(sizes) < 2000


def test_thousands_of_thin_kernels_are_not_all_compared_with_all(monkeypatch: pytest.MonkeyPatch) -> None:
    rng, number = np.random.default_rng(3), 2000
    length, ratio = np.exp(rng.uniform(-2, 2, number)), np.exp(rng.uniform(-13, -9, number))
    thin = turned(rng.uniform(0, np.pi, number), length, length * ratio)
    every = np.concatenate([np.sort(distance(one, log(thin)))[:2][None] for one in log(thin)[:, None]])
    compared = []
    monkeypatch.setattr(module, "distance", lambda a, b: compared.append(b[..., 0].size) or distance(a, b))
    for skip in (0, 1):
        np.testing.assert_allclose(nearest(thin, thin, skip=skip), every[:, skip], rtol=1e-12, atol=1e-12)
    assert sum(compared) < number**2 / 4
