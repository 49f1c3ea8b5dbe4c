"""The optimisation loop of all recipes: blocks of iterations, snapshots, early stopping at a target PSNR.

The iterations of a block run in splat2d: src/cpu/fit_fast.h and fit_gaussianimage.h, or the CUDA kernels.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterator
from typing import Protocol

import torch
from torch import Tensor

from splat2d import GaussianField

from .target import psnr_from_mse

CHECK_EVERY = 10
"""Iterations between two comparisons with `target_psnr`."""

MOST_AT_ONCE = 1000
"""Iterations in one call of the fused fit: each call allocates memory, and cannot be interrupted."""

Fields = dict[int, GaussianField]
"""Fields of one crop by the number of iterations done."""


class Run(Protocol):
    """A batch of B crops of one shape being fitted; no crop's result depends on the others."""

    @property
    def targets(self) -> Tensor:
        """[B, C, H, W] float32, the pixels that are fitted."""

    def advance(self, begin: int, end: int) -> Tensor:
        """Run iterations `begin` to `end`; return the summed squared error before each, [B, end - begin]."""

    def field(self, crop: int) -> GaussianField:
        """Return a copy of the current field (B = 1) of one crop, on the CPU."""


def optimise(
    run: Run, iterations: int, target_psnr: float | None = None, snapshots: Collection[int] = ()
) -> list[Fields]:
    """Run all iterations; return each crop's fields at the snapshots that it reached, and its last field.

    A crop that reaches `target_psnr` (dB) keeps that field; the batch keeps updating it, and those extra
    steps are discarded.
    """
    values = run.targets[0].numel()
    running = list(range(len(run.targets)))
    fields: list[Fields] = [{0: run.field(crop)} if 0 in snapshots else {} for crop in running]
    done = 0
    for end in block_ends(iterations, snapshots, MOST_AT_ONCE if target_psnr is None else CHECK_EVERY):
        errors = run.advance(done, end)[:, -1].tolist()
        done = end
        ended = [
            crop
            for crop in running
            if done == iterations
            or (target_psnr is not None and psnr_from_mse(errors[crop] / values) >= target_psnr)
        ]
        for crop in running if done in snapshots else ended:
            fields[crop][done] = run.field(crop)
        running = [crop for crop in running if crop not in ended]
        if not running:
            break
    return fields


def block_ends(iterations: int, snapshots: Collection[int], every: int) -> list[int]:
    """Return the iterations at which a block ends, ascending: multiples of `every`, snapshots, the last."""
    ends = {*range(every, iterations, every), *snapshots, iterations}
    return sorted(end for end in ends if 0 < end <= iterations)


def crop_by_crop(fit: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Turn a function that fits one crop in place into one that fits a batch, row after row."""

    def fit_batch(*batched: Tensor, rates: Tensor, **settings: object) -> Tensor:
        rows = zip(*batched, strict=True)
        return torch.stack([fit(*row, rates=rates, **settings) for row in rows])

    return fit_batch


@contextlib.contextmanager
def one_torch_thread() -> Iterator[None]:
    """Limit torch to one thread: sums split over threads round differently, and each worker has one core."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
