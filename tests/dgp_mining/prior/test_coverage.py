"""Coverage is the share of Gaussians inside the convex hull, in each blending space."""

from __future__ import annotations

import numpy as np

from dgp_mining.prior.coverage import coverage


def mined(n: int = 5000, seed: int = 0) -> np.ndarray:
    """Factors with strongly dependent entries."""
    rng = np.random.default_rng(seed)
    angle, long = rng.uniform(0, np.pi, n), rng.uniform(0.5, 1.5, n)
    covariance = 0.05 * np.eye(2)[None] + long[:, None, None] ** 2 * np.einsum(
        "in,jn->nij", *(2 * [np.stack([np.cos(angle), np.sin(angle)])])
    )
    factor = np.linalg.cholesky(covariance)
    return factor[:, [0, 1, 1], [0, 0, 1]]


def test_coverage_is_the_share_inside_the_hull_of_each_space() -> None:
    box = np.array([[a, b, c] for a in (1.0, 3.0) for b in (-1.0, 1.0) for c in (1.0, 3.0)])
    inside, outside = [2.0, 0.0, 2.0], [4.0, 0.0, 2.0]
    found = coverage(box, np.array([inside, inside, inside, outside]))
    assert found["cholesky"] == {"dictionary": 0.75, "box_corners": 0.75}
    assert set(found) == {"cholesky", "covariance", "sqrt"}
    # A box in Cholesky space is no box of covariances: S_yy = l21^2 + l22^2 has no combination with
    # l21 = 0 and l22 small, since every corner has |l21| = 1.
    narrow = coverage(box, np.array([[2.0, 0.0, 1.1]]))
    assert narrow["cholesky"]["dictionary"] == 1
    assert narrow["covariance"]["dictionary"] == 0


def test_a_flat_dictionary_covers_nothing() -> None:
    flat = np.array([[1.0, 0, 1], [2, 0, 1], [1, 0, 2], [2, 0, 2]])
    assert coverage(flat, flat)["cholesky"] == {"dictionary": 0.0, "box_corners": 0.0}
