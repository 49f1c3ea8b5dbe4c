"""MATLAB's bicubic `imresize`, which makes the low-resolution images of the super-resolution literature.

Resizing is separable: each axis is multiplied by a banded matrix of weights. torch's `F.interpolate` differs:
by default it does not antialias, its cubic kernel has a = -0.75, and it treats fractional ratios differently.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Literal, get_args

import numpy as np
import torch
from torch import Tensor

Border = Literal["mirror", "replicate"]
"""What stands beyond the borders: the mirrored image, or its outermost pixels repeated."""

SIZE_TOLERANCE = 1e-9
"""100 * 1.1 is 110.00000000000001 in floating point; sizes within this of a whole number are that number."""


def imresize(
    image: Tensor,  # [..., H, W]
    size: tuple[int, int] | None = None,
    scale: float | tuple[float, float] | None = None,
    *,
    antialias: bool = True,
    border: Border = "mirror",
) -> Tensor:  # [..., h, w]
    """Resize the last two axes as MATLAB's `imresize(..., 'bicubic')` does.

    Half-pixel centres; cubic kernel with a = -0.5, stretched by 1 / scale along axes that shrink
    (`antialias`); the axis with the smaller ratio is resized first. MATLAB mirrors the image at its borders.
    Older releases repeated the outermost pixels (`border`), and made the x8 images of Set5 that circulate.

    Args:
        image: [..., H, W], float or uint8.
        size: (h, w) in pixels; the ratios are then h / H and w / W.
        scale: one number, or one for y and one for x; the size is then ceil(H * scale), ceil(W * scale).
        antialias: whether to low-pass filter along axes that shrink.
        border: "mirror" as in MATLAB today, or "replicate" as in its older releases.

    Returns:
        [..., h, w] in the image's dtype. Floats are not clamped. uint8 is rounded and clamped after each of
        the two passes as in MATLAB, and is bit-identical to MATLAB's results.

    Raises:
        ValueError: unless exactly one of `size` and `scale` is given, it is positive, and H, W > 0; for an
            unknown `border`, and for integers of other types than uint8.

    >>> ramp = torch.arange(8.0).expand(4, 8)
    >>> imresize(ramp, scale=0.5).shape, imresize(ramp, (6, 20)).shape
    (torch.Size([2, 4]), torch.Size([6, 20]))
    >>> imresize(torch.full((2, 2), 200, dtype=torch.uint8), scale=1.5)[0]
    tensor([200, 200, 200], dtype=torch.uint8)
    """
    height, width = image.shape[-2:]
    if not (image.is_floating_point() or image.dtype == torch.uint8):
        raise ValueError(f"imresize takes floats and uint8, got {image.dtype}")
    if border not in get_args(Border):
        raise ValueError(f"border= must be one of {', '.join(get_args(Border))}, got {border!r}")
    if (size is None) == (scale is None):
        raise ValueError("imresize needs either size or scale")
    ratios: tuple[float, float]
    if size is not None:
        ratios = (size[0] / height, size[1] / width)
    else:
        assert scale is not None  # one of the two is given
        ratios = (scale, scale) if isinstance(scale, int | float) else scale
        if not all(0 < ratio < math.inf for ratio in ratios):
            raise ValueError(f"scale must be positive, got {scale}")
        size = (output_size(height, ratios[0]), output_size(width, ratios[1]))
    if min(*size, height, width) < 1:
        raise ValueError(f"cannot resize an image of {height}x{width} pixels to {size[0]}x{size[1]}")
    for axis in sorted((0, 1), key=lambda axis: ratios[axis]):
        image = _resize_axis(image, axis - 2, size[axis], ratios[axis], antialias, border)
    return image


def resize_matrix(extent: int, out: int, ratio: float, *, antialias: bool = True) -> Tensor:
    """Return the matrix that `imresize` applies to an axis of `extent` pixels, [out, extent] float64.

    >>> image = torch.rand(6, 9, dtype=torch.float64)
    >>> smaller = resize_matrix(6, 3, 3 / 6) @ image @ resize_matrix(9, 4, 4 / 9).T
    >>> torch.allclose(smaller, imresize(image, (3, 4)))
    True
    """
    indices, weights = resize_band(extent, out, ratio, antialias, "mirror")
    matrix = torch.zeros(out, extent, dtype=torch.float64)
    return matrix.scatter_add_(1, indices.T, weights.T)


def output_size(extent: int, scale: float) -> int:
    """Return the number of pixels that `extent` pixels become at `scale`: ceil, as in MATLAB."""
    return math.ceil(extent * scale - SIZE_TOLERANCE)


def _resize_axis(
    image: Tensor, axis: int, extent: int, ratio: float, antialias: bool, border: Border
) -> Tensor:
    """Apply the banded matrix to one axis, tap by tap: no temporary is larger than the result."""
    indices, weights = resize_band(image.shape[axis], extent, ratio, antialias, border)
    dtype = image.dtype if image.is_floating_point() else torch.float64
    column = (-1, 1) if axis == -2 else (-1,)
    total = torch.zeros((), dtype=dtype, device=image.device)
    for index, weight in zip(indices.to(image.device), weights.to(image.device, dtype), strict=True):
        total = total + image.index_select(axis, index) * weight.view(column)
    return total if image.is_floating_point() else (total + 0.5).floor().clamp(0, 255).to(image.dtype)


@lru_cache(maxsize=1024)
def resize_band(
    extent: int, out: int, ratio: float, antialias: bool = True, border: Border = "mirror"
) -> tuple[Tensor, Tensor]:
    """Return the band of one axis' matrix: source indices [taps, out] int64, weights [taps, out] float64.

    >>> indices, weights = resize_band(8, 4, 0.5)
    >>> [round(weight, 3) for weight in weights[:, 1].tolist()]
    [-0.012, -0.035, 0.113, 0.434, 0.434, 0.113, -0.035, -0.012]
    """
    stretch = max(1.0, 1 / ratio) if antialias else 1.0
    taps = math.ceil(4 * stretch) + 2
    centre = (np.arange(out) + 0.5) / ratio - 0.5
    first = np.floor(centre - 2 * stretch).astype(np.int64)
    position = first + np.arange(taps)[:, None]
    weights = cubic((centre - position) / stretch)
    weights /= weights.sum(0)
    if border == "replicate":
        indices = position.clip(0, extent - 1)
    else:
        mirrored = np.mod(position, 2 * extent)
        indices = np.where(mirrored < extent, mirrored, 2 * extent - 1 - mirrored)
    used = (weights != 0).any(1)
    return torch.from_numpy(indices[used]), torch.from_numpy(weights[used])


def cubic(x: np.ndarray) -> np.ndarray:
    """Keys' cubic convolution kernel with a = -0.5."""
    x = np.abs(x)
    near = (1.5 * x - 2.5) * x**2 + 1
    far = ((-0.5 * x + 2.5) * x - 4) * x + 2
    return np.where(x <= 1, near, np.where(x <= 2, far, 0.0))
