"""What both architectures are: a module from LR images, and the scale they are enlarged to, to fields."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from splat2d import GaussianField

from ..encoders import Encoder


class Network(nn.Module):
    """From images [B, 3, h, w] in [0, 1] to a GaussianField in LR pixels, on a canvas of size (h, w).

    Its Gaussians are a grid of `settings.cells` per LR pixel and axis, row by row, over the canvas and its
    `margins`; where they have moved to does not change their order.
    """

    settings: Any
    """NetworkSettings of a ContinuousSR, GSASRSettings of a GSASR."""
    encoder: Encoder
    """What makes features of the image."""
    window: int
    """Side in LR pixels of the windows within which all its attention looks; 1 where there is none."""
    conditioned: bool
    """Whether the field is made for a scale, and another scale wants another field."""

    def margins(self, extent: int) -> tuple[int, int]:
        """LR pixels of Gaussians (before, after) an axis of `extent` LR pixels."""
        raise NotImplementedError

    def forward(self, image: Tensor, scale: float | Tensor | None = None) -> GaussianField:
        """The field of `image`, to be rendered at `scale`, one number or one per image [B].

        Where x and y are scaled unequally it is their geometric mean (`scale_between`). Networks that are not
        `conditioned` need none; others raise ValueError without.
        """
        raise NotImplementedError
