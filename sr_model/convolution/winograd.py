"""Convolutions with 3x3 kernels in float32 on the CPU, with a quarter of the multiplications.

Winograd's minimal filtering F(4x4, 3x3) (Lavin and Gray, CVPR 2016, section 4.3), in C++ (`src`), called
through its C interface with ctypes. Four by four results take 36 products for each pair of channels, where
torch's own convolution needs 144. They differ from torch's by float rounding, and have the same bits on every
instruction set, for every number of threads, and for an image in every batch.
"""

from __future__ import annotations

import ctypes
import platform
from ctypes import c_int32, c_int64, c_void_p
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from splat2d.native_library import library_paths, open_library

ABI = 1
"""Version of the C interface (src/api.h) that this module calls."""
INSTRUCTION_SETS = ("portable", "avx2", "avx512")
FEWEST_CHANNELS = 16
"""Inputs and outputs below which torch's convolution is as fast."""

_NO_MEMORY = -2  # api.h's Status


class ForwardArguments(ctypes.Structure):
    """Mirror of the struct in src/api.h, member by member; so is the one below."""

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


class BackwardArguments(ctypes.Structure):
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


ENTRY_POINTS: dict[str, type[ctypes.Structure]] = {"forward": ForwardArguments, "backward": BackwardArguments}
"""Name of a function of the library, without `convolution_` -> its struct of arguments."""


def load(path: Path) -> ctypes.CDLL | None:
    """Load the library at `path`; return None if its interface has another version.

    None as well on a machine of Intel's architecture without AVX2, where it is slower than torch. Raises
    ImportError if the size of a struct differs from its mirror here.
    """
    library = open_library(path, "convolution", ABI, ENTRY_POINTS)
    slow = library and library.convolution_isa() == 0 and platform.machine() in ("x86_64", "AMD64")
    return None if slow else library


LIBRARY = next(filter(None, map(load, library_paths("sr_model.convolution", "convolution"))), None)


def instruction_set() -> str:
    """Return the instruction set in use: "portable", "avx2" or "avx512". All give the same bits."""
    return INSTRUCTION_SETS[_library().convolution_isa()]


def set_instruction_set(name: str) -> None:
    """Use another of INSTRUCTION_SETS; ValueError if this machine lacks it. For tests and benchmarks."""
    if _library().convolution_set_isa(INSTRUCTION_SETS.index(name)) != 0:
        raise ValueError(f"this machine has no {name}")


def convolve(image: Tensor, kernel: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return `F.conv2d(image, kernel, bias, padding=1)` for kernels [outputs, inputs, 3, 3].

    By Winograd's algorithm in float32 on the CPU, for at least FEWEST_CHANNELS inputs and outputs, if the
    library is there; the result is channels-last then. By torch's function otherwise, under autocast, and
    while a program is traced, exported or compiled.

    >>> image, kernel = torch.ones(1, 16, 5, 5), torch.ones(16, 16, 3, 3)
    >>> convolve(image, kernel)[0, 0, :2, :3].round().tolist()
    [[64.0, 96.0, 96.0], [96.0, 144.0, 144.0]]
    """
    if not _applies(image, kernel, bias):
        return F.conv2d(image, kernel, bias, padding=1)
    if torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in (image, kernel, bias)):
        return _Convolution.apply(image, kernel, bias)  # type: ignore[no-untyped-call]  # torch's
    return _forward(image, kernel, bias)


def _applies(image: Tensor, kernel: Tensor, bias: Tensor | None) -> bool:
    if torch.jit.is_tracing() or torch.compiler.is_compiling():  # type: ignore[attr-defined, no-untyped-call]
        return False
    outputs, inputs = kernel.shape[:2]
    return (
        LIBRARY is not None
        and min(outputs, inputs) >= FEWEST_CHANNELS
        and kernel.shape[2:] == (3, 3)
        and image.ndim == 4
        and image.shape[1] == inputs
        and all(_is_plain(t) for t in (image, kernel, bias) if t is not None)
        and not torch.is_autocast_enabled("cpu")
    )


def _is_plain(tensor: Tensor) -> bool:
    return tensor.dtype == torch.float32 and tensor.device.type == "cpu" and tensor.layout == torch.strided


class _Convolution(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, image: Tensor, kernel: Tensor, bias: Tensor | None) -> Tensor:
        image = _channels_last(image)
        context.save_for_backward(image, kernel)
        return _forward(image, kernel, bias)

    @staticmethod
    @once_differentiable
    def backward(context: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        image, kernel = context.saved_tensors
        grad = _channels_last(grad)
        wants_image, wants_kernel, wants_bias = context.needs_input_grad
        grad_image = grad_kernel = grad_bias = None
        if wants_image:
            grad_image = _forward(grad, kernel.transpose(0, 1).flip(2, 3), None)
        if wants_kernel or wants_bias:
            grad_kernel, grad_bias = _backward(image, grad)
        return grad_image, grad_kernel, grad_bias if wants_bias else None


def _forward(image: Tensor, kernel: Tensor, bias: Tensor | None) -> Tensor:
    image, kernel = _channels_last(image), kernel.contiguous()
    batch, inputs, height, width = image.shape
    out = torch.empty(batch, height, width, len(kernel))
    arguments = ForwardArguments(
        batch=batch,
        height=height,
        width=width,
        inputs=inputs,
        outputs=len(kernel),
        threads=torch.get_num_threads(),
        image=image.data_ptr(),
        kernel=kernel.data_ptr(),
        bias=None if bias is None else bias.contiguous().data_ptr(),
        out=out.data_ptr(),
    )
    _call("forward", arguments)
    return out.permute(0, 3, 1, 2)


def _backward(image: Tensor, grad: Tensor) -> tuple[Tensor, Tensor]:
    batch, inputs, height, width = image.shape
    outputs = grad.shape[1]
    grad_kernel, grad_bias = torch.empty(outputs, inputs, 3, 3), torch.empty(outputs)
    arguments = BackwardArguments(
        batch=batch,
        height=height,
        width=width,
        inputs=inputs,
        outputs=outputs,
        threads=torch.get_num_threads(),
        image=image.data_ptr(),
        grad_out=grad.data_ptr(),
        grad_kernel=grad_kernel.data_ptr(),
        grad_bias=grad_bias.data_ptr(),
    )
    _call("backward", arguments)
    return grad_kernel, grad_bias


def _channels_last(image: Tensor) -> Tensor:
    """Return the image [B, C, h, w] with memory [B, h, w, C]."""
    return image.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2)


def _call(name: str, arguments: ctypes.Structure) -> None:
    """Call an entry point and turn its status (api.h) into an exception."""
    status = getattr(_library(), f"convolution_{name}")(ctypes.byref(arguments))
    if status == _NO_MEMORY:
        raise MemoryError("not enough memory for a convolution")
    if status != 0:
        raise ValueError("a convolution got arguments that its caller should have checked")


def _library() -> ctypes.CDLL:
    if LIBRARY is None:
        raise RuntimeError("the library of convolutions is not built here")
    return LIBRARY
