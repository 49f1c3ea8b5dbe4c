"""Sizes and scales: what an image becomes at a scale, and which scale is between two sizes."""

from __future__ import annotations

import math

from splat2d.backends.cpu import MAX_EXTENT


def scaled_extent(extent: int, scale: float) -> int:
    """Pixels that `extent` LR pixels become at `scale`: rounded, halves upwards, and at least 1."""
    return max(1, int(extent * scale + 0.5))


def scale_between(lr: tuple[float, float], size: tuple[float, float]) -> float:
    """The scale from an image of `lr` = (height, width) to one of `size`: a single number for both axes.

    It is the geometric mean of the two factors, which makes it the one that keeps the number of output pixels
    per LR pixel, treats x and y alike, and agrees with the factors where they are equal.
    """
    return math.sqrt(size[0] * size[1] / (lr[0] * lr[1]))


Scale = float | tuple[float, float]
"""One factor, or one for the height and one for the width."""


def scaled(size: tuple[float, float], scale: Scale) -> tuple[int, int]:
    """The whole (height, width) that `size` becomes. Raises ValueError for a scale that is none."""
    scales = scale if isinstance(scale, tuple) else (scale, scale)
    if len(scales) != 2 or not all(0 < factor < float("inf") for factor in scales):
        raise ValueError(f"the scale must be a number above 0, got {scale}")
    height, width = (scaled_extent(extent, factor) for extent, factor in zip(size, scales, strict=True))
    return height, width


def check_size(height: int, width: int) -> None:
    """Raise ValueError for a size that cannot be rendered."""
    if min(height, width) < 1:
        raise ValueError(f"the size must be at least one pixel each way, got {width}x{height}")
    if max(height, width) > MAX_EXTENT:
        raise ValueError(
            f"{width:,}x{height:,} pixels are too many: at most {MAX_EXTENT:,} a side can be made; "
            "lower the scale, or enlarge a part with --window"
        )
