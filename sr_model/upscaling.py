"""Upscaling an image with a trained network, to any size."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image

from dgp_mining.images import ImageError, read_image

from .checkpoint import load
from .continuoussr import ContinuousSR
from .data import enlarged

MOST_PIXELS = 1 << 28
"""Largest result: 3 GB as floats, held in memory whole."""


@torch.no_grad()
def upscale(
    image: np.ndarray,  # [H, W, C] or [H, W]
    scale: float | None = None,
    *,
    size: tuple[int, int] | None = None,
    model: ContinuousSR | str | Path,
) -> np.ndarray:
    """Upscale an image by any factor, or to `size` = (height, width) with unequal ratios if need be.

    Args:
        image: [H, W, C] or [H, W], C = 1 or 3; sRGB, float in [0, 1] or uint8. Grey passes through as three
            equal channels.
        scale: factor above 0; the result has round(H * scale) x round(W * scale) pixels. Or give `size`.
        model: a network, or the checkpoint of one.

    Returns:
        The upscaled image with the same axes, channels and dtype, clamped to its range.

    Raises:
        ValueError: for an image, scale or size that cannot be.
        CheckpointError: where `model` is the path of no checkpoint.
    """
    pixels = image[..., None] if image.ndim == 2 else image
    if pixels.ndim != 3 or pixels.shape[2] not in (1, 3) or not pixels.size:
        raise ValueError(f"the image must be [H, W], [H, W, 1] or [H, W, 3], got {list(image.shape)}")
    if (scale is None) == (size is None):
        raise ValueError("upscale needs either a scale or a size")
    if scale is not None and not 0 < scale < float("inf"):
        raise ValueError(f"the scale must be a number above 0, got {scale}")
    height, width = size or (enlarged(pixels.shape[0], scale), enlarged(pixels.shape[1], scale))
    if min(height, width) < 1:
        raise ValueError(f"the size must be at least one pixel each way, got {width}x{height}")
    if height * width > MOST_PIXELS:
        raise ValueError(f"{width}x{height} pixels are too many: at most {MOST_PIXELS:,} can be made")
    model = load(model) if isinstance(model, str | Path) else model

    whole = image.dtype == np.uint8
    lr = torch.from_numpy(np.ascontiguousarray(pixels, np.float32)).permute(2, 0, 1)[None]
    lr = (lr / 255 if whole else lr).expand(1, 3, -1, -1).to(next(model.parameters()).device)
    upscaled = model(lr).render((height, width))[0].clamp(0, 1).permute(1, 2, 0).cpu().numpy()
    if pixels.shape[2] == 1:
        upscaled = upscaled.mean(axis=2, keepdims=True)
    upscaled = upscaled.reshape(height, width, *image.shape[2:])
    return (upscaled * 255 + 0.5).astype(np.uint8) if whole else upscaled.astype(image.dtype)


def upscale_file(
    source: Path,
    target: Path,
    scale: float | None = None,
    *,
    size: tuple[int, int] | None = None,
    model: ContinuousSR | str | Path,
) -> tuple[int, int]:
    """`upscale` the image file `source` into `target`, with 8 bits per channel; returns (height, width).

    Raises ImageError, naming the file, where one cannot be read or written, before any work is done.
    """
    if target.suffix.lower() not in Image.registered_extensions():
        raise ImageError(f"{target} has no ending of an image format: end it in .png, for example.")
    if not target.parent.is_dir():
        raise ImageError(f"{target} cannot be written: there is no folder {target.parent}.")
    pixels = read_image(source)
    if pixels.shape[2] not in (1, 3):
        raise ImageError(f"{source} has {pixels.shape[2]} channels where grey or RGB is needed: convert it.")
    upscaled = (upscale(pixels, scale, size=size, model=model) * 255 + 0.5).astype(np.uint8)
    try:
        Image.fromarray(upscaled.squeeze(2) if upscaled.shape[2] == 1 else upscaled).save(target)
    except OSError as error:
        raise ImageError(f"{target} cannot be written ({error.strerror or error}).") from error
    return upscaled.shape[0], upscaled.shape[1]
