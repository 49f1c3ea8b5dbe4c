"""The torch backend for machines without the C++ library: each Gaussian over its own box of pixels.

It computes the same as `dense`, but its cost grows with the footprints, not with pixels times Gaussians.
Gaussians are grouped by the size of their boxes (powers of two), so that small boxes need little padding.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from . import cpu

ELEMENTS_AT_ONCE = 1 << 22
"""Pixel terms evaluated at once; bounds the memory."""

Patch = tuple[Tensor, Tensor, Tensor, Tensor]
"""Pixel index, weight and whitened coordinates u, v of the boxes of g Gaussians, each [g, h, w]."""


def _patches(
    means: Tensor,
    cholesky: Tensor,
    counts: Tensor | None,
    size: tuple[int, int],
    rows: tuple[int, int],
    cutoff: float,
) -> Iterator[tuple[Tensor, Patch]]:
    """Yield chunks of flat Gaussian indices [g] with their patches.

    Pixels are counted from the first of `rows` = (first, end); a pixel outside `rows` has weight zero.
    """
    height, width = size
    first, end = rows
    n = means.shape[1]
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
    used = (extent.amin(-1) > 0) & (low[:, 1] < end) & (high[:, 1] > first)
    if counts is not None:
        used &= (torch.arange(n)[None] < counts[:, None]).reshape(-1)
    grade = torch.where(used, extent.amax(-1).clamp(min=1).log2().ceil().long(), -1)
    for power in range(int(grade.max()) + 1 if len(grade) else 0):
        members = torch.nonzero(grade == power)[:, 0]
        if not len(members):
            continue
        side = torch.arange(1 << power)
        for index in torch.split(members, max(1, ELEMENTS_AT_ONCE >> (2 * power))):
            column = low[index, 0, None] + side  # [g, w]
            row = low[index, 1, None] + side  # [g, h]
            u = (column + 0.5 - mx[index, None]) / l11[index, None]
            dy = row + 0.5 - my[index, None]
            v = (dy[:, :, None] - (l21[index, None] * u)[:, None, :]) / l22[index, None, None]
            u = u[:, None, :].expand_as(v)
            q = u.square() + v.square()
            inside = (q <= cutoff**2) & (column < width)[:, None, :]
            inside &= ((row >= first) & (row < end))[:, :, None]
            weight = torch.where(inside, torch.exp(-q / 2), 0)
            u, v = torch.where(inside, u, 0), torch.where(inside, v, 0)
            pixel = torch.where(inside, (row[:, :, None] - first) * width + column[:, None, :], 0)
            yield index, (pixel, weight, u, v)


def _check_values(means: Tensor, cholesky: Tensor, colors: Tensor, counts: Tensor | None) -> None:
    values = torch.cat([means, cholesky, colors], -1)
    good = (values.abs() <= cpu.LARGEST).all(-1) & (cholesky[..., 0::2] >= cpu.SMALLEST).all(-1)
    if counts is not None:
        good |= torch.arange(means.shape[1])[None] >= counts[:, None]
    if not good.all():
        row, index = torch.nonzero(~good)[0].tolist()
        raise ValueError(cpu.bad_gaussian(row, index))


def render(
    means: Tensor,
    cholesky: Tensor,
    colors: Tensor,
    counts: Tensor | None,
    size: tuple[int, int],
    cutoff: float,
    rows: tuple[int, int] | None = None,
) -> Tensor:
    """As `cpu.render`, one row at a time, so that a row's sums do not depend on the rest of the batch."""
    batch, n, channels = colors.shape
    rows = rows or (0, size[0])
    extent = (rows[1] - rows[0], size[1])
    pixels = extent[0] * extent[1]
    cpu.check_counts(counts, n)
    _check_values(means, cholesky, colors, counts)
    out = colors.new_zeros(batch, channels, max(1, pixels))
    for b in range(batch):
        row_counts = None if counts is None else counts[b : b + 1]
        for index, (pixel, weight, _, _) in _patches(
            means[b : b + 1], cholesky[b : b + 1], row_counts, size, rows, cutoff
        ):
            for c in range(channels):
                out[b, c].index_add_(
                    0, pixel.reshape(-1), (weight * colors[b, index, c, None, None]).reshape(-1)
                )
    return out[..., :pixels].reshape(batch, channels, *extent)


