"""2x2 covariances of Gaussians, in numpy: conversions between their representations, eigenvalues, axes.

A covariance S is held as three entries along an array's last axis: itself (S_xx, S_xy, S_yy), its Cholesky
factor L (l11, l21, l22) with S = L L^T, or its symmetric positive square root R (r_xx, r_xy, r_yy), S = R R.
The order of operations is fixed, because stores and dictionaries must be byte-identical across versions.
"""

from __future__ import annotations

import numpy as np


def covariance_from_cholesky(cholesky: np.ndarray) -> np.ndarray:
    """Convert (l11, l21, l22) to (S_xx, S_xy, S_yy), S = L L^T, in float64; both are [..., 3].

    >>> covariance_from_cholesky(np.array([2.0, 1.0, 3.0])).tolist()
    [4.0, 2.0, 10.0]
    """
    l11, l21, l22 = np.moveaxis(np.asarray(cholesky, np.float64), -1, 0)
    return np.stack([l11 * l11, l11 * l21, l21 * l21 + l22 * l22], axis=-1)


def cholesky_from_covariance(covariance: np.ndarray) -> np.ndarray:
    """Convert (S_xx, S_xy, S_yy) to (l11, l21, l22), l11, l22 > 0, in float64; both are [..., 3].

    Entries are NaN if S is not positive definite.

    >>> cholesky_from_covariance(np.array([4.0, 2.0, 10.0])).tolist()
    [2.0, 1.0, 3.0]
    """
    xx, xy, yy = np.moveaxis(np.asarray(covariance, np.float64), -1, 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        l11 = np.sqrt(xx)
        l21 = xy / l11
        return np.stack([l11, l21, np.sqrt(yy - l21 * l21)], axis=-1)


def square_root_from_cholesky(cholesky: np.ndarray) -> np.ndarray:
    """Convert (l11, l21, l22) to (r_xx, r_xy, r_yy), S = R R, in float64; both are [..., 3].

    >>> square_root_from_cholesky(np.array([2.0, 0.0, 3.0])).tolist()
    [2.0, 0.0, 3.0]
    """
    xx, xy, yy = np.moveaxis(covariance_from_cholesky(cholesky), -1, 0)
    root = cholesky[..., 0] * cholesky[..., 2]  # of the determinant
    trace = np.sqrt(xx + yy + 2 * root)  # of the square root; Cayley-Hamilton
    return np.stack([(xx + root) / trace, xy / trace, (yy + root) / trace], axis=-1)


def logarithm_from_cholesky(cholesky: np.ndarray) -> np.ndarray:
    """Convert (l11, l21, l22) to (m, u, v), log S = m I + [[u, v], [v, -u]]; both are [..., 3].

    >>> logarithm_from_cholesky(np.array([1.0, 0.0, 1.0])).tolist()
    [0.0, 0.0, 0.0]
    """
    xx, xy, yy = np.moveaxis(covariance_from_cholesky(cholesky), -1, 0)
    root = cholesky[..., 0] * cholesky[..., 2]  # of the determinant
    across = np.hypot((xx - yy) / 2, xy)  # half the difference of the eigenvalues
    # asinh(across / root) is half the difference of their logarithms, without cancellation for round shapes.
    spread = np.where(across > 0, np.arcsinh(across / root) / np.where(across > 0, across, 1), 0)
    return np.stack([np.log(root), spread * (xx - yy) / 2, spread * xy], axis=-1)


def smallest_eigenvalue(covariance: np.ndarray) -> np.ndarray:
    """Return the smaller eigenvalue, [...], of each covariance (S_xx, S_xy, S_yy) in [..., 3].

    >>> float(smallest_eigenvalue(np.array([4.0, 0.0, 9.0])))
    4.0
    """
    xx, xy, yy = np.moveaxis(np.asarray(covariance, np.float64), -1, 0)
    # det / larger eigenvalue: subtracting the root instead would cancel for thin kernels.
    larger = (xx + yy) / 2 + np.hypot((xx - yy) / 2, xy)
    return (xx * yy - xy * xy) / larger


def major_axis(covariance: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the variance along the longer axis, and the cosine and sine of twice its angle from x towards y.

    Each is [...] for covariances (S_xx, S_xy, S_yy) in [..., 3]. Doubling the angle makes opposite
    directions equal, so that it can be averaged; a circle has no direction: its cosine and sine are 0.

    >>> [float(value) for value in major_axis(np.array([1.0, 0.0, 4.0]))]
    [4.0, -1.0, 0.0]
    """
    xx, xy, yy = np.moveaxis(np.asarray(covariance, np.float64), -1, 0)
    difference = np.sqrt((xx - yy) ** 2 + 4 * xy * xy)  # of the eigenvalues
    per_difference = 1 / np.where(difference > 0, difference, 1)
    return (xx + yy + difference) / 2, (xx - yy) * per_difference, 2 * xy * per_difference


def principal_axes(covariance: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the standard deviations along the longer and the shorter axis, and the longer one's angle.

    Each is [...] for covariances (S_xx, S_xy, S_yy) in [..., 3]. The angle is in degrees from x towards y, in
    (-90, 90]; it is 0 for a circle.

    >>> [float(value) for value in principal_axes(np.array([1.0, 0.0, 4.0]))]
    [2.0, 1.0, 90.0]
    """
    long, cos, sin = major_axis(covariance)
    short = np.maximum(smallest_eigenvalue(covariance), 0)
    return np.sqrt(long), np.sqrt(short), np.degrees(np.arctan2(sin, cos)) / 2
