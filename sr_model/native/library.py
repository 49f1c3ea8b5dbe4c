"""The library in C++ (`src`) of what takes the networks most of their time on a CPU, called with ctypes.

Its results have the same bits on every instruction set and for every number of threads. Where it is missing
or does not apply (`applies`), the callers compute with torch.
"""

from __future__ import annotations

import ctypes
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from ctypes import c_float, c_int32, c_int64, c_void_p
from pathlib import Path

import torch
from torch import Tensor

from splat2d.native_library import library_paths, open_library

ABI = 3
"""Version of the C interface (src/api.h) that this module calls."""
INSTRUCTION_SETS = ("portable", "avx2", "avx512")

_torch_alone = ContextVar("torch_alone", default=False)
_NO_MEMORY = -2  # api.h's Status


class ConvolveArguments(ctypes.Structure):
    """Mirror of the struct in src/api.h, member by member; so are those below."""

    _fields_ = (
        ("batch", c_int64),
        ("height", c_int64),
        ("width", c_int64),
        ("inputs", c_int32),
        ("outputs", c_int32),
        ("threads", c_int32),
        ("image", c_void_p),
        ("kernel", c_void_p),
        ("bias", c_void_p),
        ("out", c_void_p),
    )


class ConvolveBackwardArguments(ctypes.Structure):
    _fields_ = (
        ("batch", c_int64),
        ("height", c_int64),
        ("width", c_int64),
        ("inputs", c_int32),
        ("outputs", c_int32),
        ("threads", c_int32),
        ("image", c_void_p),
        ("grad_out", c_void_p),
        ("grad_kernel", c_void_p),
        ("grad_bias", c_void_p),
    )


class BlendArguments(ctypes.Structure):
    _fields_ = (
        ("cells", c_int64),
        ("kernels", c_int32),
        ("latent", c_int32),
        ("threads", c_int32),
        ("queries", c_void_p),
        ("keys", c_void_p),
        ("entries", c_void_p),
        ("blended", c_void_p),
    )


class BlendBackwardArguments(ctypes.Structure):
    _fields_ = (
        ("cells", c_int64),
        ("kernels", c_int32),
        ("latent", c_int32),
        ("threads", c_int32),
        ("queries", c_void_p),
        ("keys", c_void_p),
        ("entries", c_void_p),
        ("blended", c_void_p),
        ("grad_blended", c_void_p),
        ("grad_queries", c_void_p),
        ("grad_keys", c_void_p),
        ("grad_entries", c_void_p),
    )


class HeadsArguments(ctypes.Structure):
    _fields_ = (
        ("batch", c_int64),
        ("height", c_int64),
        ("width", c_int64),
        ("inputs", c_int32),
        ("features", c_int32),
        ("cells", c_int32),
        ("kernels", c_int32),
        ("latent", c_int32),
        ("blending", c_int32),
        ("activated", c_int32),
        ("threads", c_int32),
        ("drift", c_float),
        ("smallest", c_float),
        ("replaced", c_float),
        ("pixels", c_void_p),
        ("projection", c_void_p),
        ("projection_bias", c_void_p),
        ("heads", c_void_p),
        ("heads_bias", c_void_p),
        ("keys", c_void_p),
        ("entries", c_void_p),
        ("x", c_void_p),
        ("y", c_void_p),
        ("varied", c_void_p),
        ("colourful", c_void_p),
        ("added", c_void_p),
        ("start", c_void_p),
        ("means", c_void_p),
        ("cholesky", c_void_p),
        ("colours", c_void_p),
        ("largest", c_void_p),
    )


class InterpolateArguments(ctypes.Structure):
    _fields_ = (
        ("batch", c_int64),
        ("height", c_int64),
        ("width", c_int64),
        ("channels", c_int32),
        ("cells", c_int32),
        ("taps", c_int32),
        ("threads", c_int32),
        ("image", c_void_p),
        ("filter", c_void_p),
        ("out", c_void_p),
    )


ENTRY_POINTS: dict[str, type[ctypes.Structure]] = {
    "convolve": ConvolveArguments,
    "convolve_backward": ConvolveBackwardArguments,
    "blend": BlendArguments,
    "blend_backward": BlendBackwardArguments,
    "heads": HeadsArguments,
    "interpolate": InterpolateArguments,
}
"""Name of a function of the library, without `native_` -> its struct of arguments."""


def load(path: Path) -> ctypes.CDLL | None:
    """Load the library at `path`; return None if its interface has another version.

    None as well on a machine of Intel's architecture without AVX2, where it is slower than torch. Raises
    ImportError if the size of a struct differs from its mirror here.
    """
    library = open_library(path, "native", ABI, ENTRY_POINTS)
    slow = library and library.native_isa() == 0 and platform.machine() in ("x86_64", "AMD64")
    return None if slow else library


LIBRARY = next(filter(None, map(load, library_paths("sr_model.native", "native"))), None)


def instruction_set() -> str:
    """Return the instruction set in use: "portable", "avx2" or "avx512". All give the same bits."""
    return INSTRUCTION_SETS[_library().native_isa()]


def set_instruction_set(name: str) -> None:
    """Use another of INSTRUCTION_SETS; ValueError if this machine lacks it. For tests and benchmarks."""
    if _library().native_set_isa(INSTRUCTION_SETS.index(name)) != 0:
        raise ValueError(f"this machine has no {name}")


def applies(*tensors: Tensor) -> bool:
    """Whether the library is there and may compute with these tensors: all of them float32, on the CPU.

    Not within `torch_alone`, nor while a program is traced, exported or compiled, which must see torch's
    operations.
    """
    if _torch_alone.get() or torch.jit.is_tracing() or torch.compiler.is_compiling():  # type: ignore[attr-defined, no-untyped-call]
        return False
    return LIBRARY is not None and all(
        t.dtype == torch.float32 and t.device.type == "cpu" and t.layout == torch.strided for t in tensors
    )


def applies_without_gradients(*tensors: Tensor) -> bool:
    """Whether the library may compute with these tensors what it has no gradients for, and no autocast."""
    tracked = torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors)
    return not tracked and not torch.is_autocast_enabled("cpu") and applies(*tensors)


@contextmanager
def torch_alone() -> Iterator[None]:
    """Context manager: networks compute with torch inside, as where the library is missing.

    >>> with torch_alone():
    ...     applies(torch.ones(3))
    False
    """
    token = _torch_alone.set(True)
    try:
        yield
    finally:
        _torch_alone.reset(token)


def call(name: str, arguments: ctypes.Structure) -> None:
    """Call an entry point and turn its status (api.h) into an exception."""
    status = getattr(_library(), f"native_{name}")(ctypes.byref(arguments))
    if status == _NO_MEMORY:
        raise MemoryError("not enough memory for a network")
    if status != 0:
        raise ValueError(f"native_{name} got arguments that its caller should have checked")


def _library() -> ctypes.CDLL:
    if LIBRARY is None:
        raise RuntimeError("sr_model has no C++ library here: the networks compute with torch")
    return LIBRARY
