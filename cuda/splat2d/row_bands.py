"""Which Gaussians may reach some rows of a large image, so that only these are placed and rendered."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

RUN = 1 << 14
"""Gaussians in a row of memory that are looked at together: in a network's fields they are neighbours."""


MOST_AT_ONCE = 3 << 20
"""Gaussians that are placed and rendered at once, unless more reach LEAST_ROWS rows. Each takes about 100
bytes meanwhile, three times as many as in a field."""
LEAST_ROWS = 8


class RowIndex:
    """Finds the Gaussians that may reach some rows, without a copy of them all.

    Gaussians that are not finite count as near all rows.

    >>> means = torch.tensor([[[2.0, 2.0], [3.0, 30.0]]])
    >>> index = RowIndex(means, torch.tensor([1.0, 0.0, 1.0]).expand(1, 2, 3), scale=2, cutoff=3, added=0)
    >>> index.reaching((0, 12)).tolist(), index.reaching((16, 48)).tolist()
    ([0], [])
    """

    def __init__(self, means: Tensor, cholesky: Tensor, *, scale: float, cutoff: float, added: float) -> None:
        """Index Gaussians [B, N, 2] and [B, N, 3], of one unit, whose ellipses end at `cutoff`.

        A unit has `scale` rows. `added` is the variance along y, in units squared, by which the Gaussians may
        be wider when they are rendered.
        """
        self.means, self.cholesky = means, cholesky
        self.scale, self.cutoff, self.added = scale, cutoff, added
        runs = range(0, means.shape[1], RUN)
        self.ends = torch.empty(2, len(runs), dtype=means.dtype, device=means.device)
        for number, first in enumerate(runs):
            top, bottom = self._ends(slice(first, first + RUN))
            self.ends[0, number], self.ends[1, number] = top.amin(), bottom.amax()  # NaN if any is

    def reaching(self, rows: tuple[float, float]) -> Tensor:
        """The indices [K] int64, in their order, of Gaussians that may reach `rows` in any field."""
        first, end = (rows[0] - 1) / self.scale, (rows[1] + 1) / self.scale  # rounding leaves none out
        near = ~((self.ends[1] < first) | (self.ends[0] > end))  # NaN is near
        found = [near.new_zeros(0, dtype=torch.int64)]
        for run in near.nonzero()[:, 0].tolist():
            top, bottom = self._ends(slice(run * RUN, (run + 1) * RUN))
            found.append((~((bottom < first) | (top > end))).any(0).nonzero()[:, 0] + run * RUN)
        return torch.cat(found)

    def parts(self, rows: tuple[int, int], above: float = 0.0) -> Iterator[tuple[tuple[int, int], Tensor]]:
        """Divide `rows` into parts that at most MOST_AT_ONCE Gaussians reach; yields each, and `reaching` it.

        The first of all rows lies `above` rows below the top.
        """
        first, end = rows
        near = self.reaching((first + above, end + above))
        if len(self.means) * len(near) <= MOST_AT_ONCE or end - first <= LEAST_ROWS:
            yield rows, near
            return
        del near
        middle = first + (end - first) // 2 // 4 * 4
        yield from self.parts((first, middle), above)
        yield from self.parts((middle, end), above)

    def _ends(self, part: slice) -> tuple[Tensor, Tensor]:
        """The highest and the lowest place that each Gaussian of a part may reach: [B, n]."""
        _, l21, l22 = self.cholesky[:, part].unbind(-1)
        reach = self.cutoff * torch.sqrt(l21.square() + l22.square() + self.added)
        y = self.means[:, part, 1]
        return y - reach, y + reach


def by_runs(kept: Tensor, make: Callable[[Tensor], Sequence[Tensor]]) -> list[Tensor]:
    """Return `make(kept)`, tensors [B, K, ...] of indices [K], made run by run: what is between stays small.

    >>> [made.tolist() for made in by_runs(torch.arange(3), lambda run: [2 * run[None]])]
    [[[0, 2, 4]]]
    """
    whole: list[Tensor] = []
    first = 0
    for run in torch.split(kept, RUN):  # one at least, empty or not
        made = make(run)
        whole = whole or [part.new_empty(part.shape[0], len(kept), *part.shape[2:]) for part in made]
        for into, part in zip(whole, made, strict=True):
            into[:, first : first + len(run)] = part
        first += len(run)
    return whole
