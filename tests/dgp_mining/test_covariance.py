"""2x2 covariance algebra agrees with numpy's general algebra, and with the same functions in torch."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from dgp_mining.covariance import (
    cholesky_from_covariance,
    covariance_from_cholesky,
    logarithm_from_cholesky,
    major_axis,
    principal_axes,
    smallest_eigenvalue,
    square_root_from_cholesky,
)
from dgp_mining.fitting.fast import cholesky_from_square_root
from dgp_mining.prior.coverage import SPACES
from sr_model.networks.continuoussr.blending import to_blending


@pytest.fixture
def cholesky() -> np.ndarray:
    """[100, 3] Cholesky factors, some of thin shapes; the first is a circle."""
    rng = np.random.default_rng(0)
    factors = np.column_stack(
        [np.exp(rng.normal(-0.5, 1, 100)), rng.normal(0, 1, 100), np.exp(rng.normal(-0.5, 1, 100))]
    )
    factors[0] = (1.5, 0, 1.5)
    return factors


def matrices(entries: np.ndarray) -> np.ndarray:  # [N, 3] -> [N, 2, 2]
    return entries[:, [[0, 1], [1, 2]]]


def test_a_cholesky_factor_and_its_covariance_give_each_other(cholesky: np.ndarray) -> None:
    covariance = covariance_from_cholesky(cholesky)
    np.testing.assert_allclose(cholesky_from_covariance(covariance), cholesky, rtol=1e-10)
    np.testing.assert_allclose(np.linalg.cholesky(matrices(covariance))[:, 1, 0], cholesky[:, 1], rtol=1e-10)


def test_what_is_not_positive_definite_has_no_cholesky_factor() -> None:
    assert np.isnan(cholesky_from_covariance(np.array([1.0, 2.0, 1.0]))).any()


def test_square_roots_and_logarithms_are_those_of_matrices(cholesky: np.ndarray) -> None:
    roots = matrices(square_root_from_cholesky(cholesky))
    m, u, v = logarithm_from_cholesky(cholesky).T
    logarithms = matrices(np.column_stack([m + u, v, m - u]))
    values, vectors = np.linalg.eigh(matrices(covariance_from_cholesky(cholesky)))
    for found, of_values in ((roots, np.sqrt(values)), (logarithms, np.log(values))):
        expected = vectors * of_values[:, None] @ vectors.swapaxes(1, 2)
        np.testing.assert_allclose(found, expected, atol=1e-9)


def test_the_square_root_squared_is_the_covariance(cholesky: np.ndarray) -> None:
    xx, xy, yy = square_root_from_cholesky(cholesky).T
    squared = np.stack([xx * xx + xy * xy, xy * (xx + yy), xy * xy + yy * yy], axis=-1)
    np.testing.assert_allclose(squared, covariance_from_cholesky(cholesky), rtol=1e-9, atol=1e-12)
    assert (xx * yy > xy * xy).all()


def test_eigenvalues_and_axes_are_those_of_matrices(cholesky: np.ndarray) -> None:
    covariance = covariance_from_cholesky(cholesky)
    values = np.linalg.eigvalsh(matrices(covariance))
    long, cos, sin = major_axis(covariance)
    np.testing.assert_allclose(smallest_eigenvalue(covariance), values[:, 0], rtol=1e-9)
    np.testing.assert_allclose(long, values[:, 1], rtol=1e-12)
    axes = principal_axes(covariance)
    np.testing.assert_allclose(axes[:2], np.sqrt(values.T[::-1]), rtol=1e-9)
    angle = np.radians(axes[2])
    along = np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    turned = (matrices(covariance) @ along[..., None])[..., 0]
    np.testing.assert_allclose(turned, long[:, None] * along, atol=1e-9)
    assert (cos[0], sin[0], axes[2][0]) == (0, 0, 0)


@pytest.mark.parametrize("space", SPACES)
def test_networks_blend_in_the_spaces_that_coverage_is_measured_in(cholesky: np.ndarray, space: str) -> None:
    in_torch = to_blending(torch.from_numpy(cholesky), space).numpy()
    np.testing.assert_allclose(in_torch, SPACES[space](cholesky), rtol=1e-14)


def test_the_roots_that_a_fit_optimises_are_those_of_covariances(cholesky: np.ndarray) -> None:
    root = torch.from_numpy(square_root_from_cholesky(cholesky))
    np.testing.assert_allclose(cholesky_from_square_root(root).numpy(), cholesky, rtol=1e-6, atol=1e-9)
