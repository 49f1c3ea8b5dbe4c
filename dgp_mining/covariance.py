"""2x2 covariances of Gaussians: Cholesky factors, symmetric square roots, eigenvalues and principal axes."""

from __future__ import annotations

import numpy as np


def square_root(cholesky: np.ndarray) -> np.ndarray:
    """(l11, l21, l22) -> (r_xx, r_xy, r_yy), the symmetric positive square root of L L^T, over [..., 3]."""
    xx, xy, yy = np.moveaxis(covariance_from_cholesky(cholesky), -1, 0)
    root = cholesky[..., 0] * cholesky[..., 2]  # of the determinant
    trace = np.sqrt(xx + yy + 2 * root)  # of the square root; Cayley-Hamilton
    return np.stack([(xx + root) / trace, xy / trace, (yy + root) / trace], axis=-1)


def covariance_from_cholesky(cholesky: np.ndarray) -> np.ndarray:
    """(l11, l21, l22) -> (S_xx, S_xy, S_yy) = L L^T, over the last axis of [..., 3]."""
    l11, l21, l22 = np.moveaxis(np.asarray(cholesky, np.float64), -1, 0)
    return np.stack([l11 * l11, l11 * l21, l21 * l21 + l22 * l22], axis=-1)


def cholesky_from_covariance(covariance: np.ndarray) -> np.ndarray:
    """(S_xx, S_xy, S_yy) -> (l11, l21, l22) with l11, l22 > 0; NaN where it is not positive definite."""
    xx, xy, yy = np.moveaxis(np.asarray(covariance, np.float64), -1, 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        l11 = np.sqrt(xx)
        l21 = xy / l11
        return np.stack([l11, l21, np.sqrt(yy - l21 * l21)], axis=-1)


def smallest_eigenvalue(covariance: np.ndarray) -> np.ndarray:
    """Smallest eigenvalue, [...], of each covariance in [..., 3]."""
    xx, xy, yy = np.moveaxis(np.asarray(covariance, np.float64), -1, 0)
    # det / larger eigenvalue: subtracting the root instead would cancel for thin kernels.
    larger = (xx + yy) / 2 + np.hypot((xx - yy) / 2, xy)
    return (xx * yy - xy * xy) / larger


def principal_axes(covariance: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Standard deviations along the longer and the shorter axis, and the longer one's direction in degrees
    from x towards y, in (-90, 90]; each [...] of covariances [..., 3]."""
    xx, xy, yy = np.moveaxis(np.asarray(covariance, np.float64), -1, 0)
    short = smallest_eigenvalue(covariance)
    angle = np.degrees(np.arctan2(2 * xy, xx - yy)) / 2
    return np.sqrt(xx + yy - short), np.sqrt(np.maximum(short, 0)), angle
