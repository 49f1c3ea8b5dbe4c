"""The pixels that a fit approximates, and PSNR against them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from splat2d import GaussianField, imresize, render
from splat2d.backends import cpu


def psnr(image: Tensor, target: Tensor) -> float:
    """Return the PSNR, dB, of an image, clamped to [0, 1], against a target of its shape; inf if equal.

    Raises ValueError for integers, or for images of two shapes.
    """
    if not (image.is_floating_point() and target.is_floating_point()):
        raise ValueError(f"images must be floats in [0, 1], got {image.dtype} and {target.dtype}")
    if image.shape != target.shape:
        raise ValueError(f"images must have one shape, got {list(image.shape)} and {list(target.shape)}")
    return psnr_from_mse((image.clamp(0, 1) - target).double().square().mean().item())


def psnr_from_mse(error: float) -> float:
    """Convert the mean squared error of values in [0, 1] to PSNR, dB; inf for 0."""
    return -10 * math.log10(error) if error > 0 else math.inf


def psnr_of_each(fields: Sequence[GaussianField], targets: Tensor, device: str | torch.device) -> list[float]:
    """Return the PSNR, dB, of fields (B = 1 each, on the CPU) against their targets [B, C, H, W].

    Fields are rendered on `device`; errors are summed on the CPU, in a fixed order.
    """
    means, cholesky, colors = (
        torch.cat(tensors).to(device)
        for tensors in zip(*((field.means, field.cholesky, field.colors) for field in fields), strict=True)
    )
    images = render(means, cholesky, colors, (targets.shape[2], targets.shape[3])).cpu()
    return [psnr(image, target) for image, target in zip(images, targets, strict=True)]


def held_out_pair(pixels: np.ndarray | Tensor) -> tuple[Tensor, Tensor]:  # [h, w, C], [C, 2 h, 2 w]
    """Return the x2-downsampled crop (MATLAB bicubic) to fit, and the crop [C, 2h, 2w] to compare with."""
    target = channels_first(pixels)
    height, width = target.shape[1] // 2, target.shape[2] // 2
    target = target[:, : 2 * height, : 2 * width]
    return imresize(target, size=(height, width)).permute(1, 2, 0), target


def channels_first(pixels: np.ndarray | Tensor) -> Tensor:  # [C, H, W]
    """Convert pixels [H, W, C] to a contiguous float32 tensor for fitting.

    Raises ValueError for another shape, such as [C, H, W], fewer than 2x2 pixels, what is not floats, or
    values that are not finite or far outside [0, 1].
    """
    if isinstance(pixels, np.ndarray):
        if pixels.dtype.kind not in "fiubc":
            raise ValueError(f"pixels must be floats in [0, 1], got an array of {pixels.dtype}")
        # torch takes neither reversed views nor the byte order of other machines.
        pixels = np.ascontiguousarray(pixels, pixels.dtype.newbyteorder("="))
    tensor = torch.as_tensor(pixels)
    if not tensor.is_floating_point():
        raise ValueError(f"pixels must be floats in [0, 1], got {tensor.dtype}: divide 8-bit values by 255")
    tensor = tensor.float()
    if tensor.ndim != 3 or not 1 <= tensor.shape[2] <= cpu.MAX_CHANNELS:
        raise ValueError(f"pixels must be [H, W, C] with 1 to 8 channels, got {list(tensor.shape)}")
    if min(tensor.shape[:2]) < 2:
        raise ValueError(f"pixels must be at least 2 by 2, got {list(tensor.shape[:2])}")
    if not torch.isfinite(tensor).all():
        raise ValueError("pixels must be finite")
    if not -1 <= tensor.min() <= tensor.max() <= 2:  # some ringing around [0, 1] is no mistake, 255 is
        low, high = tensor.min().item(), tensor.max().item()
        raise ValueError(f"pixels must be in [0, 1], got {low:g} to {high:g}: divide 8-bit values by 255")
    return tensor.permute(2, 0, 1).contiguous()
