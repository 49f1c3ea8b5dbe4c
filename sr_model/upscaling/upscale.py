"""Upscaling an array with a trained network, by any factor, to any size.

The pixels become one field of Gaussians for grey or colour and one for alpha, if there is an alpha channel,
or eight of each for an ensemble; the fields are rendered in bands of rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from math import ceil
from pathlib import Path

import numpy as np

from dgp_mining.machine import amount
from splat2d import GaussianField

from ..checkpoints.checkpoint import load, load_reference
from ..memory import free_memory, give_back_freed_memory
from ..networks.base import Network
from ..scaling import RequestedSize, Scale, check_size, complete_size, scaled
from .consistency import Reduction
from .encoding import DEFAULT, Encoding, encode_layers, ensemble_bytes
from .ensemble import TURNS
from .rendering import BAND_BYTES, Layer, render_layers
from .tiling import (
    FIELD_COPIES,
    WORKING_BYTES,
    ProgressCallback,
    TooLarge,
    Window,
    drawing_bytes,
    has_free_positions,
    no_progress,
    reach,
    receptive_field,
)
from .wrapping import Wrap, check_wrap, extended, margin_of

OVERSHOOT = 0.5
"""How far floats may lie outside [0, 1], as after sharpening filters. An image that exceeds it is refused: it
must have another range, such as [0, 255]."""
SMALLEST_STRIP = 64
"""Fewest LR rows of a strip that is drawn at once: below it nearly all of it is what is around."""
STRIP_BYTES = 1 << 31
"""Memory of `FIELD_COPIES` of the largest field that is made at once; a larger image is drawn in strips."""


def upscale(
    image: np.ndarray,  # [H, W] or [H, W, C]
    scale: Scale | None = None,
    *,
    size: RequestedSize | None = None,
    model: Network | str | Path | None = None,
    tile: int | None = None,
    ensemble: bool = False,
    wrap: Wrap = "",
    reduction: Reduction | None = None,
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
        ensemble: whether the result is the mean over eight flips and turns of the image (EDSR, section 3.3),
            in eight times the time.
        wrap: axes along which the image repeats, as a texture does, "x", "y" or "xy"; the result then repeats
            too, without a step.
        reduction: the kernel by which the image was made smaller, "bicubic", "bilinear", "area" or "lanczos":
            the result, made smaller by it again, gives the image back, at scale 1 to the last level. Or
            "none", for what the network alone makes. Default: bicubic for networks that start as bicubic
            interpolation, as the reference model does; else none.

    Returns:
        The upscaled image with the same axes, channels and dtype, clamped to its range.

    Raises:
        ValueError: for an invalid image, scale, size, tile, wrap or reduction.
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
    check_wrap(wrap)
    height, width = output_size((pixels.shape[0], pixels.shape[1]), scale, size)
    needed = height * width * pixels.shape[2] * image.dtype.itemsize + BAND_BYTES
    if needed > (memory := free_memory()):
        raise TooLarge(
            f"{width}x{height} pixels take {amount(needed)} of memory, and {amount(memory)} are free: "
            "upscale to a TIFF file with sr-upscale, which never holds the whole image in memory"
        )
    network, window = as_network(model), (0.0, 0.0, float(pixels.shape[1]), float(pixels.shape[0]))
    if wrap:
        pixels, window = repeated(pixels, window, wrap, network, (height, width))
    upscaled = np.empty((height, width, pixels.shape[2]), image.dtype)
    bands = draw(
        pixels,
        window,
        (height, width),
        image.dtype,
        network,
        Encoding(tile=tile, ensemble=ensemble, reduction=reduction),
    )
    top = 0
    for band in bands:
        upscaled[top : top + len(band)] = band
        top += len(band)
    return upscaled.reshape(height, width, *image.shape[2:])


def repeated(
    pixels: np.ndarray, window: Window, wrap: Wrap, network: Network, size: tuple[float, float]
) -> tuple[np.ndarray, Window]:
    """Extend an image that repeats, as `wrapping.extended`, for a window that is rendered at `size`.

    Returns the image and the window in its pixels.
    """
    x, y, width, height = window
    smaller = min(size[0] / height, size[1] / width)
    wider, (left, top) = extended(pixels, window, wrap, margin_of(network, smaller))
    return wider, (x + left, y + top, width, height)


def draw(
    pixels: np.ndarray,  # [H, W, 1 to 4]
    window: Window,
    size: tuple[int, int],
    dtype: np.dtype,
    network: Network,
    how: Encoding = DEFAULT,
    progress: ProgressCallback = no_progress,
) -> Iterator[np.ndarray]:
    """Yield bands [rows, W, C] of `dtype`, from top to bottom, of the window of an image, upscaled to `size`.

    No more of the image is encoded than shows in the window. A large image is encoded and drawn in strips,
    each with the rows around it that show in it.
    """
    x, y, width, height = window
    scales = (size[0] / height, size[1] / width)
    rows = strip_rows(pixels, window, size, network, how)
    strips = range(0, size[0], rows)
    used, _ = _drawn_at_once(pixels, window, size, network, how, rows)

    def layers_of(part: Window, rows: int, progress: ProgressCallback) -> list[Layer]:
        seen, at = crop_to_window(part, pixels, network, (rows, size[1]))
        layers = encode_layers(seen, network, how, scales=scales, origin=(at[1], at[0]), progress=progress)
        return [[windowed(field, at) for field in layer] for layer in layers]

    for number, top in enumerate(strips):

        def of_strip(activity: str, fraction: float, number: int = number) -> None:
            of = f", strip {number + 1} of {len(strips)}" if len(strips) > 1 else ""
            progress(activity + of, fraction)

        end = min(top + rows, size[0])
        part = (x, y + top * height / size[0], width, (end - top) * height / size[0])
        # The layers have no name here, so that their memory is free before the next strip's are made.
        drawn = render_layers(layers_of(part, end - top, of_strip), (end - top, size[1]), dtype, of_strip)
        yield from (band for _, band in drawn)
        del drawn
        give_back_freed_memory(used)


def strip_rows(
    pixels: np.ndarray,
    window: Window,
    size: tuple[int, int],
    network: Network,
    how: Encoding,
) -> int:
    """Rows of the result that are drawn at once: their fields take at most STRIP_BYTES.

    An ensemble's take at most half of the memory. Without an ensemble, all rows are drawn at once on a GPU,
    and for networks whose Gaussians may depend on all pixels or lie anywhere. Raises TooLarge if what is
    drawn at once does not fit into the CPU's memory.
    """
    device = next(network.parameters()).device
    if device.type != "cpu" or how.memory:
        return _fitting_rows(pixels, window, size, network, how, how.memory or free_memory(device))
    free = free_memory()
    sparing = max(0, free - WORKING_BYTES) * 9 // 10  # rows are whole ones
    rows = _fitting_rows(pixels, window, size, network, how, sparing)
    if (needed := drawing_bytes(*_drawn_at_once(pixels, window, size, network, how, rows))) > free:
        raise TooLarge(
            f"to draw it takes {needed / 1e9:,.2f} GB of memory, and {free / 1e9:,.2f} GB are free: give a "
            "narrower window=, or cut the image into parts"
        )
    return rows


def _fitting_rows(
    pixels: np.ndarray, window: Window, size: tuple[int, int], network: Network, how: Encoding, memory: int
) -> int:
    unbounded = network.radius is None or has_free_positions(network)
    if not how.ensemble and (next(network.parameters()).device.type != "cpu" or unbounded):
        return size[0]
    most: float = memory / 2
    height, width, channels = pixels.shape
    of_row = ensemble_bytes(network, (height, width), channels) / height
    if not how.ensemble:
        most, of_row = min(most, STRIP_BYTES), of_row / len(TURNS)
    if height * of_row <= most:
        return size[0]
    around = 0 if has_free_positions(network) else 2 * reach(network, size[0] / window[3])
    lr_rows = max(SMALLEST_STRIP, most / of_row - around)
    return min(size[0], max(1, int(lr_rows * size[0] / window[3])))


def _drawn_at_once(
    pixels: np.ndarray, window: Window, size: tuple[int, int], network: Network, how: Encoding, rows: int
) -> tuple[int, int]:
    """Bytes of the fields of the largest strip of `rows` rows, and how many fields have as many each."""
    smaller = min(size[0] / window[3], size[1] / window[2])
    seen, columns = receptive_field(network, window, (pixels.shape[0], pixels.shape[1]), smaller)
    around = 0 if has_free_positions(network) else 2 * reach(network, smaller)
    height = min(seen.stop - seen.start, ceil(rows * window[3] / size[0]) + around)
    of_eight = ensemble_bytes(network, (height, columns.stop - columns.start), pixels.shape[2])
    return of_eight // (FIELD_COPIES * len(TURNS)), len(TURNS) if how.ensemble else 1


def crop_to_window(
    window: Window, pixels: np.ndarray, network: Network, size: tuple[int, int]
) -> tuple[np.ndarray, Window]:
    """Crop an image [H, W, C] to what shows in a window that is rendered at `size`.

    Returns the cropped image and the window in its pixels.
    """
    x, y, width, height = window
    smaller = min(size[0] / height, size[1] / width)
    rows, columns = receptive_field(network, window, (pixels.shape[0], pixels.shape[1]), smaller)
    return pixels[rows, columns], (x - columns.start, y - rows.start, width, height)


def windowed(field: GaussianField, window: Window) -> GaussianField:
    """The field with the window as its canvas; all Gaussians stay, as rendering below scale 1 widens them."""
    x, y, width, height = window
    if (x, y, height, width) == (0, 0, *field.size):
        return field
    return replace(field.shift(-x, -y), size=(height, width))


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
