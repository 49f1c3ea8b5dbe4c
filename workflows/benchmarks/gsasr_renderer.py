"""The renderer released with GSASR, in plain torch: its cut-off is relative to the image.

Every Gaussian is drawn within a rectangle around it whose size is a fixed fraction of the image (the paper's
Algorithm 1 and its ratio r), whatever the Gaussian's own size: ten thousand pixels of a 1000x1000 image for
Gaussians that cover a few. On small images the rectangle cuts off visible parts. All commands use splat2d,
which cuts off where a Gaussian has faded; this renderer is for comparing the two, and for timing.
"""

from __future__ import annotations

import torch
from torch import Tensor

from splat2d import GaussianField
from sr_model.networks.gsasr.network import MASS_WITHIN_CUTOFF

AT_ONCE = 1 << 22
"""Pixels, summed over Gaussians, that are evaluated at once."""


def render_released(field: GaussianField, size: tuple[int, int], ratio: float = 0.1) -> Tensor:
    """Render the field of a `compat` network as its own code does: [B, C, height, width].

    `ratio` is the rectangle's side divided by the image's; the released code sets it to 0.1, at x2 to 0.05.
    """
    height, width = size
    field = field.scale(width / field.size[1], height / field.size[0])
    reach = (ratio * (width - 1) / 2, ratio * (height - 1) / 2)
    gaussians = zip(field.means, field.cholesky, field.colors * MASS_WITHIN_CUTOFF, strict=True)
    return torch.stack([draw(*of_image, size, reach) for of_image in gaussians])


def draw(
    means: Tensor,  # [N, 2]
    cholesky: Tensor,  # [N, 3]
    colors: Tensor,  # [N, C]
    size: tuple[int, int],
    reach: tuple[float, float],
) -> Tensor:  # [C, H, W]
    """Sum Gaussians, all in pixels, each over the pixel centres within `reach` (x, y) of its own centre.

    Gaussian by Gaussian, adding to pixels as it goes, as Algorithm 1 does.
    """
    height, width = size
    image = colors.new_zeros(height * width, colors.shape[1])
    spans = [torch.arange(int(2 * extent) + 2, device=means.device) for extent in reach]
    across, down = (span.expand(1, -1) for span in spans)
    for part in torch.arange(len(means)).split(max(1, AT_ONCE // (across.numel() * down.numel()))):
        (x, y), (l11, l21, l22) = means[part].unbind(-1), cholesky[part].unbind(-1)
        column, row = (
            (at - 0.5 - extent).ceil().long()[:, None] + span  # from the first pixel within reach
            for at, extent, span in ((x, reach[0], across), (y, reach[1], down))
        )
        dx, dy = column + 0.5 - x[:, None], row + 0.5 - y[:, None]
        inside_x = (dx.abs() <= reach[0]) & (column >= 0) & (column < width)
        inside_y = (dy.abs() <= reach[1]) & (row >= 0) & (row < height)
        u = (dx / l11[:, None])[:, None]  # [n, 1, columns]
        v = (dy[..., None] - l21[:, None, None] * u) / l22[:, None, None]  # [n, rows, columns]
        weights = torch.exp(-(u.square() + v.square()) / 2) * (inside_y[..., None] & inside_x[:, None])
        pixels = row.clamp(0, height - 1)[..., None] * width + column.clamp(0, width - 1)[:, None]
        added = weights[..., None] * colors[part][:, None, None]
        image = image.index_add(0, pixels.flatten(), added.flatten(0, 2))
    return image.T.unflatten(1, size)
