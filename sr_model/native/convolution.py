"""Convolutions with 3x3 kernels in float32 on the CPU, with a quarter of the multiplications.

Winograd's minimal filtering F(4x4, 3x3) (Lavin and Gray, CVPR 2016, section 4.3). Four by four results take
36 products for each pair of channels, where torch's own convolution needs 144. They differ from torch's by
float rounding, and an image has the same bits in every batch.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from . import library

FEWEST_CHANNELS = 16
"""Inputs and outputs below which torch's convolution is as fast."""


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
    outputs, inputs = kernel.shape[:2]
    return (
        library.applies(image, kernel, *(() if bias is None else (bias,)))
        and min(outputs, inputs) >= FEWEST_CHANNELS
        and kernel.shape[2:] == (3, 3)
        and image.ndim == 4
        and image.shape[1] == inputs
        and not torch.is_autocast_enabled("cpu")
    )


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
    bias = None if bias is None else bias.contiguous()
    batch, inputs, height, width = image.shape
    out = image.new_empty(batch, height, width, len(kernel))
    arguments = library.ConvolveArguments(
        batch=batch,
        height=height,
        width=width,
        inputs=inputs,
        outputs=len(kernel),
        threads=torch.get_num_threads(),
        image=image.data_ptr(),
        kernel=kernel.data_ptr(),
        bias=None if bias is None else bias.data_ptr(),
        out=out.data_ptr(),
    )
    library.call("convolve", arguments)
    return out.permute(0, 3, 1, 2)


def _backward(image: Tensor, grad: Tensor) -> tuple[Tensor, Tensor]:
    batch, inputs, height, width = image.shape
    outputs = grad.shape[1]
    grad_kernel, grad_bias = image.new_empty(outputs, inputs, 3, 3), image.new_empty(outputs)
    arguments = library.ConvolveBackwardArguments(
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
    library.call("convolve_backward", arguments)
    return grad_kernel, grad_bias


def _channels_last(image: Tensor) -> Tensor:
    """Return the image [B, C, h, w] with memory [B, h, w, C]."""
    return image.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2)
