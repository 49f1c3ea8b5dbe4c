"""Rendering and fitting on NVIDIA GPUs: what the CUDA kernels are given, and in which order.

Everything is queued on torch's current stream and nothing waits for the device, so what is wrong with values
cannot be raised here: a row with a Gaussian that cannot be rendered, or with a count out of range, is NaN,
and so are its gradients. The results are the bits of the native CPU kernels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from . import cuda_runtime
from .cuda_runtime import WARP, Launch

RECORD_FLOATS, BOX_FLOATS = 8, 4
TILE_WIDTH, TILE_HEIGHT = 8, 4


@dataclass(frozen=True)
class _Scene:
    """A batch of fields as the kernels see them: prepared Gaussians and the tree of boxes over them."""

    launch: Launch
    batch: int
    gaussians: int
    size: tuple[int, int]
    cutoff: float
    records: Tensor
    """[B, N, 8] what src/gaussian.h calls a Shape."""
    boxes: Tensor
    """[B, N, 4] the cells of 4x4 pixels that each may touch."""
    chunks: Tensor
    """[B, ceil(N / 32), 4] hulls of 32 Gaussians."""
    groups: Tensor
    """[B, ceil(N / 1024), 4] hulls of 32 chunks."""
    colors: tuple[Tensor, int, int, int]
    """Where colours lie: the first of them, and the strides of rows, Gaussians and channels."""
    counts: Tensor | None = None
    bad: Tensor | None = None
    """[B] int32, 1 where a row holds what cannot be rendered."""

    @property
    def extent(self) -> tuple[int, int]:
        """What most kernels begin their arguments with: rows, Gaussians of each."""
        return self.batch, self.gaussians

    def tiles(self, first: int, end: int) -> int:
        """Tiles of rows [first, end) of one image; they are aligned to the whole image."""
        return (-(-end // TILE_HEIGHT) - first // TILE_HEIGHT) * -(-self.size[1] // TILE_WIDTH)

    def per_gaussian(self, name: str, *arguments: cuda_runtime.Argument) -> None:
        """Launch a kernel with a lane for every Gaussian."""
        self.launch(name, self.chunks[..., 0].numel(), *arguments)

    def group(self) -> None:
        self.launch("group", self.groups[..., 0].numel(), self.chunks, *self.extent, self.groups)

    def draw(
        self,
        out: Tensor,
        first: int,
        end: int,
        target: Tensor | None = None,
        clamped: float = 0.0,
        errors: Tensor | None = None,
    ) -> None:
        if out.numel():
            self.launch(
                "draw",
                self.batch * self.tiles(first, end),
                *(self.records, self.boxes, self.chunks, self.groups, *self.colors, self.bad),
                *(*self.extent, first, end, self.size[1], self.cutoff, target, clamped, out, errors),
            )

    def gather(self, grad: Tensor, sums: Tensor) -> None:
        self.launch(
            "gather",
            self.batch * -(-self.gaussians // 2),
            *(self.records, self.boxes, *self.colors),
            *(*self.extent, *self.size, self.cutoff, grad, sums),
        )


def _scene(
    like: Tensor, batch: int, n: int, channels: int, size: tuple[int, int], cutoff: float, **rest
) -> _Scene:
    chunks = -(-n // WARP)
    return _Scene(
        cuda_runtime.launcher(like.device, channels),
        *(batch, n, size, float(cutoff)),
        records=like.new_empty(batch, n, RECORD_FLOATS),
        boxes=like.new_empty(batch, n, BOX_FLOATS),
        chunks=like.new_empty(batch, chunks, BOX_FLOATS),
        groups=like.new_empty(batch, -(-chunks // WARP), BOX_FLOATS),
        **rest,
    )


def _prepare(
    means: Tensor,
    cholesky: Tensor,
    colors: Tensor,
    counts: Tensor | None,
    size: tuple[int, int],
    cutoff: float,
) -> _Scene:
    batch, n, channels = colors.shape
    counts = None if counts is None else counts.to(colors.device, non_blocking=True)
    bad = torch.zeros(batch, dtype=torch.int32, device=colors.device)
    placed = (colors, n * channels, channels, 1)
    scene = _scene(colors, batch, n, channels, size, cutoff, colors=placed, counts=counts, bad=bad)
    scene.per_gaussian(
        "prepare",
        *(means, cholesky, colors, counts, *scene.extent, *size, scene.cutoff),
        *(scene.records, scene.boxes, scene.chunks, bad),
    )
    return scene


def render(
    means: Tensor,
    cholesky: Tensor,
    colors: Tensor,
    counts: Tensor | None,
    size: tuple[int, int],
    cutoff: float,
    rows: tuple[int, int] | None = None,
) -> Tensor:
    """As `cpu.render`, for CUDA tensors; a row that cannot be rendered is NaN."""
    first, end = rows or (0, size[0])
    with torch.cuda.device_of(colors):
        out = colors.new_empty(colors.shape[0], colors.shape[2], end - first, size[1])
        scene = _prepare(means, cholesky, colors, counts, size, cutoff)
        scene.group()
        scene.draw(out, first, end)
    return out


def render_backward(
    grad: Tensor, means: Tensor, cholesky: Tensor, colors: Tensor, counts: Tensor | None, cutoff: float
) -> tuple[Tensor, Tensor, Tensor]:
    """As `cpu.render_backward`, for CUDA tensors; NaN for a row that cannot be rendered."""
    with torch.cuda.device_of(colors):
        gradients = tuple(torch.empty_like(t) for t in (means, cholesky, colors))
        batch, n, channels = colors.shape
        sums = colors.new_empty(batch, n, 5 + channels)
        scene = _prepare(means, cholesky, colors, counts, grad.shape[-2:], cutoff)
        scene.gather(grad, sums)
        scene.per_gaussian(
            "gradients",
            *(sums, scene.records, cholesky, scene.counts, scene.bad, *scene.extent, *gradients),
        )
    return gradients


def fit_fast(
    target: Tensor,  # [B, C, H, W]
    parameters: Tensor,  # [B, 5 + C, N]
    first: Tensor,  # [B, 5 + C, N]
    second: Tensor,  # [B, 5 + C, N]
    rates: Tensor,  # [iterations, 3], on the CPU
    *,
    start: int,
    cutoff: float,
    min_sigma: float,
    betas: tuple[float, float],
    epsilon: float,
) -> Tensor:  # [B, iterations] float64
    """As `cpu.fit_fast`, for B crops of one size at once; returns the squared error of each before each step.

    Queues every iteration and returns: reading the losses or the parameters waits for the device. The six
    launches of an iteration are lost in the work on a dozen crops or more; a CUDA graph of them would gain
    only where a crop is fitted alone. A Gaussian that turns NaN is no longer drawn, as on the CPU.
    """
    corrections = 1 / _remembered(betas, start, len(rates))
    schedule = torch.cat([rates.cpu(), corrections.float()], 1).to(target.device, non_blocking=True)
    settings = (float(min_sigma), *(float(beta) for beta in betas), float(epsilon))

    def update(scene: _Scene, sums: Tensor, step: int) -> None:
        given = (sums, scene.records, schedule, step, *scene.extent)
        scene.per_gaussian("update", *given, *settings, parameters, first, second)

    return _descend(target, parameters, len(rates), cutoff, ("prepare_fit", parameters), update)


def fit_gaussianimage(
    target: Tensor,  # [B, C, H, W]
    parameters: Tensor,  # [B, 5 + C, N]
    state: Tensor,  # [B, 4, 5 + C, N]
    rates: Tensor,  # [iterations], on the CPU
    *,
    start: int,
    cutoff: float,
    bound: tuple[float, float, float],
    betas: tuple[float, float, float],
    epsilon: float,
) -> Tensor:  # [B, iterations] float64
    """As `cpu.fit_gaussianimage`, for B crops of one size at once; queues all and returns, as `fit` does."""
    gains = torch.tensor([1.0, betas[1], 1.0]).double()  # as float32: the kernels' own
    corrections = gains / _remembered(betas, start, len(rates))
    schedule = torch.cat([rates.cpu()[:, None], corrections.float()], 1).to(target.device, non_blocking=True)
    bound, settings = (tuple(float(x) for x in given) for given in (bound, (*betas, epsilon)))

    def update(scene: _Scene, sums: Tensor, step: int) -> None:
        given = (sums, scene.records, schedule, step, start + step, *scene.extent, *scene.size)
        scene.per_gaussian("update_gaussianimage", *given, *bound, *settings, parameters, state)

    prepare = ("prepare_gaussianimage", parameters, *bound)
    clamped = 2 / target[0].numel()
    return _descend(target, parameters, len(rates), cutoff, prepare, update, clamped)


def _descend(
    target: Tensor,
    parameters: Tensor,
    iterations: int,
    cutoff: float,
    prepare: tuple[str, *tuple[cuda_runtime.Argument, ...]],
    update: Callable[[_Scene, Tensor, int], None],
    clamped: float = 0.0,
) -> Tensor:
    """Iterate: `prepare`, a kernel and what it is given first; draw and gather; `update`, given the sums of
    each Gaussian and the iteration. Returns the squared errors before each, [B, iterations]."""
    batch, channels, height, width = target.shape
    n = parameters.shape[2]
    with torch.cuda.device_of(target):
        residual = torch.empty_like(target)
        sums = target.new_empty(batch, n, 5 + channels)
        losses = target.new_empty(batch, iterations, dtype=torch.float64)
        placed = (parameters[:, 5:], (5 + channels) * n, 1, n)
        scene = _scene(target, batch, n, channels, (height, width), cutoff, colors=placed)
        tiles = scene.tiles(0, height)
        errors = target.new_empty(batch, tiles)
        for step in range(iterations):
            scene.per_gaussian(
                *prepare,
                *(*scene.extent, *scene.size, scene.cutoff, scene.records, scene.boxes, scene.chunks),
            )
            scene.group()
            scene.draw(residual, 0, height, target, clamped, errors)
            scene.launch("losses", batch, errors, batch, tiles, step, iterations, losses)
            scene.gather(residual, sums)
            update(scene, sums, step)
    return losses


def _remembered(
    betas: tuple[float, ...], start: int, iterations: int
) -> Tensor:  # [iterations, betas] float64
    """1 - beta^count for the counts from start + 1 on, in double precision as fit_workspace.h has it."""
    kernels_own = torch.tensor(betas).tolist()  # float32
    counts = range(start + 1, start + iterations + 1)
    rows = [[1 - beta**count for beta in kernels_own] for count in counts]
    return torch.tensor(rows, dtype=torch.float64).reshape(iterations, len(betas))
