"""`render`, which chooses the backend, as a custom torch operator: autograd, torch.compile, autocast."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from .backends import cpu, cuda, dense, fallback

DEFAULT_CUTOFF = 3.33
"""Mahalanobis radius beyond which a Gaussian is dropped: weight below 1/255 (GaussianImage)."""


def backend() -> str:
    """Return the backend for float32 CPU tensors: "cpu" (the C++ library) or "torch" (if there is none).

    >>> backend() in ("cpu", "torch")
    True
    """
    return "torch" if cpu.LIBRARY is None else "cpu"


def render(
    means: Tensor,  # [B, N, 2]
    cholesky: Tensor,  # [B, N, 3]
    colors: Tensor,  # [B, N, C]
    size: tuple[int, int],
    *,
    counts: Tensor | None = None,  # [B]
    cutoff: float = DEFAULT_CUTOFF,
) -> Tensor:  # [B, C, H, W]
    """Render B sums of 2D Gaussians: out(p) = sum_n c_n exp(-q_n(p) / 2), dropping terms of q > cutoff^2.

    Args:
        means: [B, N, 2] centres (x, y) in pixels; pixel (row i, column j) is centred on (j + 0.5, i + 0.5).
        cholesky: [B, N, 3] covariance factors (l11, l21, l22) in pixels, l11, l22 > 0 (README, Conventions).
        colors: [B, N, C] amplitudes, C from 1 to 8, unbounded.
        size: (height, width) of the output in pixels.
        counts: [B] int64, row b uses its first counts[b] Gaussians; default all N.
        cutoff: Mahalanobis radius of the footprint, up to 12.

    Returns:
        [B, C, height, width] in float32; float64 inputs are rendered in float64 by `backends.dense`, and
        half-precision inputs, as under autocast, in float32. Differentiable with respect to means, cholesky
        and colors, with the footprint's edge held fixed. In float32, the bits of a row depend neither on the
        other rows of the batch nor on the number of threads.

    Raises:
        ValueError: for shapes or values that cannot be rendered: entries that are not finite or above 1e15 in
            size, l11 or l22 below 1e-15, counts out of range. On CUDA, checking values would mean waiting for
            the device, so a row with such values becomes NaN instead, and so do its gradients. Values and
            counts in float64 are not checked.

    Source: GaussianImage (Zhang et al. 2024), Eq. 7; ContinuousSR, Eq. 5 without its normaliser.

    >>> means = torch.tensor([[[2.5, 1.5]]])  # the centre of the pixel in row 1, column 2
    >>> round_one = torch.tensor([[[1.0, 0.0, 1.0]]])
    >>> image = render(means, round_one, torch.tensor([[[2.0]]]), (3, 5))
    >>> image.shape, round(image[0, 0, 1, 2].item(), 4), round(image[0, 0, 1, 3].item(), 4)
    (torch.Size([1, 1, 3, 5]), 2.0, 1.2131)
    """
    _check(means, cholesky, colors, size, counts, cutoff)
    height, width = (int(extent) for extent in size)
    if means.dtype == torch.float64:
        return dense.render(means, cholesky, colors, (height, width), counts, cutoff)
    with torch.autocast(means.device.type, enabled=False):
        return _render(means.float(), cholesky.float(), colors.float(), counts, height, width, float(cutoff))


@torch.no_grad()
def render_rows(
    means: Tensor,
    cholesky: Tensor,
    colors: Tensor,
    size: tuple[int, int],
    rows: tuple[int, int],
    *,
    counts: Tensor | None = None,
    cutoff: float = DEFAULT_CUTOFF,
) -> Tensor:  # [B, C, end - first, W]
    """Render `rows` = (first, end), end excluded, of the image that `render` makes, with the same bits.

    For images larger than memory: on the CPU, and without gradients. Other arguments and errors are those of
    `render`. Returns [B, C, end - first, width].
    """
    _check(means, cholesky, colors, size, counts, cutoff)
    height, width = (int(extent) for extent in size)
    first, end = (int(row) for row in rows)
    if not 0 <= first <= end <= height:
        raise ValueError(f"rows must be (first, end) within the {height} of the image, got {rows}")
    if means.device.type != "cpu":
        raise ValueError(f"parts of an image are rendered on the CPU, not on {means.device.type}")
    if means.dtype == torch.float64:
        return dense.render(means, cholesky, colors, (height, width), counts, cutoff, (first, end))
    inputs = (t.float().contiguous() for t in (means, cholesky, colors))
    chosen = _backend_for(means.device)
    image: Tensor = chosen.render(*inputs, _contiguous(counts), (height, width), float(cutoff), (first, end))
    return image


def _check(
    means: Tensor,
    cholesky: Tensor,
    colors: Tensor,
    size: tuple[int, int],
    counts: Tensor | None,
    cutoff: float,
) -> None:
    if means.ndim != 3 or means.shape[-1] != 2:
        raise ValueError(f"means must be [B, N, 2], got {list(means.shape)}")
    if cholesky.shape != (*means.shape[:2], 3):
        raise ValueError(
            f"cholesky must be {[*means.shape[:2], 3]} to match means, got {list(cholesky.shape)}"
        )
    if colors.ndim != 3 or colors.shape[:2] != means.shape[:2]:
        raise ValueError(f"colors must be {[*means.shape[:2], 'C']} to match means, got {list(colors.shape)}")
    if not 1 <= colors.shape[2] <= cpu.MAX_CHANNELS:
        raise ValueError(f"colors must have 1 to {cpu.MAX_CHANNELS} channels, got {colors.shape[2]}")
    if not all(tensor.is_floating_point() for tensor in (means, cholesky, colors)):
        types = f"{means.dtype}, {cholesky.dtype} and {colors.dtype}"
        raise ValueError(f"means, cholesky and colors must be floats, got {types}")
    if len({means.device, cholesky.device, colors.device}) > 1:
        raise ValueError("means, cholesky and colors must be on one device")
    if counts is not None and (counts.shape != means.shape[:1] or counts.dtype != torch.int64):
        raise ValueError(f"counts must be int64 [{means.shape[0]}], got {counts.dtype} {list(counts.shape)}")
    if len(size) != 2 or not all(0 <= extent <= cpu.MAX_EXTENT for extent in size):
        raise ValueError(f"size must be (height, width), each from 0 to {cpu.MAX_EXTENT}, got {size}")
    if not 0 < cutoff <= cpu.MAX_CUTOFF:
        raise ValueError(f"cutoff must be above 0 and at most {cpu.MAX_CUTOFF:g}, got {cutoff}")


def _backend_for(device: torch.device) -> ModuleType:
    if device.type == "cuda":
        return cuda
    if device.type != "cpu":
        raise ValueError(f"splat2d renders on CPU and CUDA, not on {device.type}: move the field with .cpu()")
    if cpu.LIBRARY is None:
        cpu.warn_missing()
        return fallback
    return cpu


@torch.library.custom_op("splat2d::render", mutates_args=())
def _render(
    means: Tensor,
    cholesky: Tensor,
    colors: Tensor,
    counts: Tensor | None,
    height: int,
    width: int,
    cutoff: float,
) -> Tensor:
    inputs = (means.contiguous(), cholesky.contiguous(), colors.contiguous())
    image: Tensor = _backend_for(means.device).render(*inputs, _contiguous(counts), (height, width), cutoff)
    return image


@torch.library.custom_op("splat2d::render_backward", mutates_args=())
def _render_backward(
    grad: Tensor, means: Tensor, cholesky: Tensor, colors: Tensor, counts: Tensor | None, cutoff: float
) -> tuple[Tensor, Tensor, Tensor]:
    inputs = (grad.contiguous(), means.contiguous(), cholesky.contiguous(), colors.contiguous())
    gradients: tuple[Tensor, Tensor, Tensor] = _backend_for(means.device).render_backward(
        *inputs, _contiguous(counts), cutoff
    )
    return gradients


def _contiguous(counts: Tensor | None) -> Tensor | None:
    return None if counts is None else counts.contiguous()


@_render.register_fake
def _(
    means: Tensor,
    cholesky: Tensor,
    colors: Tensor,
    counts: Tensor | None,
    height: int,
    width: int,
    cutoff: float,
) -> Tensor:
    return colors.new_empty(colors.shape[0], colors.shape[2], height, width)


@_render_backward.register_fake
def _(
    grad: Tensor, means: Tensor, cholesky: Tensor, colors: Tensor, counts: Tensor | None, cutoff: float
) -> tuple[Tensor, Tensor, Tensor]:
    return (means.new_empty(means.shape), cholesky.new_empty(cholesky.shape), colors.new_empty(colors.shape))


# `ctx` is torch's, which has no type for it.
def _save_inputs(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    means, cholesky, colors, counts, _, _, ctx.cutoff = inputs
    ctx.save_for_backward(means, cholesky, colors, counts)


def _gradients(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    means, cholesky, colors, counts = ctx.saved_tensors
    return (*_render_backward(grad, means, cholesky, colors, counts, ctx.cutoff), None, None, None, None)


_render.register_autograd(_gradients, setup_context=_save_inputs)
