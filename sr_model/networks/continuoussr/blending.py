"""Blending covariances: the spaces a convex combination of kernels can be made in, and where it starts.

A network's kernel is a weighted mean of dictionary kernels. The mean can be taken over Cholesky entries (the
released ContinuousSR code), over covariances, or over symmetric square roots, which unlike Cholesky factors
treat x and y alike. In each of them a convex combination of kernels is a kernel.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from torch import Tensor

Blending = Literal["cholesky", "covariance", "sqrt"]

NARROWEST = 1e-3
"""Smallest diagonal entry of a network's kernels, in grid spacings.

Dictionaries may hold singular kernels (154 of the released 730 are), but rendering needs positive ones. A
Gaussian as narrow as this hardly ever meets the centre of a pixel."""


def to_blending(cholesky: Tensor, blending: Blending) -> Tensor:
    """Cholesky factors [..., 3] (l11, l21, l22) as the three entries [..., 3] that `blending` averages.

    "covariance" gives (S_xx, S_xy, S_yy), "sqrt" the same entries of the symmetric square root of S.
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
    """The inverse of `to_blending`, [..., 3] to [..., 3]; diagonals come out at `NARROWEST` or more."""
    if blending == "cholesky":
        return positive(entries)
    a, b, c = entries.unbind(-1)
    narrowest = NARROWEST**2 if blending == "covariance" else NARROWEST
    a, c = a.clamp_min(narrowest), c.clamp_min(narrowest)
    det = (a * c - b**2).clamp_min(torch.finfo(entries.dtype).tiny)  # rounding may take it below zero
    if blending == "covariance":
        l11 = a.sqrt()
        return positive(torch.stack([l11, b / l11, det.sqrt() / l11], -1))
    l11 = torch.hypot(a, b)
    return positive(torch.stack([l11, b * (a + c) / l11, det / l11], -1))


def positive(entries: Tensor) -> Tensor:
    """Any three numbers [..., 3] as a Cholesky factor that can be rendered, of the covariance that they give.

    Columns with a negative diagonal change sign, which L L^T does not notice, and diagonals are at least
    `NARROWEST`.
    """
    l11, l21, l22 = entries.unbind(-1)
    l21 = torch.where(l11 < 0, -l21, l21)
    return torch.stack([l11.abs().clamp_min(NARROWEST), l21, l22.abs().clamp_min(NARROWEST)], -1)


def isotropic(sigma: float) -> Tensor:  # [3]
    """The Cholesky factor of a round kernel, float64."""
    return torch.tensor([sigma, 0.0, sigma], dtype=torch.float64)


def start_tilt(entries: Tensor, target: Tensor) -> Tensor:
    """The lambda for which softmax(entries @ lambda) has mean `target`: the weights of most entropy with it.

    They solve the dual of the entropy problem, minimising log sum exp(entries @ lambda) - lambda . target, by
    damped Newton steps; the dual is smooth and convex, and bounded where the target lies inside the hull.

    Args:
        entries: [K, 3] float64, the dictionary in its blending space.
        target: [3] float64, the kernel to start from, in the same space.

    Returns:
        [3] float64.

    Raises:
        ValueError: where the target is not inside the convex hull of the entries.
    """
    centred = (entries - target).numpy()

    def dual(tilt: np.ndarray) -> tuple[float, np.ndarray]:  # value, weights [K]
        logits = centred @ tilt
        weights = np.exp(logits - logits.max())
        return logits.max() + np.log(weights.sum()), weights / weights.sum()

    tilt = np.zeros(3)
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
    raise ValueError("the start kernel lies outside what the dictionary's kernels can be blended to")