def render_backward(
    grad: Tensor, means: Tensor, cholesky: Tensor, colors: Tensor, counts: Tensor | None, cutoff: float
) -> tuple[Tensor, Tensor, Tensor]:
    """As `cpu.render_backward`, with the formulas of src/shared/gaussian.h except for its scaling by k."""
    batch, _, channels = colors.shape
    height, width = grad.shape[-2:]
    gradients = (torch.zeros_like(means), torch.zeros_like(cholesky), torch.zeros_like(colors))
    for b in range(batch):
        row_counts = None if counts is None else counts[b : b + 1]
        flat = grad[b].reshape(channels, -1)
        for index, (pixel, weight, u, v) in _patches(
            means[b : b + 1], cholesky[b : b + 1], row_counts, (height, width), (0, height), cutoff
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


def fit_fast(
    target: Tensor,
    parameters: Tensor,
    first: Tensor,
    second: Tensor,
    rates: Tensor,
    *,
    start: int,
    cutoff: float,
    min_sigma: float,
    betas: tuple[float, float],
    epsilon: float,
    opposed: float = 1.0,
) -> Tensor:
    """As `cpu.fit_fast`, in torch (src/cpu/fit_fast.h)."""
    size = (target.shape[1], target.shape[2])
    losses = torch.empty(len(rates), dtype=torch.float64)
    for step, rate in enumerate(rates):
        a, b, c = root = parameters[2:5]
        l11 = torch.sqrt(a * a + b * b)
        cholesky = torch.stack([l11, b * (a + c) / l11, (a * c - b * b) / l11], -1)[None]
        means, colors = parameters[:2].T[None].contiguous(), parameters[5:].T[None].contiguous()
        error = render(means, cholesky, colors, None, size, cutoff) - target
        losses[step] = error.double().square().sum()
        by_mean, by_cholesky, by_color = render_backward(error, means, cholesky, colors, None, cutoff)
        by_root = _root_gradient(by_cholesky[0], cholesky[0], root)
        gradient = torch.cat([by_mean[0].T, by_root, by_color[0].T])
        first.lerp_(gradient, 1 - betas[0])
        second.lerp_(gradient.square(), 1 - betas[1])
        count = start + step + 1
        corrected = first / (1 - betas[0] ** count)
        scale = (second / (1 - betas[1] ** count)).sqrt() + epsilon
        taken = torch.where(first * gradient > 0, corrected / scale, opposed * corrected / scale)
        channels = parameters.shape[0] - 5
        parameters -= torch.repeat_interleave(rate, torch.tensor([2, 3, channels]))[:, None] * taken
        parameters[2:5] = _lift_eigenvalues(parameters[2:5], min_sigma)
    return losses


def _root_gradient(by_cholesky: Tensor, cholesky: Tensor, root: Tensor) -> Tensor:  # [3, N]
    """Turn the gradient of the Cholesky factor L into that of the symmetric root R; S = L L' = R R."""
    a, b, c = root
    l11, l21, l22 = cholesky.unbind(-1)
    g11, g21, g22 = by_cholesky.unbind(-1)
    # With respect to S: G = L^-T sym(L' dL) L^-1 / 2, sym's off-diagonal entry shared between its two places.
    m11, m12, m22 = (l11 * g11 + l21 * g21) / 2, l22 * g21 / 2, l22 * g22 / 2
    p, s = 1 / l11, 1 / l22
    q = -l21 * p * s
    s11 = p * (m11 * p + m12 * q) + q * (m12 * p + m22 * q)
    s12, s22 = s * (p * m12 + q * m22), s * s * m22
    return torch.stack(
        [2 * (a * s11 + b * s12), 2 * (a * s12 + b * s22 + b * s11 + c * s12), 2 * (b * s12 + c * s22)]
    )


def _lift_eigenvalues(root: Tensor, floor: float) -> Tensor:  # [3, N]
    a, b, c = root
    mid, half = (a + c) / 2, (a - c) / 2
    spread = torch.hypot(half, b)
    high, low = (mid + spread).clamp(min=floor), (mid - spread).clamp(min=floor)
    shrink = torch.where(spread > 0, (high - low) / (2 * spread), 0)
    lifted = torch.stack([(high + low) / 2 + half * shrink, b * shrink, (high + low) / 2 - half * shrink])
    return torch.where(mid - spread >= floor, root, lifted)
