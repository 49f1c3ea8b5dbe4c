"""The C++ backend (src/cpu), called through its C interface with ctypes.

ctypes releases the interpreter lock during a call, so worker threads render in parallel. The library knows
neither Python nor torch. If it is missing, `LIBRARY` is None and `splat2d` renders with `fallback`.
"""

from __future__ import annotations

import ctypes
import warnings
from ctypes import c_float, c_int32, c_int64, c_void_p
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

from ..native_library import library_paths, open_library

ABI = 5
"""Version of the C interface (api.h) that this module calls; a library of another version is not loaded."""
MAX_CHANNELS = 8
MAX_CUTOFF = 12.0
MAX_EXTENT = 1 << 24
"""Largest height and width: up to here pixel centres are exact in float32."""
LARGEST, SMALLEST = 1e15, 1e-15
"""Limits of values that can be rendered (api.cpp): within them no intermediate result overflows."""
INSTRUCTION_SETS = ("portable", "avx2", "avx512")

_BAD_GAUSSIAN, _NO_MEMORY = -3, -2  # api.h's Status


class FieldArguments(ctypes.Structure):
    """Mirror of the struct in src/cpu/api.h, member by member; so are the structs below."""

    _fields_ = (
        ("batch", c_int64),
        ("gaussians", c_int64),
        ("means", c_void_p),
        ("cholesky", c_void_p),
        ("colors", c_void_p),
        ("counts", c_void_p),
        ("channels", c_int32),
        ("height", c_int32),
        ("width", c_int32),
        ("threads", c_int32),
        ("cutoff", c_float),
        ("bad_gaussian", c_int64),
    )


class RenderArguments(ctypes.Structure):
    _fields_ = (
        ("field", FieldArguments),
        ("first_row", c_int32),
        ("rows", c_int32),
        ("out", c_void_p),
    )


class RenderBackwardArguments(ctypes.Structure):
    _fields_ = (
        ("field", FieldArguments),
        ("grad_out", c_void_p),
        ("grad_means", c_void_p),
        ("grad_cholesky", c_void_p),
        ("grad_colors", c_void_p),
    )


class FitFastArguments(ctypes.Structure):
    _fields_ = (
        ("channels", c_int32),
        ("height", c_int32),
        ("width", c_int32),
        ("gaussians", c_int64),
        ("start", c_int64),
        ("iterations", c_int64),
        ("cutoff", c_float),
        ("min_sigma", c_float),
        ("betas", c_float * 2),
        ("epsilon", c_float),
        ("opposed", c_float),
        ("target", c_void_p),
        ("rates", c_void_p),
        ("parameters", c_void_p),
        ("first", c_void_p),
        ("second", c_void_p),
        ("losses", c_void_p),
    )


class FitGaussianImageArguments(ctypes.Structure):
    _fields_ = (
        ("channels", c_int32),
        ("height", c_int32),
        ("width", c_int32),
        ("gaussians", c_int64),
        ("start", c_int64),
        ("iterations", c_int64),
        ("cutoff", c_float),
        ("bound", c_float * 3),
        ("betas", c_float * 3),
        ("epsilon", c_float),
        ("target", c_void_p),
        ("rates", c_void_p),
        ("parameters", c_void_p),
        ("state", c_void_p),
        ("losses", c_void_p),
    )


ENTRY_POINTS: dict[str, type[ctypes.Structure]] = {
    "render": RenderArguments,
    "render_backward": RenderBackwardArguments,
    "fit_fast": FitFastArguments,
    "fit_gaussianimage": FitGaussianImageArguments,
}
"""Name of a function of the library, without `splat2d_` -> its struct of arguments."""


def load(path: Path) -> ctypes.CDLL | None:
    """Load the library at `path`; return None if its interface has another version.

    Raises ImportError if the size of a struct differs from its mirror here.
    """
    return open_library(path, "splat2d", ABI, ENTRY_POINTS)


LIBRARY = next(filter(None, map(load, library_paths("splat2d", "splat2d"))), None)


@cache
def warn_missing() -> None:
    """Warn, once, that there is no C++ library and that rendering is slower without it."""
    warnings.warn("splat2d has no C++ library here: rendering with torch, which is slower", stacklevel=2)


def instruction_set() -> str:
    """Return the instruction set in use: "portable", "avx2" or "avx512". All give the same bits."""
    return INSTRUCTION_SETS[_library().splat2d_isa()]


def set_instruction_set(name: str) -> None:
    """Use another of INSTRUCTION_SETS; ValueError if this machine lacks it. For tests and benchmarks."""
    if _library().splat2d_set_isa(INSTRUCTION_SETS.index(name)) != 0:
        raise ValueError(f"this machine has no {name}")


def _library() -> ctypes.CDLL:
    if LIBRARY is None:
        raise RuntimeError("splat2d has no C++ library here: use splat2d.backends.fallback")
    return LIBRARY


def _pointer(tensor: Tensor | None) -> int | None:
    return None if tensor is None else tensor.data_ptr()


def bad_gaussian(row: int, index: int) -> str:
    """Return the error message for a Gaussian that cannot be rendered."""
    return (
        f"Gaussian {index} of row {row} cannot be rendered: means, Cholesky entries and colours must be "
        f"finite, at most {LARGEST:g} in size, and l11 and l22 at least {SMALLEST:g}"
    )


