"""Upscaling an array with a trained network, by any factor, to any size.

The pixels become one field of Gaussians for grey or colour and one for alpha, if there is an alpha channel;
the fields are rendered in bands of rows.
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
from ..scaling import RequestedSize, Scale, check_size, complete_size, scale_between, scaled
from .tiling import ProgressCallback, TooLarge, encode, no_progress

OVERSHOOT = 0.5
"""How far floats may lie outside [0, 1], as after sharpening filters. An image that exceeds it is refused: it
must have another range, such as [0, 255]."""
BAND_BYTES = 1 << 25
"""Bytes of a band of rows as floats. Rendering one takes about a second, the interval of progress calls."""
WHOLE_ON_GPU = 1 << 28
"""Largest image in pixels that a GPU renders at once: 3 GB of colours."""


def upscale(
    image: np.ndarray,  # [H, W] or [H, W, C]
    scale: Scale | None = None,
    *,
    size: RequestedSize | None = None,
    model: Network | str | Path | None = None,
    tile: int | None = None,
) -> np.ndarray:
    """Upscale an image by any factor, or to any `size` = (height, width), also with unequal ratios.

    Args:
        image: [H, W] or [H, W, C], C = 1 (grey), 2 (grey and alpha), 3 (RGB) or 4 (RGB and alpha); sRGB,
            float in [0, 1], uint8 or uint16; alpha is not premultiplied.
        scale: a factor above 0, or two (for height, for width); the result has round(H * scale) x
            round(W * scale) pixels. Below 1, each pixel is the average over the area that it covers.
        size: the (height, width) of the result, in place of a scale; one of them may be None, and follows
            from the aspect ratio.
        model: a network, or the checkpoint of one; default: the reference model.
        tile: side in LR pixels of the tiles in which a large image is encoded; default: as memory allows.

    Returns:
        The upscaled image with the same axes, channels and dtype, clamped to its range.

    Raises:
        ValueError: for an invalid image, scale, size or tile.
        TooLarge: a ValueError, if the image or the result does not fit into memory.
        TypeError: if `image` is not an array.
        CheckpointError: if `model` is not the path of a checkpoint, or there is no reference model.

    >>> image = np.full((8, 6, 3), 128, np.uint8)
    >>> upscale(image, 2.5).shape
    (20, 15, 3)
    >>> upscale(image, size=(33, 7)).shape
    (33, 7, 3)
    """
    if not isinstance(image, np.ndarray):
        raise TypeError(f"the image must be a numpy array, got {type(image).__name__}: see numpy.asarray")
    pixels = image[..., None] if image.ndim == 2 else image
    check_pixels(pixels)
    height, width = output_size((pixels.shape[0], pixels.shape[1]), scale, size)
    needed = height * width * pixels.shape[2] * image.dtype.itemsize + BAND_BYTES
    if needed > (memory := free_memory()):
        raise TooLarge(
            f"{width}x{height} pixels take {needed / 1e9:,.1f} GB of memory, and {memory / 1e9:,.1f} GB are "
            "free: upscale to a TIFF file with sr-upscale, which never holds the whole image in memory"
        )
    mean_scale = scale_between((pixels.shape[0], pixels.shape[1]), (height, width))
    fields = encode_layers(pixels, as_network(model), scale=mean_scale, tile=tile)
    upscaled = np.empty((height, width, pixels.shape[2]), image.dtype)
    for top, band in render_layers(fields, (height, width), image.dtype):
        upscaled[top : top + len(band)] = band
    return upscaled.reshape(height, width, *image.shape[2:])


def output_size(lr: tuple[float, float], scale: Scale | None, size: RequestedSize | None) -> tuple[int, int]:
    """Return the (height, width) in pixels to which an image of size `lr`, also (height, width), is upscaled.

    Raises ValueError unless exactly one of `scale` and `size` is given, and the result can be rendered.
    """
    if size is not None and scale is None:
        height, width = complete_size(size, lr)
    elif scale is not None and size is None:
        height, width = scaled(lr, scale)
    else:
        raise ValueError("give either scale= or size=")
    check_size(height, width)
    return height, width


def as_network(model: Network | str | Path | None) -> Network:
    """Return the network itself, the network in a checkpoint file, or for None the reference model.

    Raises CheckpointError if it cannot be loaded.
    """
    if model is None:
        return load_reference()
    return load(model) if isinstance(model, str | Path) else model


def check_pixels(pixels: np.ndarray) -> None:
    """Raise ValueError unless `pixels` is [H, W, 1 to 4] uint8, uint16 or floats in about [0, 1]."""
    if pixels.ndim != 3 or not 1 <= pixels.shape[2] <= 4 or not pixels.size:
        raise ValueError(
            f"the image must be [H, W] or [H, W, C] with C from 1 to 4, got {list(pixels.shape)}"
        )
    if pixels.dtype not in (np.uint8, np.uint16) and pixels.dtype.kind != "f":
        raise ValueError(f"the image must be uint8, uint16 or floats, got {pixels.dtype}")
    if pixels.dtype.kind == "f" and not np.isfinite(pixels).all():
        raise ValueError("the image holds NaN or infinite values")
    if pixels.dtype.kind == "f" and (pixels.min() < -OVERSHOOT or pixels.max() > 1 + OVERSHOOT):
        raise ValueError(
            f"the image holds floats from {pixels.min():g} to {pixels.max():g}, but [0, 1] is black to white"
        )


def encode_layers(
    pixels: np.ndarray,  # [H, W, 1 to 4]
    network: Network,
    *,
    scale: float | None = None,
    tile: int | None = None,
    memory: int | None = None,
    progress: ProgressCallback = no_progress,
) -> list[GaussianField]:
    """The fields of an image: of its colours or grey, and of its alpha channel if it has one.

    Alpha goes through the network as a grey image, so that its edges align with those of the colours. The
    other arguments are those of `encode`.
    """
    layers = [pixels]
    if pixels.shape[2] % 2 == 0:
        layers = [bleed(pixels[..., :-1], pixels[..., -1]), pixels[..., -1:]]
    return [
        encode(network, layer, scale=scale, tile=tile, memory=memory, progress=progress) for layer in layers
    ]


def bleed(colours: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Replace the colours [H, W, C] of fully transparent pixels by those of the nearest visible pixel.

    Otherwise the hidden colours, often black, would darken the edges of the visible parts.
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
    progress: ProgressCallback = no_progress,
) -> Iterator[tuple[int, np.ndarray]]:
    """Yield (top row, [rows, W, C] of `dtype`) from top to bottom: the channels of all layers, clamped."""
    for parts in zip(*(render_bands(field, size) for field in layers), strict=True):
        top = parts[0][0]
        band = torch.cat([part.cpu() for _, part in parts], 1)[0].permute(1, 2, 0).clamp_(0, 1).numpy()
        yield top, quantise(band, np.dtype(dtype))
        progress("rendering", (top + len(band)) / size[0])


def render_bands(field: GaussianField, size: tuple[int, int]) -> Iterator[tuple[int, Tensor]]:
    """Yield (top row, [1, C, rows, W]) by `GaussianField.render_bands`, which runs on the CPU.

    A GPU renders an image of up to WHOLE_ON_GPU pixels at once.
    """
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


def quantise(values: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Convert floats in [0, 1] to `dtype`, rounding for integer types. Modifies `values` in place."""
    if dtype.kind == "f":
        return values.astype(dtype, copy=False)
    values *= np.iinfo(dtype).max
    values += 0.5
    return values.astype(dtype, order="C")
