"""PSNR and SSIM as the super-resolution literature computes them."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

LUMA = (65.481 / 255, 128.553 / 255, 24.966 / 255)
LUMA_OFFSET = 16 / 255
"""ITU-R BT.601 luma as in MATLAB's rgb2ycbcr, for values in [0, 1]."""

FAR = 1.0
"""How far values may lie outside [0, 1], as after sharpening; an image in [0, 255] does not."""


def luma(image: Tensor) -> Tensor:
    """Luma Y of an RGB image in [0, 1]: [..., 3, H, W] to [..., 1, H, W]. Raises ValueError for others.

    >>> round(luma(torch.ones(3, 1, 1)).item() * 255)
    235
    """
    _check(image)
    if image.ndim < 3 or image.shape[-3] != 3:
        raise ValueError(f"luma is that of RGB images [..., 3, H, W], got {list(image.shape)}")
    weights = image.new_tensor(LUMA)[:, None, None]
    return (image * weights).sum(-3, keepdim=True) + LUMA_OFFSET


def psnr(image: Tensor, reference: Tensor) -> float:
    """Peak signal-to-noise ratio in dB over all pixels and channels, for values in [0, 1].

    Infinite for equal images. Raises ValueError for images of two shapes, of integers, or with values far
    outside [0, 1].

    >>> image = torch.full((3, 20, 20), 0.5)
    >>> round(psnr(image + 0.1, image), 3)
    20.0
    """
    _check(image, reference)
    error = (image.double() - reference.double()).square().mean().item()
    return math.inf if error == 0 else -10 * math.log10(error)


def ssim(image: Tensor, reference: Tensor) -> float:
    """Structural similarity (Wang et al. 2004) of images [C, H, W] in [0, 1], mean over pixels and channels.

    The form of MATLAB and BasicSR: an 11x11 Gaussian window of sigma 1.5, valid positions only, K1 = 0.01,
    K2 = 0.03. Raises ValueError for images of fewer than 11 pixels on a side, and as `psnr` does.

    >>> image = torch.rand(1, 16, 16, generator=torch.Generator().manual_seed(0))
    >>> round(ssim(image, image), 6)
    1.0
    """
    _check(image, reference)
    if min(image.shape[-2:]) < 11:
        size = f"{image.shape[-1]}x{image.shape[-2]}"
        raise ValueError(f"SSIM needs 11 pixels on a side, and {size} are left without the border")
    window = torch.exp(-((torch.arange(11, dtype=torch.float64) - 5) ** 2) / (2 * 1.5**2))
    window /= window.sum()

    def local_mean(planes: Tensor) -> Tensor:  # [C, H, W] -> [C, H - 10, W - 10]
        return F.conv2d(F.conv2d(planes[:, None], window.view(1, 1, 11, 1)), window.view(1, 1, 1, 11))[:, 0]

    x, y = image.double(), reference.double()
    mean_x, mean_y = local_mean(x), local_mean(y)
    var_x, var_y = local_mean(x**2) - mean_x**2, local_mean(y**2) - mean_y**2
    covariance = local_mean(x * y) - mean_x * mean_y
    c1, c2 = 0.01**2, 0.03**2
    similarity = ((2 * mean_x * mean_y + c1) * (2 * covariance + c2)) / (
        (mean_x**2 + mean_y**2 + c1) * (var_x + var_y + c2)
    )
    return similarity.mean().item()


def _check(image: Tensor, *others: Tensor) -> None:
    """Raise ValueError for what would give a number, but a wrong one."""
    for one in (image, *others):
        if not one.is_floating_point():
            raise ValueError(f"images must be floats in [0, 1], got {one.dtype}: divide 8-bit values by 255")
        if one.shape != image.shape:
            raise ValueError(f"images must have one shape, got {list(image.shape)} and {list(one.shape)}")
        if one.numel() and (one.min() < -FAR or one.max() > 1 + FAR):
            low, high = one.min().item(), one.max().item()
            raise ValueError(f"images must be in [0, 1], got {low:g} to {high:g}: divide 8-bit values by 255")
