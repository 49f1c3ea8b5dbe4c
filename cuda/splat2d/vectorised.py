"""A torch path for machines without the native library: each Gaussian over its own box of pixels.

Same meaning as `reference`, at a cost that grows with the footprints rather than with pixels times Gaussians.
Gaussians are grouped by the size of their boxes (powers of two), so that a large one costs no small one memory.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

ELEMENTS_AT_ONCE = 1 << 22
"""Pixel terms evaluated at once; bounds the memory."""

Patch = tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]


def _patches(
    means: Tensor, cholesky: Tensor, counts: Tensor | None, size: tuple[int, int], cutoff: float
) -> Iterator[tuple[Tensor, Patch]]:
    """Chunks of flat Gaussian indices [g] with (pixel index, weight, u, v) of their boxes, each [g, h, w]."""
    height, width = size
    batch, n, _ = means.shape
    mx, my = means.reshape(-1, 2).unbind(-1)
    l11, l21, l22 = cholesky.reshape(-1, 3).unbind(-1)
    reach_x, reach_y = cutoff * l11, cutoff * torch.hypot(l21, l22)
    limit = torch.tensor([width, height], dtype=means.dtype)
    low = (
        torch.stack([mx - reach_x, my - reach_y], -1)
        .sub(1.5)
        .floor()
        .clamp(min=torch.zeros(2), max=limit)
        .long()
    )
    high = (
        torch.stack([mx + reach_x, my + reach_y], -1)
        .add(1.5)
        .ceil()
        .clamp(min=torch.zeros(2), max=limit)
        .long()
    )
    extent = (high - low).clamp(min=0)  # [B N, 2]
    used = extent.amin(-1) > 0
    if counts is not None:
        used &= (torch.arange(n)[None] < counts[:, None]).reshape(-1)
    grade = torch.where(used, extent.amax(-1).clamp(min=1).log2().ceil().long(), -1)
    for power in grade.unique().tolist():
        if power < 0:
            continue
        members = torch.nonzero(grade == power)[:, 0]
        side = torch.arange(1 << power)
        for index in members.split(max(1, ELEMENTS_AT_ONCE >> (2 * power))):
            column = low[index, 0, None] + side  # [g, w]
            row = low[index, 1, None] + side  # [g, h]
            u = (column + 0.5 - mx[index, None]) / l11[index, None]
            dy = row + 0.5 - my[index, None]
            v = (dy[:, :, None] - (l21[index, None] * u)[:, None, :]) / l22[index, None, None]
            u = u[:, None, :].expand_as(v)
            q = u.square() + v.square()
            inside = (q <= cutoff**2) & (column < width)[:, None, :] & (row < height)[:, :, None]
            weight = torch.where(inside, torch.exp(-q / 2), 0)
            u, v = torch.where(inside, u, 0), torch.where(inside, v, 0)
            pixel = torch.where(inside, row[:, :, None] * width + column[:, None, :], 0)
            yield index, (pixel, weight, u, v)


def render(
    means: Tensor,
    cholesky: Tensor,
    colors: Tensor,
    counts: Tensor | None,
    size: tuple[int, int],
    cutoff: float,
) -> Tensor:
    """As `native.render`, row by row so that a row's sums do not depend on the batch it is in."""
    batch, n, channels = colors.shape
    pixels = size[0] * size[1]
    out = colors.new_zeros(batch, channels, max(1, pixels))
    for b in range(batch):
        row_counts = None if counts is None else counts[b : b + 1]
        for index, (pixel, weight, _, _) in _patches(
            means[b : b + 1], cholesky[b : b + 1], row_counts, size, cutoff
        ):
            for c in range(channels):
                out[b, c].index_add_(
                    0, pixel.reshape(-1), (weight * colors[b, index, c, None, None]).reshape(-1)
                )
    return out[..., :pixels].reshape(batch, channels, *size)


def render_backward(
    grad: Tensor, means: Tensor, cholesky: Tensor, colors: Tensor, counts: Tensor | None, cutoff: float
) -> tuple[Tensor, Tensor, Tensor]:
    """As `native.render_backward`; the formulas are those of src/gaussian.h without its scaling by k."""
    batch, _, channels = colors.shape
    height, width = grad.shape[-2:]
    gradients = tuple(torch.zeros_like(t) for t in (means, cholesky, colors))
    for b in range(batch):
        row_counts = None if counts is None else counts[b : b + 1]
        flat = grad[b].reshape(channels, -1)
        for index, (pixel, weight, u, v) in _patches(
            means[b : b + 1], cholesky[b : b + 1], row_counts, (height, width), cutoff
        ):
            local = flat[:, pixel]  # [C, g, h, w]
            gradients[2][b, index] = torch.einsum("ghw,cghw->gc", weight, local)
            term = weight * torch.einsum("gc,cghw->ghw", colors[b, index], local)
            su, sv = (term * u).sum((1, 2)), (term * v).sum((1, 2))
            uu, uv, vv = ((term * s).sum((1, 2)) for s in (u * u, u * v, v * v))
            l11, l21, l22 = cholesky[b, index].unbind(-1)
            ratio = l21 / l22
            gradients[0][b, index] = torch.stack([(su - sv * ratio) / l11, sv / l22], -1)
            gradients[1][b, index] = torch.stack([(uu - uv * ratio) / l11, uv / l22, vv / l22], -1)
    return gradients
