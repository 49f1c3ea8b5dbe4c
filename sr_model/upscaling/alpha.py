"""Pictures with an alpha channel: one that is the same everywhere, and the colours that it hides."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from splat2d import GaussianField


def flat_field(value: Tensor, size: tuple[int, int]) -> GaussianField:
    """A field of one grey `value` everywhere on a canvas of `size` (height, width): one wide Gaussian."""
    centre = value.new_tensor([[[size[1] / 2, size[0] / 2]]])
    wide = value.new_tensor([[[1.0, 0.0, 1.0]]]) * max(size)
    return GaussianField(centre, wide, value.reshape(1, 1, 1), size, normalised=True)


def bleed(colours: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Replace the colours [H, W, C] of fully transparent pixels by those of the nearest visible pixel.

    Otherwise the hidden colours, often black, would darken the edges of the visible parts.
    """
    hidden = alpha == 0
    if hidden.all() or not hidden.any():
        return colours
    from scipy.ndimage import distance_transform_edt  # here, as most images need it not: 0.2 s

    nearest = distance_transform_edt(hidden, return_distances=False, return_indices=True)
    return colours[tuple(nearest)]
