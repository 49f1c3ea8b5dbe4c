"""ContinuousSR (Peng et al., "Pixel to Gaussian"): the whole way from an LR image to a field of Gaussians.

Features at k times the LR resolution give one Gaussian each: its kernel by *covariance weighting* (a convex
combination of the mined dictionary), its place by *adaptive position drifting* around the cell's centre, its
colour by a *colour mapping* MLP. Rendering the field, at any size, is splat2d's job.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from splat2d import GaussianField

from ...encoders import Encoder, fill_windows, make_encoder
from ..base import Network
from ..bicubic_start import Interpolator
from ..mlp import per_cell_mlp, per_cell_trunk, per_gaussian
from .covariance_heads import make_covariance
from .settings import NetworkSettings


class ContinuousSR(Network):
    """An LR image [B, 3, h, w] in [0, 1] to a GaussianField in LR pixels, k^2 Gaussians per LR pixel.

    Gaussians of the margin, outside the canvas, stay in the field: they keep its borders from darkening.
    """

    conditioned = False

    def __init__(self, settings: NetworkSettings, dictionary: Tensor) -> None:
        """`dictionary`: [K, 3] Cholesky factors in grid spacings (`dgp_mining.prior.dictionary`)."""
        super().__init__()
        self.settings = s = settings
        self.encoder = make_encoder(s, upsampling=2 * s.cells)
        self.window = self.encoder.window
        self.to_cells = cell_projection(self.encoder, s)
        self.trunk = per_cell_trunk(s.features, s.trunk)
        channels = (s.features, *s.trunk)[-1]
        self.kernels = make_covariance(s, channels, dictionary)
        offset_hidden = s.hidden if s.offset_hidden is None else s.offset_hidden
        self.offset = None if s.positions == "initial" else per_cell_mlp(channels, offset_hidden, 2)
        self.colour = per_cell_mlp(channels, s.hidden, 3)
        self.interpolator = Interpolator(s.cells, s.start_sigma) if s.interpolate else None
        if s.interpolate:
            for head in filter(None, (self.offset, self.colour)):
                nn.init.zeros_(head[-1].weight)
                nn.init.zeros_(head[-1].bias)
        self.to(memory_format=torch.channels_last)

    def margins(self, extent: int) -> tuple[int, int]:
        return self.settings.margin, self.settings.margin

    def forward(self, image: Tensor, scale: float | Tensor | None = None) -> GaussianField:
        size = image.shape[-2:]
        image = F.pad(image, [self.settings.margin] * 4, mode="replicate")
        image = image.contiguous(memory_format=torch.channels_last)
        features = self.trunk(self.cell_features(image))
        means = self.means(features, size)
        colours = per_gaussian(self.colour(features)).float()
        queries = self.kernels.queries(features)
        with torch.autocast(image.device.type, enabled=False):  # rounding here would show in the image
            cholesky = self.kernels(queries) / self.settings.cells  # grid spacings to LR pixels
            if self.interpolator is not None:
                colours = colours + per_gaussian(self.interpolator(image))
        return GaussianField(means, cholesky, colours, size=(size[0], size[1]))

    def cell_features(self, image: Tensor) -> Tensor:
        """[B, 3, h, w] to [B, features, k h, k w]."""
        encoder, cells = self.encoder, self.settings.cells
        features = encoder(fill_windows(image, encoder.window))
        height, width = (extent * encoder.upsampling for extent in image.shape[-2:])
        features = features[..., :height, :width]
        if encoder.upsampling == 1:
            return F.pixel_shuffle(self.to_cells(features), cells)
        return self.to_cells(F.pixel_unshuffle(features, encoder.upsampling // cells))

    def means(self, features: Tensor, size: tuple[int, int]) -> Tensor:
        """Positions [B, N, 2] (x, y) in LR pixels, of features [B, ..., k h, k w] on a canvas of `size`."""
        centres = self.centres(features)
        if self.offset is None:
            return centres.expand(len(features), -1, -1)
        offsets = torch.tanh(per_gaussian(self.offset(features)).float())
        if self.settings.positions == "offsets":
            return (offsets + 1) / 2 * offsets.new_tensor(size[::-1])
        return centres + self.settings.drift * offsets

    def centres(self, features: Tensor) -> Tensor:
        """Where cells start, [N, 2] (x, y) in LR pixels of the canvas, row by row, of [..., k h, k w]."""
        s = self.settings
        phase = 0.5 if s.phase == "centre" else 0.0
        y, x = (
            (torch.arange(n, device=features.device) + phase) / s.cells - s.margin
            for n in features.shape[-2:]
        )
        return torch.stack(torch.meshgrid(x, y, indexing="xy"), -1).flatten(0, 1)


def cell_projection(encoder: Encoder, settings: NetworkSettings) -> nn.Module:
    """What gives cells their number of features.

    At LR resolution a convolution makes k^2 cells of each pixel. Where the encoder upsamples further than to
    k, a cell has the features of several of its pixels, as they are if there are as many as asked for
    (released code).
    """
    features, cells = settings.features, settings.cells
    if encoder.upsampling == 1:
        return nn.Conv2d(encoder.channels, features * cells**2, 3, padding=1)
    provided = encoder.channels * (encoder.upsampling // cells) ** 2
    return nn.Identity() if provided == features else nn.Conv2d(provided, features, 1)
