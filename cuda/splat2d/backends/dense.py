"""The oracle: a dense torch rendering of sums of 2D Gaussians, every pixel times every Gaussian.

Slow and simple. It computes in the dtype of its inputs (float64 in the tests) and its gradients are torch's;
the tests compare every other backend with it.
"""

from __future__ import annotations

import torch
from torch import Tensor

PAIRS_PER_BAND = 1 << 24
"""Pixel-Gaussian pairs evaluated at once; rows are processed in bands of about this many."""


def render(
    means: Tensor,  # [B, N, 2]
    cholesky: Tensor,  # [B, N, 3]
    colors: Tensor,  # [B, N, C]
    size: tuple[int, int],
    counts: Tensor | None = None,  # [B]
    cutoff: float = 3.33,
    rows: tuple[int, int] | None = None,
) -> Tensor:  # [B, C, H, W]
    """Sum c_n exp(-q_n(p) / 2) over the Gaussians with q_n(p) <= cutoff^2, in the inputs' dtype.

    q is the squared Mahalanobis distance of the pixel centre p = (j + 0.5, i + 0.5). Row b uses its first
    counts[b] Gaussians. Arguments are those of `splat2d.render`, and are not checked here.
    With `rows` = (first, end), only those rows of the image are rendered.
    """
    width = size[1]
    first, end = rows or (0, size[0])
    batch, n, channels = colors.shape
    if counts is not None:
        used = torch.arange(n, device=means.device)[None, :] < counts[:, None]  # [B, N]
        colors = torch.where(used[..., None], colors, 0)
        identity = cholesky.new_tensor([1.0, 0.0, 1.0])
        means = torch.where(used[..., None], means, 0)
        cholesky = torch.where(used[..., None], cholesky, identity)
    if n == 0 or (end - first) * width == 0:
        return means.new_zeros(batch, channels, end - first, width) + 0 * (
            means.sum() + cholesky.sum() + colors.sum()
        )
    l11, l21, l22 = cholesky.unbind(-1)  # [B, N]
    x = torch.arange(width, device=means.device, dtype=means.dtype) + 0.5
    step = max(1, PAIRS_PER_BAND // max(1, batch * n * width))
    bands = []
    for top in range(first, end, step):
        y = torch.arange(top, min(top + step, end), device=means.device, dtype=means.dtype) + 0.5
        u = (x - means[..., 0:1]) / l11[..., None]  # [B, N, W]
        dy = y - means[..., 1:2]  # [B, N, h]
        v = (dy[..., None] - (l21[..., None] * u)[..., None, :]) / l22[..., None, None]  # [B, N, h, W]
        q = u[..., None, :] ** 2 + v**2
        weight = torch.where(q <= cutoff**2, torch.exp(-q / 2), 0)
        bands.append(torch.einsum("bnc,bnhw->bchw", colors, weight))
    return torch.cat(bands, dim=2)
