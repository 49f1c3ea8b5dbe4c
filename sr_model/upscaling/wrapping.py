"""Images that repeat, such as textures: extended by themselves before encoding, so that results tile."""

from __future__ import annotations

from math import ceil
from typing import Literal, get_args

import numpy as np

from ..networks.base import Network
from .tiling import Window, has_free_positions, reach

Wrap = Literal["", "x", "y", "xy"]
"""The axes along which an image repeats."""


def check_wrap(wrap: str) -> None:
    """Raise ValueError unless `wrap` names axes."""
    if wrap not in get_args(Wrap):
        raise ValueError(f"wrap must be 'x', 'y', 'xy' or '', got {wrap!r}")


def margin_of(network: Network, scale: float) -> int:
    """LR pixels of an image's repetition that decide what is rendered within it at `scale`.

    They are a multiple of the network's window, so that its attention sees the image in the same windows.

    Raises ValueError for a network whose Gaussians may lie anywhere.
    """
    if has_free_positions(network):
        raise ValueError("the Gaussians of this network may lie anywhere, so it cannot take wrap=")
    return ceil(reach(network, scale) / network.window) * network.window


def extended(
    pixels: np.ndarray, window: Window, wrap: Wrap, margin: int
) -> tuple[np.ndarray, tuple[float, float]]:
    """Extend an image [H, W, C] by its own repetition along the axes `wrap`.

    The result has `margin` pixels and more on each side of the image, and of the window, which may reach
    beyond the image. Returns it, and the place (x, y) of the image's origin in it.

    >>> wider, origin = extended(np.arange(3)[None, :, None], (0, 0, 3, 1), "x", 2)
    >>> wider[0, :, 0].tolist(), origin
    ([1, 2, 0, 1, 2, 0, 1], (2, 0))
    """
    x, y, width, height = window
    padding = [(0, 0)] * 3
    for axis, first, extent in ((0, y, height), (1, x, width)):
        if "yx"[axis] in wrap:
            before, after = -first, first + extent - pixels.shape[axis]
            padding[axis] = (margin + max(0, ceil(before)), margin + max(0, ceil(after)))
    return np.pad(pixels, padding, mode="wrap"), (padding[1][0], padding[0][0])
