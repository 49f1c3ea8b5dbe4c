"""Rendering the layers of an image band by band, as pixels of a file or array."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from splat2d import GaussianField

from .tiling import ProgressCallback, no_progress

BAND_BYTES = 1 << 25
"""Bytes of a band of rows as floats. Rendering one takes about a second, the interval of progress calls."""
WHOLE_ON_GPU = 1 << 28
"""Largest image in pixels that a GPU renders at once: 3 GB of colours."""

Layer = Sequence[GaussianField]
"""Grey, colours or alpha of an image: the mean of the renderings of one field, or of an ensemble's eight."""


def render_layers(
    layers: Sequence[Layer],
    size: tuple[int, int],
    dtype: np.dtype,
    progress: ProgressCallback = no_progress,
) -> Iterator[tuple[int, np.ndarray]]:
    """Yield (top row, [rows, W, C] of `dtype`) from top to bottom: the channels of all layers, clamped."""
    rows = max(1, BAND_BYTES // (4 * 4 * size[1] * max(len(fields) for fields in layers)) // 4) * 4
    for parts in zip(*(render_bands(fields, size, rows) for fields in layers), strict=True):
        top = parts[0][0]
        band = torch.cat([part.cpu() for _, part in parts], 1)[0].permute(1, 2, 0).clamp_(0, 1).numpy()
        yield top, quantise(band, np.dtype(dtype))
        progress("rendering", (top + len(band)) / size[0])


def render_bands(fields: Layer, size: tuple[int, int], rows: int) -> Iterator[tuple[int, Tensor]]:
    """Yield (top row, [1, C, rows, W]), the mean of all fields, by `GaussianField.render_bands` on the CPU.

    A GPU renders an image of up to WHOLE_ON_GPU pixels at once. `rows` is a multiple of 4.
    """
    if fields[0].means.device.type != "cpu" and size[0] * size[1] <= WHOLE_ON_GPU:
        rendered = mean_of([field.render(size) for field in fields]).cpu()
        yield from ((top, rendered[:, :, top : top + rows]) for top in range(0, size[0], rows))
        return
    of_each = []
    for field in fields:
        moved = replace(
            field, means=field.means.cpu(), cholesky=field.cholesky.cpu(), colors=field.colors.cpu()
        )
        channels = field.colors.shape[2] + field.normalised  # which has its weights as one more
        of_each.append(moved.render_bands(size, budget=4 * rows * size[1] * channels))
    for parts in zip(*of_each, strict=True):
        yield parts[0][0], mean_of([band for _, band in parts])


def mean_of(images: Sequence[Tensor]) -> Tensor:
    """The mean of images of one shape, added in their order, so that equal channels stay equal."""
    first, *others = images
    return sum(others, start=first) / len(images) if others else first


def quantise(values: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Convert floats in [0, 1] to `dtype`, rounding for integer types. Modifies `values` in place."""
    if dtype.kind == "f":
        return values.astype(dtype, copy=False)
    values *= np.iinfo(dtype).max
    values += 0.5
    return values.astype(dtype, order="C")
