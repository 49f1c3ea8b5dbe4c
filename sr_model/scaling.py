"""Sizes and scales: the size of an image at a scale, and the scale between two sizes."""

from __future__ import annotations

import math

from splat2d.backends.cpu import MAX_EXTENT

Scale = float | tuple[float, float]
"""One factor, or one for the height and one for the width."""

RequestedSize = tuple[int | None, int | None]
"""(height, width) in pixels; one of them may be None, and follows from the aspect ratio."""


def scaled_extent(extent: float, scale: float) -> int:
    """Return the pixels of an axis at `scale`: rounded, halves upwards, and at least 1.

    >>> scaled_extent(5, 2.5)
    13
    """
    return max(1, int(extent * scale + 0.5))


def scaled(size: tuple[float, float], scale: Scale) -> tuple[int, int]:
    """Return the size (height, width) in whole pixels of an image of `size` at `scale`.

    Raises:
        ValueError: if the scale is not a finite number above 0, or two of them.

    >>> scaled((40, 60), (2, 3.5))
    (80, 210)
    """
    scales = scale if isinstance(scale, tuple) else (scale, scale)
    if len(scales) != 2 or not all(0 < factor < float("inf") for factor in scales):
        raise ValueError(f"the scale must be a number above 0, got {scale}")
    height, width = (scaled_extent(extent, factor) for extent, factor in zip(size, scales, strict=True))
    return height, width


def scale_between(lr: tuple[float, float], size: tuple[float, float]) -> float:
    """Return the scale from an image of `lr` = (height, width) to one of `size`, as one number for both axes.

    It is the geometric mean of the two factors: it keeps the number of output pixels per LR pixel, treats x
    and y alike, and equals the factors if these are equal.

    >>> scale_between((10, 20), (20, 160))
    4.0
    """
    return math.sqrt(size[0] * size[1] / (lr[0] * lr[1]))


def complete_size(requested: RequestedSize, lr: tuple[float, float]) -> tuple[int, int]:
    """Return the whole (height, width) requested for an image of `lr` = (height, width).

    A side that is None is scaled by the same factor as the other one, rounded to at least 1 pixel. Raises
    ValueError if both are None.

    >>> complete_size((None, 1920), (400, 600))
    (1280, 1920)
    """
    height, width = requested
    if height is None:
        if width is None:
            raise ValueError("the size needs a height or a width")
        return scaled_extent(lr[0], width / lr[1]), width
    return height, scaled_extent(lr[1], height / lr[0]) if width is None else width


def check_size(height: int, width: int) -> None:
    """Raise ValueError if an image of this size cannot be rendered."""
    if min(height, width) < 1:
        raise ValueError(f"the size must be at least one pixel each way, got {width}x{height}")
    if max(height, width) > MAX_EXTENT:
        raise ValueError(
            f"{_digits(width)}x{_digits(height)} pixels are too many: a side can have at most "
            f"{MAX_EXTENT:,}; lower the scale or size, or upscale only a part with window="
        )


def _digits(extent: int) -> str:
    return f"{extent:,}" if extent < 10**12 else f"{float(extent):.3g}"