def check_counts(counts: Tensor | None, gaussians: int) -> None:
    """Raise ValueError if a count is negative or larger than the number of Gaussians of a row."""
    if counts is not None and counts.numel() and not 0 <= int(counts.min()) <= int(counts.max()) <= gaussians:
        raise ValueError(f"counts must lie between 0 and the number of Gaussians, {gaussians}")


def _call(name: str, arguments: ctypes.Structure) -> None:
    """Call an entry point and turn its status (api.h) into an exception."""
    status = getattr(_library(), f"splat2d_{name}")(ctypes.byref(arguments))
    if status == _BAD_GAUSSIAN:
        raise ValueError(bad_gaussian(*divmod(arguments.field.bad_gaussian, arguments.field.gaussians)))
    if status == _NO_MEMORY:
        raise MemoryError("not enough memory to render")
    if status != 0:
        raise ValueError("splat2d got arguments that its caller should have checked")


def _field(
    means: Tensor,
    cholesky: Tensor,
    colors: Tensor,
    counts: Tensor | None,
    size: tuple[int, int],
    cutoff: float,
) -> FieldArguments:
    batch, gaussians, channels = colors.shape
    return FieldArguments(
        batch=batch,
        gaussians=gaussians,
        means=_pointer(means),
        cholesky=_pointer(cholesky),
        colors=_pointer(colors),
        counts=_pointer(counts),
        channels=channels,
        height=size[0],
        width=size[1],
        threads=torch.get_num_threads(),
        cutoff=cutoff,
    )


def render(
    means: Tensor,
    cholesky: Tensor,
    colors: Tensor,
    counts: Tensor | None,
    size: tuple[int, int],
    cutoff: float,
    rows: tuple[int, int] | None = None,
) -> Tensor:
    """Render contiguous float32 tensors [B, N, 2], [B, N, 3], [B, N, C] and int64 [B] to [B, C, H, W].

    With `rows` = (first, end), only those rows of the image. Raises ValueError for a Gaussian that cannot be
    rendered and for counts out of range, MemoryError if memory runs out.
    """
    batch, gaussians, channels = colors.shape
    check_counts(counts, gaussians)
    first, end = rows or (0, size[0])
    out = colors.new_empty(batch, channels, end - first, size[1])
    arguments = RenderArguments(
        field=_field(means, cholesky, colors, counts, size, cutoff),
        first_row=first,
        rows=end - first,
        out=_pointer(out),
    )
    _call("render", arguments)
    return out


def render_backward(
    grad: Tensor, means: Tensor, cholesky: Tensor, colors: Tensor, counts: Tensor | None, cutoff: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the gradients of means, cholesky and colors from the output's, `grad` [B, C, H, W]."""
    height, width = grad.shape[-2:]
    gradients = (torch.zeros_like(means), torch.zeros_like(cholesky), torch.zeros_like(colors))
    arguments = RenderBackwardArguments(
        field=_field(means, cholesky, colors, counts, (height, width), cutoff),
        grad_out=_pointer(grad),
        grad_means=_pointer(gradients[0]),
        grad_cholesky=_pointer(gradients[1]),
        grad_colors=_pointer(gradients[2]),
    )
    _call("render_backward", arguments)
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
    opposed: float = 1.0,
) -> Tensor:  # [iterations] float64
    """Run `len(rates)` Adam iterations on one crop in place; return the sum of squared errors before each.

    All tensors are contiguous float32. Rows of `parameters`: x, y, then the symmetric square root (a, b, c)
    of the covariance, then colours; `first` and `second` are Adam's moments. `rates` are the learning rates
    of means, roots and colours; `start` is the number of iterations already done. The roots' eigenvalues stay
    at or above `min_sigma` pixels. Steps that the gradient opposes are multiplied by `opposed`: 1 is Adam, 0
    cautious Adam (Liang et al. 2024). Runs on the calling thread alone.
    """
    channels, height, width = target.shape
    losses = torch.empty(len(rates), dtype=torch.float64)
    arguments = FitFastArguments(
        channels=channels,
        height=height,
        width=width,
        gaussians=parameters.shape[1],
        start=start,
        iterations=len(rates),
        cutoff=cutoff,
        min_sigma=min_sigma,
        betas=betas,
        epsilon=epsilon,
        opposed=opposed,
        target=_pointer(target),
        rates=_pointer(rates),
        parameters=_pointer(parameters),
        first=_pointer(first),
        second=_pointer(second),
        losses=_pointer(losses),
    )
    _call("fit_fast", arguments)
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
    """Run `len(rates)` iterations of the recipe `gaussianimage` on one crop in place.

    All tensors are contiguous float32. Rows of `parameters`: p of the positions W (tanh(p) + 1) / 2 and
    H (tanh(p) + 1) / 2, Cholesky entries minus `bound`, colours; the factor's diagonal is used with an
    absolute value of at least 0.001. `state` is Adan's: momentum, change, second moment, and the previous
    gradient. `start` is the number of iterations already done. Returns the sum of squared errors of the
    clamped image before each iteration. Runs on the calling thread alone.
    """
    channels, height, width = target.shape
    losses = torch.empty(len(rates), dtype=torch.float64)
    arguments = FitGaussianImageArguments(
        channels=channels,
        height=height,
        width=width,
        gaussians=parameters.shape[1],
        start=start,
        iterations=len(rates),
        cutoff=cutoff,
        bound=bound,
        betas=betas,
        epsilon=epsilon,
        target=_pointer(target),
        rates=_pointer(rates),
        parameters=_pointer(parameters),
        state=_pointer(state),
        losses=_pointer(losses),
    )
    _call("fit_gaussianimage", arguments)
    return losses
