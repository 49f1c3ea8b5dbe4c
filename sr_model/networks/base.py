"""The two classes that every architecture extends: its settings and its network."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor, nn

from splat2d import GaussianField

from ..checks import check_choices, check_most, check_positive
from ..encoders import Encoder, check_encoder, sum_of_halves
from .bicubic_start import REACH, BicubicStart

MOST_CELLS = 32
"""Most Gaussians per LR pixel and axis: their interpolation takes memory with the fourth power of them."""
MOST_MARGIN = 64
"""Most LR pixels beyond each border."""
MOST_FACTOR = 1000
"""Largest factor, size in pixels or in grid spacings of settings that are not whole numbers."""


@dataclass(frozen=True, kw_only=True)
class NetworkSettings:
    """The settings that all architectures share; each adds its own in a subclass.

    A field added later has a default, which applies to checkpoints older than the field. Raises ValueError,
    in a sentence that names the setting, for values that do not fit together.
    """

    encoder: str
    """Network that extracts features from the LR image (`sr_model/encoders` has one file for each)."""
    width: int
    """Channels of the encoder: 64 in EDSR-baseline and RDN, 256 in EDSR, 48 in SPAN, 52 in RLFN, 36 in SAFMN
    (a multiple of 4), 180 in SwinIR (of 6) and HAT (of 30)."""
    depth: int
    """Residual blocks of EDSR (EDSR-baseline 16, EDSR 32), dense blocks of RDN (16), blocks of SPAN (6), RLFN
    (6) and SAFMN (8), or groups of blocks of SwinIR (6) and HAT (6; HAT-L 12)."""
    residual_scale: float = 1.0
    """Factor on the result of each EDSR block: 1 in EDSR-baseline, 0.1 in EDSR."""
    long_skip: bool = True
    """Whether EDSR adds its first convolution's result to its features, as published. The encoder that GSASR
    was released with computes this sum and returns the features without it; the other encoders always have
    their skip."""
    cells: int
    """k: Gaussians per LR pixel along each axis; their grid spacing is 1/k LR pixel."""
    interpolate: bool
    """Start as bicubic interpolation: prefiltered colours, no offsets, one round kernel."""
    margin: int
    """LR pixels beyond each border of the canvas that get Gaussians too."""
    footprint: bool = False
    """Whether a field stands for the scene, which every output pixel averages over its own area, rather than
    for point samples of an image: one field then suits all scales."""
    normalised: bool = False
    """Whether a pixel is the mean of the colours there, weighted by their Gaussians, rather than their sum:
    Gaussians of one colour then render as that colour, at every scale."""

    def __post_init__(self) -> None:
        check_choices(self)
        check_positive(self, "width", "depth", "cells", "residual_scale")
        check_most(self, cells=MOST_CELLS, margin=MOST_MARGIN, residual_scale=MOST_FACTOR)
        check_encoder(self)
        if self.margin < 0:
            raise ValueError(f"margin must not be negative, got {self.margin}")


class Network(nn.Module, ABC):
    """Map images [B, 3, h, w] in [0, 1] to a GaussianField in LR pixels, on a canvas of size (h, w).

    Its Gaussians form a grid of `settings.cells` per LR pixel and axis, in row-major order, over the canvas
    and its `margins`. The order is that of the grid, however far the Gaussians have moved.
    """

    settings: NetworkSettings
    """Settings of the architecture."""
    encoder: Encoder
    """Module that extracts features from the image."""
    window: int
    """Side in LR pixels of the windows that limit its attention, and of the cells that it pools; 1 for a
    network with neither."""
    conditioned: bool
    """Whether the field depends on the scale, so that each scale needs a field of its own."""
    bicubic_start: BicubicStart | None
    """Filter whose colours the network adds its own to; None for a network that starts at random."""

    @abstractmethod
    def margins(self, extent: int) -> tuple[int, int]:
        """Return the LR pixels of Gaussians (before, after) an axis of `extent` LR pixels."""

    @abstractmethod
    def forward(self, image: Tensor, scale: float | Tensor | None = None) -> GaussianField:
        """Return the field of `image` for rendering at `scale`, one number or one for each image, [B].

        If x and y are scaled differently, `scale` is their geometric mean (`sr_model.scaling.scale_between`).

        Raises:
            ValueError: if the network is `conditioned` and `scale` is None.
        """

    @property
    def upsampled(self) -> int | None:
        """Scale of the published upsampler from which it can start (`take_upsampler`); None without one."""
        return None

    def take_upsampler(self, weight: Tensor, bias: Tensor) -> None:
        """Start from the published sub-pixel convolution of the encoder's features to the scale `upsampled`.

        Of weights [3 k^2, C, 3, 3] and biases [3 k^2].
        """
        raise ValueError(f"a {type(self).__name__} with these settings starts from no upsampler")

    def begin_step(self) -> None:  # most networks note nothing
        """Forget what the network has noted of images in training mode: a training step begins."""

    def end_step(self, over_processes: Callable[[Tensor], None]) -> None:
        """Let what the network has noted of the images of this step change its buffers.

        Of several processes that train together, each notes its share of the batch; `over_processes` replaces
        a tensor by its maximum over all of them.
        """

    @property
    def radius(self) -> int | None:
        """The distance in pixels beyond which the image changes no Gaussian, or more; None without a bound.

        That of the encoder and the halves of all other kernels, as if every convolution followed the last.
        """
        inner = self.encoder.radius
        if inner is None:
            return None
        halves = inner + sum_of_halves(self) - sum_of_halves(self.encoder)
        return halves if self.bicubic_start is None else max(halves, REACH)

    @property
    def visible_within(self) -> float | None:
        """Largest distance in LR pixels from its cell at which a Gaussian may change a picture, from x1 on.

        By its own extent and that of the gaps that it fills, without the area of pixels. None: not known.
        """
        return None

    def field(self, means: Tensor, cholesky: Tensor, colours: Tensor, size: tuple[int, int]) -> GaussianField:
        """Return the field of these Gaussians, to be rendered as the settings say."""
        settings = self.settings
        averaged = not settings.footprint
        return GaussianField(
            means, cholesky, colours, size, averaged=averaged, normalised=settings.normalised
        )

    @property
    def free_positions(self) -> bool:
        """Whether Gaussians may lie anywhere on the canvas, as in ablations, far from their cells."""
        return False
