"""The native CPU kernels behind their C interface, called through ctypes.

ctypes releases the interpreter lock for the length of a call, so worker threads render in parallel. The
library has no Python or torch in it; where it is missing, `LIBRARY` is None and `fallback` is used.
"""

from __future__ import annotations

import ctypes
import sys
import warnings
from collections.abc import Iterator
from ctypes import POINTER, c_float, c_int, c_int64, c_void_p
from functools import cache
from importlib.resources import files
from pathlib import Path

import torch
from torch import Tensor

ABI = 3
MAX_CHANNELS = 8
MAX_CUTOFF = 12.0
MAX_EXTENT = 1 << 24
"""Pixel centres up to here are exact in float32."""
LARGEST, SMALLEST = 1e15, 1e-15
"""Range of what can be rendered (api.cpp): no intermediate overflows within it."""
INSTRUCTION_SETS = ("portable", "avx2", "avx512")

_SUFFIX = {"win32": ".dll", "darwin": ".dylib"}.get(sys.platform, ".so")


def _candidates() -> Iterator[Path]:
    yield Path(str(files("splat2d") / f"splat2d{_SUFFIX}"))
    # Not installed (PYTHONPATH=cuda:.): the newest library in the checkout's build folder.
    build = Path(__file__).resolve().parents[3] / "build"
    yield from sorted(build.glob(f"*/splat2d{_SUFFIX}"), key=lambda p: p.stat().st_mtime, reverse=True)


def _load() -> ctypes.CDLL | None:
    for path in _candidates():
        if path.exists():
            library = ctypes.CDLL(str(path))
            if library.splat2d_abi() == ABI:
                shape = [c_void_p] * 4 + [c_int64, c_int64, c_int, c_int, c_int, c_float, c_int]
                library.splat2d_render.argtypes = [*shape, c_int, c_int, c_void_p, POINTER(c_int64)]
                library.splat2d_render_backward.argtypes = [*shape, *[c_void_p] * 4, POINTER(c_int64)]
                library.splat2d_fit.argtypes = [
                    *[c_void_p, c_int, c_int, c_int, c_int64],
                    *[c_float] * 5,
                    *[c_void_p, c_int64, c_int64],
                    *[c_void_p] * 4,
                ]
                library.splat2d_fit_gaussianimage.argtypes = [
                    *[c_void_p, c_int, c_int, c_int, c_int64, c_float],
                    *[c_void_p, c_void_p, c_float],
                    *[c_void_p, c_int64, c_int64],
                    *[c_void_p] * 3,
                ]
                return library
    return None


LIBRARY = _load()


@cache
def warn_missing() -> None:
    """Warn, once, that the library is missing and what that costs."""
    warnings.warn("splat2d has no C++ library here: rendering with torch, which is slower", stacklevel=2)


def instruction_set() -> str:
    """The instruction set in use: "portable", "avx2" or "avx512". All give the same bits."""
    return INSTRUCTION_SETS[LIBRARY.splat2d_isa()]


def set_instruction_set(name: str) -> None:
    """Use another instruction set; ValueError where this machine lacks it. For tests and benchmarks."""
    if LIBRARY.splat2d_set_isa(INSTRUCTION_SETS.index(name)) != 0:
        raise ValueError(f"this machine has no {name}")


def _pointer(tensor: Tensor | None) -> int | None:
    return None if tensor is None else tensor.data_ptr()


def bad_gaussian(row: int, index: int) -> str:
    """The sentence about a Gaussian that cannot be rendered."""
    return (
        f"Gaussian {index} of row {row} cannot be rendered: means, Cholesky entries and colours must be "
        f"finite, at most {LARGEST:g} in size, and l11 and l22 at least {SMALLEST:g}"
    )


def check_counts(counts: Tensor | None, gaussians: int) -> None:
    """Raise ValueError where a row would use fewer than none or more than all of its Gaussians."""
    if counts is not None and counts.numel() and not 0 <= int(counts.min()) <= int(counts.max()) <= gaussians:
        raise ValueError(f"counts must lie between 0 and the number of Gaussians, {gaussians}")


def _raise(status: int, bad: int = -1, gaussians: int = 1) -> None:
    """Turn the library's status codes (api.cpp) into exceptions."""
    if status == -3:
        raise ValueError(bad_gaussian(*divmod(bad, gaussians)))
    if status == -2:
        raise MemoryError("not enough memory to render")
    if status != 0:
        raise ValueError("splat2d refused arguments that its callers should have checked")


