"""Rendering and fitting on NVIDIA GPUs: launches the CUDA kernels in order.

Everything is queued on torch's current stream and nothing waits for the device, so wrong values raise no
error here: a row with a Gaussian that cannot be rendered, or with a count out of range, becomes NaN, and so
do its gradients. The results are bit-identical to the cpu backend's.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

import torch
from torch import Tensor

from . import cuda_launch
from .cuda_launch import WARP, Launch

RECORD_FLOATS, BOX_FLOATS = 8, 4
TILE_WIDTH, TILE_HEIGHT = 8, 4


@dataclass(frozen=True)
class _Scene:
    """A batch of fields on the GPU: prepared Gaussians and the tree of boxes over them."""

    launch: Launch
    batch: int
    gaussians: int
    size: tuple[int, int]
    cutoff: float
    records: Tensor
    """[B, N, 8], each a Shape of src/shared/gaussian.h."""
    boxes: Tensor
    """[B, N, 4], for each Gaussian the box of 4x4-pixel cells that it may touch."""
    chunks: Tensor
    """[B, ceil(N / 32), 4], the bounding boxes of 32 Gaussians each."""
    groups: Tensor
    """[B, ceil(N / 1024), 4], the bounding boxes of 32 chunks each."""
    colors: tuple[Tensor, int, int, int]
    """A tensor that begins with the first colour, and the strides of rows, Gaussians and channels."""
    counts: Tensor | None = None
    bad: Tensor | None = None
    """[B] int32, 1 for a row that cannot be rendered."""

    @property
    def extent(self) -> tuple[int, int]:
        """(B, N): rows, and Gaussians per row."""
        return self.batch, self.gaussians

    def tiles(self, first: int, end: int) -> int:
        """Number of tiles in rows [first, end) of one image; they are aligned to the whole image."""
        return (-(-end // TILE_HEIGHT) - first // TILE_HEIGHT) * -(-self.size[1] // TILE_WIDTH)

    def per_gaussian(self, name: str, *arguments: cuda_launch.Argument) -> None:
        """Launch a kernel with one lane per Gaussian."""
        self.launch(name, self.chunks[..., 0].numel(), *arguments)

    def group(self) -> None:
        """Compute the bounding boxes of the groups."""
        self.launch("group", self.groups[..., 0].numel(), self.chunks, *self.extent, self.groups)

    def rasterize(
        self,
        out: Tensor,
        first: int,
        end: int,
        target: Tensor | None = None,
        clamped: float = 0.0,
        errors: Tensor | None = None,
    ) -> None:
        """Rasterize rows [first, end) into `out`, or with `target` the gradient of a loss (kernels.cu)."""
        if out.numel():
            self.launch(
                "rasterize",
                self.batch * self.tiles(first, end),
                *(self.records, self.boxes, self.chunks, self.groups, *self.colors, self.bad),
                *(*self.extent, first, end, self.size[1], self.cutoff, target, clamped, out, errors),
            )

    def gather(self, grad: Tensor, sums: Tensor) -> None:
        """Sum up `grad` [B, C, H, W] over each Gaussian's footprint."""
        self.launch(
            "gather",
            self.batch * -(-self.gaussians // 2),
            *(self.records, self.boxes, *self.colors),
            *(*self.extent, *self.size, self.cutoff, grad, sums),
        )


def _scene(
    like: Tensor,
    batch: int,
    n: int,
    channels: int,
    size: tuple[int, int],
    cutoff: float,
    colors: tuple[Tensor, int, int, int],
    counts: Tensor | None = None,
    bad: Tensor | None = None,
) -> _Scene:
    """Allocate a scene's records and boxes on the device of `like`."""
    chunks = -(-n // WARP)
    return _Scene(
        cuda_launch.launcher(like.device, channels),
        *(batch, n, size, float(cutoff)),
        records=like.new_empty(batch, n, RECORD_FLOATS),
        boxes=like.new_empty(batch, n, BOX_FLOATS),
        chunks=like.new_empty(batch, chunks, BOX_FLOATS),
        groups=like.new_empty(batch, -(-chunks // WARP), BOX_FLOATS),
        colors=colors,
        counts=counts,
        bad=bad,
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
    with _on_device_of(colors):
        out = colors.new_empty(colors.shape[0], colors.shape[2], end - first, size[1])
        scene = _prepare(means, cholesky, colors, counts, size, cutoff)
        scene.group()
        scene.rasterize(out, first, end)
    return out


def render_backward(
    grad: Tensor, means: Tensor, cholesky: Tensor, colors: Tensor, counts: Tensor | None, cutoff: float
) -> tuple[Tensor, Tensor, Tensor]:
    """As `cpu.render_backward`, for CUDA tensors; NaN for a row that cannot be rendered."""
    with _on_device_of(colors):
        gradients = (torch.empty_like(means), torch.empty_like(cholesky), torch.empty_like(colors))
        batch, n, channels = colors.shape
        height, width = grad.shape[-2:]
        sums = colors.new_empty(batch, n, 5 + channels)
        scene = _prepare(means, cholesky, colors, counts, (height, width), cutoff)
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
    opposed: float = 1.0,
) -> Tensor:  # [B, iterations] float64
    """As `cpu.fit_fast`, for B crops of one size at once; return each crop's squared error before each step.

    Queues all iterations and returns; reading the losses or the parameters waits for the device. With a
    dozen crops or more, the six launches of an iteration cost little compared with its work; a CUDA graph
    would help only for a single crop. As on the CPU, a Gaussian that becomes NaN is no longer rasterized.
    """
    corrections = 1 / _bias_corrections(betas, start, len(rates))
    schedule = torch.cat([rates.cpu(), corrections.float()], 1).to(target.device, non_blocking=True)
    settings = [float(x) for x in (min_sigma, *betas, epsilon, opposed)]

    def update(scene: _Scene, sums: Tensor, step: int) -> None:
        given = (sums, scene.records, schedule, step, *scene.extent)
        scene.per_gaussian("update_fast", *given, *settings, parameters, first, second)

    return _iterate(target, parameters, len(rates), cutoff, ("prepare_fast", (parameters,)), update)


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
    """As `cpu.fit_gaussianimage`, for B crops of one size at once; asynchronous, as `fit_fast`."""
    gains = torch.tensor([1.0, betas[1], 1.0]).double()  # rounded to float32, as in the C++ code
    corrections = gains / _bias_corrections(betas, start, len(rates))
    schedule = torch.cat([rates.cpu()[:, None], corrections.float()], 1).to(target.device, non_blocking=True)
    offsets, settings = [float(x) for x in bound], [float(x) for x in (*betas, epsilon)]

    def update(scene: _Scene, sums: Tensor, step: int) -> None:
        given = (sums, scene.records, schedule, step, start + step, *scene.extent, *scene.size)
        scene.per_gaussian("update_gaussianimage", *given, *offsets, *settings, parameters, state)

    clamped = 2 / target[0].numel()
    first: tuple[cuda_launch.Argument, ...] = (parameters, *offsets)
    prepare = ("prepare_gaussianimage", first)
    return _iterate(target, parameters, len(rates), cutoff, prepare, update, clamped)


def _on_device_of(tensor: Tensor) -> AbstractContextManager[None]:
    return torch.cuda.device_of(tensor)  # type: ignore[no-untyped-call]  # torch's class has no types


def _iterate(
    target: Tensor,
    parameters: Tensor,
    iterations: int,
    cutoff: float,
    prepare: tuple[str, tuple[cuda_launch.Argument, ...]],
    update: Callable[[_Scene, Tensor, int], None],
    clamped: float = 0.0,
) -> Tensor:
    """Run the iterations of a fit; return the squared errors before each, [B, iterations].

    `prepare` is a kernel's name and its first arguments. Each iteration prepares, rasterizes and gathers,
    then calls `update` with the sums over each Gaussian's footprint and the index of the iteration.
    """
    batch, channels, height, width = target.shape
    n = parameters.shape[2]
    with _on_device_of(target):
        residual = torch.empty_like(target)
        sums = target.new_empty(batch, n, 5 + channels)
        losses = target.new_empty(batch, iterations, dtype=torch.float64)
        placed = (parameters[:, 5:], (5 + channels) * n, 1, n)
        scene = _scene(target, batch, n, channels, (height, width), cutoff, colors=placed)
        tiles = scene.tiles(0, height)
        errors = target.new_empty(batch, tiles)
        for step in range(iterations):
            scene.per_gaussian(
                prepare[0],
                *prepare[1],
                *(*scene.extent, *scene.size, scene.cutoff, scene.records, scene.boxes, scene.chunks),
            )
            scene.group()
            scene.rasterize(residual, 0, height, target, clamped, errors)
            scene.launch("losses", batch, errors, batch, tiles, step, iterations, losses)
            scene.gather(residual, sums)
            update(scene, sums, step)
    return losses


def _bias_corrections(
    betas: tuple[float, ...], start: int, iterations: int
) -> Tensor:  # [iterations, betas] float64
    """1 - beta^count for counts from start + 1 on, in double precision as in fit_workspace.h."""
    rounded = torch.tensor(betas).tolist()  # to float32, as in the C++ code
    counts = range(start + 1, start + iterations + 1)
    rows = [[1 - beta**count for beta in rounded] for count in counts]
    return torch.tensor(rows, dtype=torch.float64).reshape(iterations, len(betas))
