"""The optimisation loop that both recipes share: blocks of iterations, snapshots, and stopping early."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterator

import torch
from torch import Tensor

from splat2d import GaussianField

from .target import decibels


@contextlib.contextmanager
def one_torch_thread() -> Iterator[None]:
    """Sums split over threads round differently; besides, workers have one core each."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


CHECK_EVERY = 10
"""Iterations between two looks at `target_psnr`."""


MOST_AT_ONCE = 1000
"""Iterations in one call of the kernels: each makes its memory anew, and none can be interrupted."""


Stop = Callable[[float], bool]
"""Asked with the PSNR so far, dB."""


def stop_at(target_psnr: float | None) -> Stop | None:
    """Whether a fit has gone far enough, where it has anywhere to stop."""
    return None if target_psnr is None else lambda psnr: psnr >= target_psnr


Fields = dict[int, GaussianField]
"""Fields by the number of iterations done."""


def block_ends(iterations: int, snapshots: Collection[int], every: int) -> list[int]:
    """After how many iterations to look up from fitting, ascending, `iterations` the last."""
    looks = {*range(every, iterations, every), *snapshots, iterations}
    return sorted(look for look in looks if 0 < look <= iterations)


def _iterate(
    advance: Callable[[int, int], Tensor],
    look: Callable[[], GaussianField],
    values: int,
    iterations: int,
    stop: Stop | None,
    snapshots: Collection[int],
) -> tuple[int, Fields]:
    """The iterations done and the snapshots of a fit to so many `values`.

    `advance` runs iterations [begin, end) and returns the squared error before each; `look` is the field.
    """
    kept: Fields = {0: look()} if 0 in snapshots else {}
    done = 0
    for end in block_ends(iterations, snapshots, CHECK_EVERY if stop else MOST_AT_ONCE):
        error = advance(done, end)[-1].item() / values
        done = end
        if done in snapshots:
            kept[done] = look()
        if stop and stop(decibels(error)):
            break
    return done, kept
