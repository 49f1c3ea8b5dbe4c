"""Reducing an image by a stated kernel, block by block: each axis is multiplied by a banded matrix.

`sr_model.degradation.resize` reduces whole images by the same kernels. Here the matrices are needed alone, to
reduce a picture of which only some rows are in memory, on any device.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from splat2d.matlab_imresize import cubic

Kernel = Literal["bicubic", "bilinear", "area", "lanczos"]
"""Kernels by which pictures are made smaller, all of them low-pass filters: MATLAB's bicubic, Pillow's and
torch's bilinear, the mean over a pixel's area, and Pillow's lanczos with three lobes."""
COLUMNS = 64
"""Columns of a block; a larger one multiplies by more zeros."""


@dataclass(frozen=True)
class Block:
    """Some rows of an axis' banded matrix."""

    into: slice
    """The reduced pixels that these rows make."""
    of: slice
    """The pixels that they are made of."""
    weights: Tensor
    """[reduced pixels, pixels] float32."""

    def along(self, axis: int, image: Tensor) -> Tensor:
        """Multiply rows (axis -2) or columns (-1) of an image [..., H, W], which holds only `of`."""
        weights = self.weights.to(image.device)
        return weights @ image if axis == -2 else image @ weights.T


def reduction_blocks(
    extent: int, out: int, kernel: Kernel, step: int, ratio: float | None = None, phase: float = 0.0
) -> list[Block]:
    """The matrix that reduces an axis of `extent` pixels to `out`, at most `step` reduced pixels a block.

    A reduced pixel has `ratio` pixels, by default extent / out, and the first pixel begins `phase` reduced
    pixels behind the first reduced one: then the axis is a part of a longer one.

    >>> [(block.into, block.of) for block in reduction_blocks(8, 4, "area", 2)]
    [(slice(0, 2, None), slice(0, 4, None)), (slice(2, 4, None), slice(4, 8, None))]
    """
    indices, weights = band(extent, out, kernel, extent / out if ratio is None else ratio, phase)
    blocks = []
    for first in range(0, out, step):
        into = slice(first, min(first + step, out))
        columns, values = indices[:, into].T, weights[:, into].T
        used = columns[values != 0]
        of = slice(int(used.min()), int(used.max()) + 1)
        matrix = torch.zeros(into.stop - first, of.stop - of.start, dtype=torch.float64)
        matrix.scatter_add_(1, (columns - of.start).clamp(0, matrix.shape[1] - 1), values)
        blocks.append(Block(into, of, matrix.float()))
    return blocks


@lru_cache(maxsize=64)
def band(extent: int, out: int, kernel: Kernel, ratio: float, phase: float) -> tuple[Tensor, Tensor]:
    """The matrix as a band: source indices [taps, out] int64 and weights [taps, out] float64.

    Beyond the borders the image is mirrored for `bicubic`; the other kernels leave out what lies there.
    """
    shape, support = SHAPES[kernel]
    centre = (np.arange(out) + 0.5 - phase) * ratio - 0.5
    first = np.floor(centre - support * ratio).astype(np.int64)
    position = first + np.arange(int(2 * support * ratio) + 3)[:, None]
    weights = shape(centre - position, ratio)
    if kernel == "bicubic":
        mirrored = np.mod(position, 2 * extent)
        position = np.where(mirrored < extent, mirrored, 2 * extent - 1 - mirrored)
    else:
        weights = np.where((position >= 0) & (position < extent), weights, 0.0)
    weights /= weights.sum(0)
    return torch.from_numpy(position.clip(0, extent - 1)), torch.from_numpy(weights)


def _bicubic(distance: np.ndarray, ratio: float) -> np.ndarray:
    return cubic(distance / ratio)


def _bilinear(distance: np.ndarray, ratio: float) -> np.ndarray:
    return np.maximum(0.0, 1 - np.abs(distance / ratio))


def _area(distance: np.ndarray, ratio: float) -> np.ndarray:
    """The part of each pixel that lies within the area of the reduced one."""
    return np.clip((ratio + 1) / 2 - np.abs(distance), 0.0, 1.0)


def _lanczos(distance: np.ndarray, ratio: float) -> np.ndarray:
    x = distance / ratio
    return np.where(np.abs(x) < 3, np.sinc(x) * np.sinc(x / 3), 0.0)


SHAPES: dict[str, tuple[Callable[[np.ndarray, float], np.ndarray], float]] = {
    "bicubic": (_bicubic, 2.0),
    "bilinear": (_bilinear, 1.0),
    "area": (_area, 1.0),
    "lanczos": (_lanczos, 3.0),
}
"""Weights by distance, in pixels, from a reduced pixel of `ratio` pixels; and where they end, in reduced
pixels."""