def render(
    means: Tensor,
    cholesky: Tensor,
    colors: Tensor,
    counts: Tensor | None,
    size: tuple[int, int],
    cutoff: float,
    rows: tuple[int, int] | None = None,
) -> Tensor:
    """Contiguous float32 CPU tensors [B, N, 2], [B, N, 3], [B, N, C], counts int64 [B] -> [B, C, H, W].

    With `rows` = (first, end), only those rows of the image.
    """
    batch, n, channels = colors.shape
    check_counts(counts, n)
    first, end = rows or (0, size[0])
    out = colors.new_empty(batch, channels, end - first, size[1])
    bad = c_int64(-1)
    pointers = [_pointer(t) for t in (means, cholesky, colors, counts)]
    status = LIBRARY.splat2d_render(
        *pointers,
        batch,
        n,
        channels,
        *size,
        cutoff,
        torch.get_num_threads(),
        first,
        end - first,
        _pointer(out),
        ctypes.byref(bad),
    )
    _raise(status, bad.value, n)
    return out


def render_backward(
    grad: Tensor, means: Tensor, cholesky: Tensor, colors: Tensor, counts: Tensor | None, cutoff: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients by means, cholesky and colors, given the output's, `grad` [B, C, H, W] (contiguous)."""
    batch, n, channels = colors.shape
    gradients = tuple(torch.zeros_like(t) for t in (means, cholesky, colors))
    bad = c_int64(-1)
    pointers = [_pointer(t) for t in (means, cholesky, colors, counts)]
    outputs = [_pointer(t) for t in (grad, *gradients)]
    status = LIBRARY.splat2d_render_backward(
        *pointers,
        *(batch, n, channels, *grad.shape[-2:], cutoff, torch.get_num_threads()),
        *outputs,
        ctypes.byref(bad),
    )
    _raise(status, bad.value, n)
    return gradients


def fit_fast(
    target: Tensor,  # [C, H, W]
    parameters: Tensor,  # [5 + C, N]
    first: Tensor,  # [5 + C, N]
    second: Tensor,  # [5 + C, N]
    rates: Tensor,  # [iterations, 3]
    *,
    start: int,
    cutoff: float,
    min_sigma: float,
    betas: tuple[float, float],
    epsilon: float,
) -> Tensor:  # [iterations] float64
    """Run `len(rates)` Adam iterations on one crop in place; returns the squared error before each.

    All tensors are contiguous float32. Rows of `parameters`: x, y, then the symmetric square root
    (a, b, c) of the covariance, then colours. `rates` are the learning rates of means, roots and colours;
    `start` iterations were done before. Runs on the calling thread alone.
    """
    channels, height, width = target.shape
    losses = torch.empty(len(rates), dtype=torch.float64)
    status = LIBRARY.splat2d_fit(
        *(_pointer(target), channels, height, width, parameters.shape[1]),
        *(cutoff, min_sigma, *betas, epsilon),
        *(_pointer(rates), start, len(rates)),
        *(_pointer(t) for t in (parameters, first, second, losses)),
    )
    _raise(status)
    return losses


def fit_gaussianimage(
    target: Tensor,  # [C, H, W]
    parameters: Tensor,  # [5 + C, N]
    state: Tensor,  # [4, 5 + C, N]
    rates: Tensor,  # [iterations]
    *,
    start: int,
    cutoff: float,
    bound: tuple[float, float, float],
    betas: tuple[float, float, float],
    epsilon: float,
) -> Tensor:  # [iterations] float64
    """Run `len(rates)` iterations of the published recipe (GaussianImage) on one crop in place.

    All tensors are contiguous float32. Rows of `parameters`: p of the positions W (tanh(p) + 1) / 2 and
    H (tanh(p) + 1) / 2, Cholesky entries less `bound`, colours; a diagonal entry nearer to zero than 0.001 is
    held there. `state` is Adan's: momentum, change and second moment, and the gradient before. Returns the
    squared error of the clamped image before each iteration. Runs on the calling thread alone.
    """
    channels, height, width = target.shape
    losses = torch.empty(len(rates), dtype=torch.float64)
    bound, betas = torch.tensor(bound), torch.tensor(betas)
    status = LIBRARY.splat2d_fit_gaussianimage(
        *(_pointer(target), channels, height, width, parameters.shape[1], cutoff),
        *(_pointer(bound), _pointer(betas), epsilon),
        *(_pointer(rates), start, len(rates)),
        *(_pointer(t) for t in (parameters, state, losses)),
    )
    _raise(status)
    return losses
