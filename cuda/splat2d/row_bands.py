"""Rendering some rows of a large image from only those Gaussians that may reach them."""

from __future__ import annotations

import torch
from torch import Tensor

from .rendering import render_rows
from .weighted_mean import only

Ends = tuple[Tensor, Tensor]
"""The highest and the lowest row that each Gaussian may reach, or beyond: floats [B, N]."""


def rows_reached(means: Tensor, cholesky: Tensor, cutoff: float) -> Ends:
    """Return the rows between which Gaussians [B, N, 2] and [B, N, 3] lie; NaN if they are not finite."""
    reach = cutoff * torch.hypot(cholesky[..., 1], cholesky[..., 2]) + 1  # so that rounding leaves none out
    return means[..., 1] - reach, means[..., 1] + reach


def render_near_rows(
    means: Tensor,  # [B, N, 2]
    cholesky: Tensor,  # [B, N, 3]
    colors: Tensor,  # [B, N, C]
    size: tuple[int, int],
    rows: tuple[int, int],
    *,
    counts: Tensor | None,
    cutoff: float,
    ends: Ends | None,
) -> Tensor:  # [B, C, rows, W]
    """Return what `render_rows` does, with the same bits, in less time and memory if `ends` are given.

    A Gaussian's footprint takes 64 bytes while it is rendered, twice as much as the Gaussian. One that cannot
    be rendered is an error only if it may reach the rows. Other errors: those of `render_rows`.
    """
    if ends is not None:
        far = (ends[1] < rows[0]) | (ends[0] > rows[1])  # not what is NaN
        near = only(~far, means, cholesky, colors, counts)
        try:
            return render_rows(*near[:3], size, rows, counts=near[3], cutoff=cutoff)
        except ValueError:  # it names a Gaussian by its index, which is another one among all
            pass
    return render_rows(means, cholesky, colors, size, rows, counts=counts, cutoff=cutoff)
