"""Normalised fields: sums divided by their weights, and the Gaussians that fill the gaps between them."""

from __future__ import annotations

import torch
from torch import Tensor

OUT_OF_SIGHT = 1e9
"""Distance in pixels of Gaussians that are not to be drawn."""
RUN = 1 << 14
"""Gaussians of each row that are looked at together."""


def divided_by_weight(pixels: Tensor) -> Tensor:
    """Divide rendered colours by the last channel, the sum of weights: [B, C + 1, H, W] -> [B, C, H, W].

    A pixel that no Gaussian reaches is 0.
    """
    colors, weight = pixels[:, :-1], pixels[:, -1:]
    return colors / torch.where(weight > 0, weight, 1.0)


@torch.no_grad()
def near_gaps(
    means: Tensor,  # [B, N, 2]
    cholesky: Tensor,  # [B, N, 3]
    gaps: Tensor,  # [B, H, W] bool
    *,
    top: int,
    added: tuple[float, float],
    cutoff: float,
) -> Tensor:  # [B, N] bool
    """Tell which Gaussians may reach a gap once they are blurred: the box of their ellipse holds one.

    Args:
        means: [B, N, 2] centres in the pixels of a picture.
        cholesky: [B, N, 3] covariance factors, before the blur.
        gaps: [B, H, W], the gaps among the picture's rows from `top` on.
        top: the row of the picture that is the first of `gaps`.
        added: the blur's variances along x and y in pixels squared.
        cutoff: Mahalanobis radius at which the ellipses end.

    What is not finite counts as near. Nothing waits for the device.

    >>> means = torch.tensor([[[2.0, 2.0], [30.0, 2.0]]])
    >>> gaps = torch.zeros(1, 4, 40, dtype=torch.bool)
    >>> gaps[0, 1, 5] = True
    >>> near_gaps(means, torch.tensor([0.1, 0.0, 0.1]).expand(1, 2, 3), gaps, top=0, added=(1, 1), cutoff=3)
    tensor([[ True, False]])
    """
    height, width = gaps.shape[1:]
    # Entry (i, j) is the number of gaps above row i and left of column j (a summed area table: Crow 1984).
    table = torch.zeros(len(gaps), height + 1, width + 1, dtype=torch.int32, device=gaps.device)
    table[:, 1:, 1:] = gaps.cumsum(-1, dtype=torch.int32).cumsum(-2, dtype=torch.int32)
    table = table.flatten(1)

    def near(means: Tensor, cholesky: Tensor) -> Tensor:
        l11, l21, l22 = cholesky.unbind(-1)
        mx, my = means.unbind(-1)
        left, right = _span(mx, cutoff * torch.sqrt(l11.square() + added[0]), width)
        reach_y = cutoff * torch.sqrt(l21.square() + l22.square() + added[1])
        above, below = _span(my - top, reach_y, height)
        above *= width + 1
        below *= width + 1
        inside = table.gather(1, below + right) - table.gather(1, below + left)
        return inside > table.gather(1, above + right) - table.gather(1, above + left)

    if means.device.type != "cpu":
        return near(means, cholesky)
    runs = (torch.split(tensor, RUN, 1) for tensor in (means, cholesky))  # what is between stays in a cache
    return torch.cat([near(*run) for run in zip(*runs, strict=True)], 1)


def only(
    chosen: Tensor,  # [B, N] bool
    means: Tensor,  # [B, N, 2]
    cholesky: Tensor,  # [B, N, 3]
    colors: Tensor,  # [B, N, C]
    counts: Tensor | None,  # [B]
    *,
    fewer: bool | None = None,
) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
    """Return Gaussians that are drawn as the `chosen` ones alone would be: means, cholesky, colors, counts.

    With `fewer`, the default on the CPU, they are those that are chosen in any row, in their order. Elsewhere
    counting these would mean waiting for the device: there are as many as before, the others out of sight.
    """
    if not (means.device.type == "cpu" if fewer is None else fewer):
        far = -min(OUT_OF_SIGHT, torch.finfo(means.dtype).max / 2)
        shown = chosen[..., None]
        return torch.where(shown, means, far), torch.where(shown, cholesky, 1.0), colors, counts
    kept = chosen.any(0).nonzero()[:, 0]
    if counts is not None:
        counts = (kept < counts[:, None]).sum(1)
    return means[:, kept], cholesky[:, kept], colors[:, kept], counts


def _span(centre: Tensor, reach: Tensor, extent: int) -> tuple[Tensor, Tensor]:
    """The first pixel within reach and the one after the last, [B, N] int64 from 0 to `extent`.

    It is wider by a pixel, so that rounding leaves none out; fmin and fmax turn NaN into the whole extent.
    """
    zero, end = centre.new_zeros(()), centre.new_full((), extent)
    first = torch.fmin(torch.fmax((centre - reach - 1).floor_(), zero), end)
    last = torch.fmax(torch.fmin((centre + reach + 1).ceil_(), end), zero)
    return first.long(), last.long()
