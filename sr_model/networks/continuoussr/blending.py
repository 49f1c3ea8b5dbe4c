"""Blending covariances: the spaces in which kernels are averaged, and the weights of the start kernel.

A network's kernel is a weighted mean of dictionary kernels. The mean can be taken over Cholesky entries (the
released ContinuousSR code), over covariances, or over symmetric square roots, which unlike Cholesky factors
treat x and y alike. In each of these spaces a convex combination of kernels is a kernel.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from torch import Tensor

Blending = Literal["cholesky", "covariance", "sqrt"]
"""Space in which kernels are averaged."""
Floats = np.ndarray[tuple[int, ...], np.dtype[np.float64]]

SMALLEST_DIAGONAL = 1e-3
"""Least l11 and l22 of a network's kernels, in grid spacings.

Dictionaries may hold singular kernels (154 of the ContinuousSR table's 730 are), but rendering needs positive
definite ones. A Gaussian as narrow as this hardly ever covers the centre of a pixel."""


def to_blending(cholesky: Tensor, blending: Blending) -> Tensor:
    """Map Cholesky factors [..., 3] (l11, l21, l22) to the three entries [..., 3] that `blending` averages.

    "covariance" gives (S_xx, S_xy, S_yy), "sqrt" the same entries of the symmetric square root of S.

    >>> to_blending(torch.tensor([2.0, 0.0, 3.0]), "covariance")
    tensor([4., 0., 9.])
    """
    if blending == "cholesky":
        return cholesky
    l11, l21, l22 = cholesky.unbind(-1)
    xx, xy, yy = l11**2, l11 * l21, l21**2 + l22**2
    if blending == "covariance":
        return torch.stack([xx, xy, yy], -1)
    root_det = l11 * l22
    tiny = torch.finfo(cholesky.dtype).tiny  # for a zero kernel, whose root is zero
    trace = (xx + yy + 2 * root_det + tiny).sqrt()  # of the square root; the closed form for 2x2 matrices
    return torch.stack([xx + root_det, xy, yy + root_det], -1) / trace[..., None]


def from_blending(entries: Tensor, blending: Blending) -> Tensor:
    """Invert `to_blending`, [..., 3] to [..., 3]; diagonals are raised to `SMALLEST_DIAGONAL`."""
    if blending == "cholesky":
        return with_positive_diagonal(entries)
    a, b, c = entries.unbind(-1)
    smallest = SMALLEST_DIAGONAL**2 if blending == "covariance" else SMALLEST_DIAGONAL
    a, c = a.clamp_min(smallest), c.clamp_min(smallest)
    det = (a * c - b**2).clamp_min(torch.finfo(entries.dtype).tiny)  # rounding may take it below zero
    if blending == "covariance":
        l11 = a.sqrt()
        return with_positive_diagonal(torch.stack([l11, b / l11, det.sqrt() / l11], -1))
    l11 = torch.hypot(a, b)
    return with_positive_diagonal(torch.stack([l11, b * (a + c) / l11, det / l11], -1))


def with_positive_diagonal(entries: Tensor) -> Tensor:
    """Turn any three numbers [..., 3] into a Cholesky factor [..., 3] of the same covariance.

    Columns with a negative diagonal change sign, which leaves L L^T unchanged; diagonals are raised to
    `SMALLEST_DIAGONAL`, so that the kernel can be rendered.
    """
    l11, l21, l22 = entries.unbind(-1)
    l21 = torch.where(l11 < 0, -l21, l21)
    l11, l22 = (diagonal.abs().clamp_min(SMALLEST_DIAGONAL) for diagonal in (l11, l22))
    return torch.stack([l11, l21, l22], -1)


def isotropic(sigma: float) -> Tensor:  # [3]
    """Return the Cholesky factor of a round kernel, float64."""
    return torch.tensor([sigma, 0.0, sigma], dtype=torch.float64)


def maximum_entropy_tilt(entries: Tensor, target: Tensor) -> Tensor:
    """Find the lambda for which softmax(entries @ lambda) has mean `target`.

    Of all weights with that mean, these have the largest entropy. Lambda solves the dual problem, which is to
    minimise log sum exp(entries @ lambda) - lambda . target, by damped Newton steps; the dual is smooth and
    convex, and bounded if the target lies inside the hull.

    Args:
        entries: [K, 3] float64, the dictionary in its blending space.
        target: [3] float64, the kernel to start from, in the same space.

    Returns:
        [3] float64.

    Raises:
        ValueError: if the target is not inside the convex hull of the entries.
    """
    centred: Floats = (entries - target).numpy()

    def dual(tilt: Floats) -> tuple[float, Floats]:  # value, weights [K]
        logits = centred @ tilt
        weights = np.exp(logits - logits.max())
        return float(logits.max() + np.log(weights.sum())), weights / weights.sum()

    tilt: Floats = np.zeros(3)
    value, weights = dual(tilt)
    for _ in range(100):
        gradient = weights @ centred
        if np.abs(gradient).max() < 1e-12 * np.abs(centred).max():
            return torch.from_numpy(tilt)
        hessian = (centred - gradient).T @ ((centred - gradient) * weights[:, None])
        step = np.linalg.lstsq(hessian, -gradient, rcond=1e-12)[0]
        for halving in range(40):
            tried, tried_weights = dual(tilt + step / 2**halving)
            if tried <= value + 1e-4 * (gradient @ step) / 2**halving + 1e-15:
                break
        tilt, value, weights = tilt + step / 2**halving, tried, tried_weights
    if np.abs(weights @ centred).max() < 1e-6 * np.abs(centred).max():
        return torch.from_numpy(tilt)
    raise ValueError("the start kernel lies outside the convex hull of the dictionary's kernels")
