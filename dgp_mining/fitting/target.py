"""The pixels that a fit approximates, and PSNR against them."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from splat2d.backends import cpu
from splat2d.resample import imresize


def psnr(image: Tensor, target: Tensor) -> float:
    """dB between an image, clamped to [0, 1] first, and its target of equal shape; inf if equal."""
    return decibels((image.clamp(0, 1) - target).double().square().mean().item())


def decibels(error: float) -> float:
    """PSNR of a mean squared error; inf of none."""
    return -10 * math.log10(error) if error > 0 else math.inf


def halved(pixels: np.ndarray | Tensor) -> tuple[Tensor, Tensor]:  # [h, w, C], [C, 2 h, 2 w]
    """The x2-downsampled crop that `held_out_psnr` fits, and the pixels that it compares with."""
    target = planar(pixels)
    height, width = target.shape[1] // 2, target.shape[2] // 2
    target = target[:, : 2 * height, : 2 * width]
    return imresize(target, size=(height, width)).permute(1, 2, 0), target


def planar(pixels: np.ndarray | Tensor) -> Tensor:  # [C, H, W]
    """Pixels [H, W, C] as the kernels take them. Raises ValueError where they cannot be fitted."""
    tensor = torch.as_tensor(pixels, dtype=torch.float32)
    if tensor.ndim != 3 or not 1 <= tensor.shape[2] <= cpu.MAX_CHANNELS:
        raise ValueError(f"pixels must be [H, W, C] with 1 to 8 channels, got {list(tensor.shape)}")
    if min(tensor.shape[:2]) < 2:
        raise ValueError(f"pixels must be at least 2 by 2, got {list(tensor.shape[:2])}")
    if not torch.isfinite(tensor).all():
        raise ValueError("pixels must be finite")
    return tensor.permute(2, 0, 1).contiguous()
