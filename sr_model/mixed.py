"""Rendering a batch of which every image has a size of its own, in one call."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from splat2d import GaussianField, render


def render_each(field: GaussianField, sizes: Sequence[tuple[int, int]]) -> Tensor:
    """Row b of `field` rendered at `sizes[b]` = (height, width), in the top left corner of its image.

    The images are as large as the largest size; what lies beyond a row's own means nothing. That takes
    memory, but little time: where few Gaussians are, little is rendered. For sizes no smaller than the canvas
    (`GaussianField.render` also averages over larger pixels).

    Returns [B, C, H, W] float32.
    """
    height, width = field.size
    factors = field.means.new_tensor([[w / width, h / height] for h, w in sizes])[:, None]  # [B, 1, 2], x y
    largest = (max(h for h, _ in sizes), max(w for _, w in sizes))
    means, cholesky = field.means * factors, field.cholesky * factors[..., [0, 1, 1]]
    return render(means, cholesky, field.colors, largest, counts=field.counts)
