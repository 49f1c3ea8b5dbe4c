"""Each method makes positive definite kernels from the mined ones, as a function of its arguments."""

from __future__ import annotations

import numpy as np
import pytest

from dgp_mining.covariance import (
    covariance_from_cholesky,
    smallest_eigenvalue,
)
from dgp_mining.prior.condense import METHODS, condense
from dgp_mining.prior.dictionary import Dictionary, DictionaryError
from dgp_mining.prior.quality import kernel_quality


def mined(n: int = 5000, seed: int = 0) -> np.ndarray:
    """Factors with strongly dependent entries."""
    rng = np.random.default_rng(seed)
    angle, long = rng.uniform(0, np.pi, n), rng.uniform(0.5, 1.5, n)
    covariance = 0.05 * np.eye(2)[None] + long[:, None, None] ** 2 * np.einsum(
        "in,jn->nij", *(2 * [np.stack([np.cos(angle), np.sin(angle)])])
    )
    factor = np.linalg.cholesky(covariance)
    return factor[:, [0, 1, 1], [0, 0, 1]]


def shapes(n: int, seed: int = 0) -> np.ndarray:
    """Cholesky factors [n, 3], some of them thin."""
    rng = np.random.default_rng(seed)
    return np.column_stack(
        [np.exp(rng.normal(-0.5, 1, n)), rng.normal(0, 1, n), np.exp(rng.normal(-0.5, 1, n))]
    )


@pytest.mark.parametrize("method", METHODS)
def test_kernels_are_as_many_as_asked_positive_definite_and_reproducible(method: str) -> None:
    kernels = condense(mined(), 65, method, seed=1)
    assert kernels.shape == (65, 3)
    assert (kernels[:, [0, 2]] > 0).all()
    np.testing.assert_array_equal(kernels, condense(mined(), 65, method, seed=1))
    if method != "grid":  # nothing is drawn for a grid
        assert not np.array_equal(kernels, condense(mined(), 65, method, seed=2))


def test_marginal_keeps_each_distribution_and_drops_their_dependence() -> None:
    gaussians = mined()
    wide = covariance_from_cholesky(gaussians)
    drawn = covariance_from_cholesky(condense(gaussians, 3000, "marginal", symmetric=False))
    for i in range(3):
        assert np.isin(np.round(drawn[:, i], 9), np.round(wide[:, i], 9)).all()
    # Mined: S_xx + S_yy is long^2 + 0.1; in independent draws it is not related to S_xy.
    assert not np.isin(np.round(drawn.sum(1), 9), np.round(wide.sum(1), 9)).all()
    assert smallest_eigenvalue(drawn).min() >= smallest_eigenvalue(wide).min() * (1 - 1e-9)


def test_sample_consists_of_mined_gaussians_each_once() -> None:
    gaussians = mined()
    kernels = condense(gaussians, 200, "sample", symmetric=False)
    assert len(np.unique(kernels, axis=0)) == 200
    assert {tuple(row) for row in kernels} <= {tuple(row) for row in gaussians}


def test_kmeans_quantises_better_than_a_sample() -> None:
    gaussians = mined()

    def error(kernels: np.ndarray) -> float:
        return float(((gaussians[:, None] - kernels[None]) ** 2).sum(-1).min(1).mean())

    kmeans, sample = (condense(gaussians, 64, method, symmetric=False) for method in ("kmeans", "sample"))
    assert error(kmeans) < 0.8 * error(sample)


def test_the_default_is_a_symmetric_codebook_and_a_grid_is_not_symmetric() -> None:
    gaussians = mined()
    np.testing.assert_array_equal(condense(gaussians), condense(gaussians, 730, "kmeans", 0, True))
    assert not np.array_equal(condense(gaussians), condense(gaussians, symmetric=False))
    np.testing.assert_array_equal(
        condense(gaussians, method="grid"), condense(gaussians, 730, "grid", symmetric=False)
    )


def test_grid_has_the_layout_of_the_continuoussr_table() -> None:
    kernels = condense(mined(), 730, "grid")
    assert [len(np.unique(kernels[:-1, i])) for i in range(3)] == [9, 9, 9]
    assert len(np.unique(kernels[:-1], axis=0)) == 729
    np.testing.assert_allclose(kernels[-1], mined().mean(axis=0))


@pytest.mark.parametrize(("size", "advice"), [(700, "size=513 or size=730"), (5, "size=9 or size=28")])
def test_a_grid_of_another_size_is_refused_with_sizes_that_fit(size: int, advice: str) -> None:
    with pytest.raises(DictionaryError, match=advice):
        condense(mined(), size, "grid")


def test_fewer_gaussians_than_kernels_are_refused() -> None:
    with pytest.raises(DictionaryError, match="10 mined Gaussians cannot make 64 kernels"):
        condense(mined(10), 64)


def test_a_grid_cannot_be_symmetric() -> None:
    with pytest.raises(DictionaryError, match="another method="):
        condense(mined(), 65, "grid", symmetric=True)


@pytest.mark.parametrize("size", [8, 10_000])
@pytest.mark.parametrize("method", ["marginal", "sample", "kmeans"])
def test_dictionaries_are_as_small_and_as_large_as_asked(method: str, size: int) -> None:
    assert len(np.unique(condense(mined(12_000), size, method), axis=0)) == size


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
