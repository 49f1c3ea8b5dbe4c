"""Upscaling an image with a trained network, by any factor, to any size.

Pixels become one field of Gaussians for grey or colour and, where there is one, another for alpha; fields
become the bands of rows of an image.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from scipy.ndimage import distance_transform_edt
from torch import Tensor

from splat2d import GaussianField

from ..checkpoints.checkpoint import load, load_reference
from ..memory import free_memory
from ..networks.base import Network
from ..scaling import Scale, check_size, scale_between, scaled
from .tiling import Progress, TooLarge, encode

OVERSHOOT = 0.5
"""How far floats may lie outside [0, 1], as filters leave them; further ones mean another range."""
BAND_BYTES = 1 << 25
"""Of a band of rows, as floats: it is made within a second or so, which is how often progress is told."""
WHOLE_ON_GPU = 1 << 28
"""Pixels of the largest image that a GPU renders at once: 3 GB of colours."""


def upscale(
    image: np.ndarray,  # [H, W] or [H, W, C]
    scale: Scale | None = None,
    *,
    size: tuple[int, int] | None = None,
    model: Network | str | Path | None = None,
    tile: int | None = None,
) -> np.ndarray:
    """Upscale an image by any factor, or to `size` = (height, width) with unequal ratios if need be.

    Args:
        image: [H, W] or [H, W, C], C = 1 (grey), 2 (grey and alpha), 3 (RGB) or 4 (RGB and alpha); sRGB,
            float in [0, 1], uint8 or uint16; alpha is not multiplied into the colours.
        scale: factor above 0, or two (of the height, of the width); the result has round(H * scale) x
            round(W * scale) pixels. Below 1, pixels are averages over the larger area that they cover. Or
            give `size`.
        model: a network, or the checkpoint of one; default: the reference model.
        tile: side in LR pixels of the parts in which a large image is encoded; default: as memory allows.

    Returns:
        The upscaled image with the same axes, channels and dtype, clamped to its range.

    Raises:
        ValueError: for an image, scale, size or tile that cannot be, or too large for memory.
        TypeError: where `image` is no array.
        CheckpointError: where `model` is the path of no checkpoint, or there is no reference model.
    """
    if not isinstance(image, np.ndarray):
        raise TypeError(f"the image must be a numpy array, got {type(image).__name__}: see numpy.asarray")
    pixels = image[..., None] if image.ndim == 2 else image
    check_pixels(pixels)
    if (scale is None) == (size is None):
        raise ValueError("upscale needs either a scale or a size")
    height, width = size or scaled(pixels.shape[:2], scale)
    check_size(height, width)
    needed = height * width * pixels.shape[2] * image.dtype.itemsize + BAND_BYTES
    if needed > (memory := free_memory()):
        raise TooLarge(
            f"{width}x{height} pixels take {needed / 1e9:,.1f} GB of memory, and {memory / 1e9:,.1f} GB are "
            "free: upscale to a TIFF file with sr-upscale, which keeps no whole image"
        )
    scale = scale_between(pixels.shape[:2], (height, width))
    fields = encode_layers(pixels, network(model), scale=scale, tile=tile)
    upscaled = np.empty((height, width, pixels.shape[2]), image.dtype)
    for top, band in render_layers(fields, (height, width), image.dtype):
        upscaled[top : top + len(band)] = band
    return upscaled.reshape(height, width, *image.shape[2:])


def network(model: Network | str | Path | None) -> Network:
    """The network itself: as it is, from its checkpoint, or the reference model's. Raises CheckpointError."""
    if model is None:
        return load_reference()
    return load(model) if isinstance(model, str | Path) else model


def check_pixels(pixels: np.ndarray) -> None:
    """Raise ValueError for what is not an image [H, W, 1 to 4] of uint8, uint16 or floats in about [0, 1]."""
    if pixels.ndim != 3 or not 1 <= pixels.shape[2] <= 4 or not pixels.size:
        raise ValueError(
            f"the image must be [H, W] or [H, W, C] with C from 1 to 4, got {list(pixels.shape)}"
        )
    if pixels.dtype not in (np.uint8, np.uint16) and pixels.dtype.kind != "f":
        raise ValueError(f"the image must be of uint8, uint16 or floats, got {pixels.dtype}")
    if pixels.dtype.kind == "f" and not np.isfinite(pixels).all():
        raise ValueError("the image holds NaN or infinite values")
    if pixels.dtype.kind == "f" and (pixels.min() < -OVERSHOOT or pixels.max() > 1 + OVERSHOOT):
        raise ValueError(
            f"the image holds floats from {pixels.min():g} to {pixels.max():g} where [0, 1] is black to white"
        )


def encode_layers(
    pixels: np.ndarray,  # [H, W, 1 to 4]
    network: Network,
    *,
    scale: float | None = None,
    tile: int | None = None,
    memory: int | None = None,
    progress: Progress = lambda what, part: None,
) -> list[GaussianField]:
    """The fields of an image: of its colours or grey, and of its alpha where there is one that says anything.

    Alpha goes through the network as a grey image, so that its edges are where those of the colours are. The
    other arguments are `encode`'s.
    """
    layers = [pixels]
    if pixels.shape[2] % 2 == 0:
        layers = [bleed(pixels[..., :-1], pixels[..., -1]), pixels[..., -1:]]
    return [
        encode(network, layer, scale=scale, tile=tile, memory=memory, progress=progress) for layer in layers
    ]


def bleed(colours: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """[H, W, C] with the hidden colours of wholly transparent pixels replaced by the nearest visible one's.

    What lies hidden there, often black, would otherwise darken the edges of what is seen.
    """
    hidden = alpha == 0
    if hidden.all() or not hidden.any():
        return colours
    nearest = distance_transform_edt(hidden, return_distances=False, return_indices=True)
    return colours[tuple(nearest)]


def render_layers(
    layers: list[GaussianField],
    size: tuple[int, int],
    dtype: np.dtype,
    progress: Progress = lambda what, part: None,
) -> Iterator[tuple[int, np.ndarray]]:
    """(top row, [rows, W, C] of `dtype`) from top to bottom: the layers' channels side by side, clamped."""
    for parts in zip(*(bands(field, size) for field in layers), strict=True):
        top = parts[0][0]
        band = torch.cat([part.cpu() for _, part in parts], 1)[0].permute(1, 2, 0).clamp_(0, 1).numpy()
        yield top, quantised(band, np.dtype(dtype))
        progress("rendering", (top + len(band)) / size[0])


def bands(field: GaussianField, size: tuple[int, int]) -> Iterator[tuple[int, Tensor]]:
    """`GaussianField.render_bands`, which works on the CPU; on a GPU the image at once where it is small."""
    rows = max(4, BAND_BYTES // (4 * 4 * size[1]))
    if field.means.device.type != "cpu" and size[0] * size[1] <= WHOLE_ON_GPU:
        rendered = field.render(size).cpu()
        yield from ((top, rendered[:, :, top : top + rows]) for top in range(0, size[0], rows))
        return
    if field.means.device.type != "cpu":
        field = replace(
            field, means=field.means.cpu(), cholesky=field.cholesky.cpu(), colors=field.colors.cpu()
        )
    yield from field.render_bands(size, budget=4 * rows * size[1] * field.colors.shape[2])


def quantised(values: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Floats in [0, 1], which are used up, as `dtype`: themselves, or rounded to its whole numbers."""
    if dtype.kind == "f":
        return values.astype(dtype, copy=False)
    values *= np.iinfo(dtype).max
    values += 0.5
    return values.astype(dtype, order="C")
