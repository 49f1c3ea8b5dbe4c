"""ContinuousSR (Peng et al., "Pixel to Gaussian"): the whole way from an LR image to a field of Gaussians.

Features at k times the LR resolution give one Gaussian each: its kernel by *covariance weighting* (a convex
combination of the mined dictionary), its place by *adaptive position drifting* around the cell's centre, its
colour by a *colour mapping* MLP. Rendering the field, at any size, is splat2d's job.
"""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from splat2d import GaussianField

from .blending import from_blending, isotropic, start_tilt, to_blending
from .encoders import EDSR
from .interpolator import Interpolator
from .settings import NetworkSettings


class ContinuousSR(nn.Module):
    """An LR image [B, 3, h, w] in [0, 1] to a GaussianField in LR pixels, k^2 Gaussians per LR pixel.

    Gaussians of the margin, outside the canvas, stay in the field: they keep its borders from darkening.
    """

    def __init__(self, settings: NetworkSettings, dictionary: Tensor) -> None:
        """`dictionary`: [K, 3] Cholesky factors in grid spacings (`dgp_mining.dictionary`)."""
        super().__init__()
        self.settings = s = settings
        self.encoder = EDSR(s.width, s.depth)
        self.to_cells = nn.Conv2d(s.width, s.features * s.cells**2, 3, padding=1)
        self.kernels = FixedKernel(s) if s.covariance == "fixed" else CovarianceWeighting(s, dictionary)
        self.offset = per_cell_mlp(s.features, s.hidden, 2)
        self.colour = per_cell_mlp(s.features, s.hidden, 3)
        self.interpolator = Interpolator(s.cells, s.start_sigma) if s.interpolate else None
        if s.interpolate:
            for last in (self.offset[-1], self.colour[-1]):
                nn.init.zeros_(last.weight)
                nn.init.zeros_(last.bias)
        self.to(memory_format=torch.channels_last)

    def forward(self, image: Tensor) -> GaussianField:
        height, width = image.shape[-2:]
        image = F.pad(image, [self.settings.margin] * 4, mode="replicate")
        image = image.contiguous(memory_format=torch.channels_last)
        features = F.pixel_shuffle(self.to_cells(self.encoder(image)), self.settings.cells)
        offsets = torch.tanh(per_gaussian(self.offset(features)).float())  # within one LR pixel
        colours = per_gaussian(self.colour(features)).float()
        queries = self.kernels.queries(features)
        with torch.autocast(image.device.type, enabled=False):  # rounding here would show in the image
            cholesky = self.kernels(queries) / self.settings.cells  # grid spacings to LR pixels
            if self.interpolator is not None:
                colours = colours + per_gaussian(self.interpolator(image))
        means = self.centres(features) + offsets
        return GaussianField(means, cholesky, colours, size=(height, width))

    def centres(self, features: Tensor) -> Tensor:
        """Cell centres [N, 2] (x, y) in LR pixels of the canvas, row by row, for features [..., k h, k w]."""
        y, x = (
            (torch.arange(n, device=features.device) + 0.5) / self.settings.cells - self.settings.margin
            for n in features.shape[-2:]
        )
        return torch.stack(torch.meshgrid(x, y, indexing="xy"), -1).flatten(0, 1)


class CovarianceWeighting(nn.Module):
    """A kernel for each cell: the dictionary's kernels, averaged with weights softmax(features . embedding).

    Written as attention, the cells being queries and the dictionary keys and values, so that torch's fused
    kernel never holds the K weights of every cell at once: with K = 730 they would take most of a step's time
    and memory. Three of the latent dimensions are the kernels themselves, standardised: a query there tilts
    the weights towards wide, slanted or narrow kernels, and the interpolator's start is such a tilt.
    """

    def __init__(self, settings: NetworkSettings, dictionary: Tensor) -> None:
        super().__init__()
        self.blending = settings.blending
        entries = to_blending(dictionary.double(), settings.blending)
        spread = entries.std(0, unbiased=False).clamp_min(1e-6)
        coordinates = (entries - entries.mean(0)) / spread
        self.register_buffer("entries", entries.float(), persistent=False)
        self.register_buffer("coordinates", coordinates.float(), persistent=False)
        self.embedding = mlp(3, settings.embedding, settings.latent - 3)
        self.query = nn.Conv2d(settings.features, settings.latent, 3, padding=1)
        if settings.interpolate:
            start = to_blending(isotropic(settings.start_sigma), settings.blending)
            nn.init.zeros_(self.query.weight)
            nn.init.zeros_(self.query.bias)
            with torch.no_grad():
                self.query.bias[-3:] = start_tilt(coordinates, (start - entries.mean(0)) / spread).float()

    def queries(self, features: Tensor) -> Tensor:  # [B, F, k h, k w] -> [B, N, latent]
        return per_gaussian(self.query(F.leaky_relu(features)))

    def forward(self, queries: Tensor) -> Tensor:  # [B, N, latent] -> [B, N, 3] Cholesky, grid spacings
        keys = torch.cat([self.embedding(self.coordinates), self.coordinates], -1)  # [K, latent]
        values = F.pad(self.entries, (0, keys.shape[1] - 3))  # the fused kernel wants keys' width
        shared = (len(queries), 1, *keys.shape)
        blended = F.scaled_dot_product_attention(
            queries.float()[:, None], keys.expand(shared), values.expand(shared), scale=1.0
        )
        return from_blending(blended[:, 0, :, :3], self.blending)


class FixedKernel(nn.Module):
    """The ablation: one round kernel for every cell."""

    def __init__(self, settings: NetworkSettings) -> None:
        super().__init__()
        self.register_buffer("kernel", isotropic(settings.start_sigma).float(), persistent=False)

    def queries(self, features: Tensor) -> Tensor:
        return per_gaussian(features)

    def forward(self, queries: Tensor) -> Tensor:
        return self.kernel.expand(*queries.shape[:2], 3)


def per_gaussian(channels: Tensor) -> Tensor:
    """[B, C, k h, k w] -> [B, N, C], row by row: a view of channels-last memory."""
    return channels.permute(0, 2, 3, 1).flatten(1, 2)


def per_cell_mlp(inputs: int, hidden: tuple[int, ...], outputs: int) -> nn.Sequential:
    """An MLP applied to every cell: 1x1 convolutions."""
    return _perceptron(inputs, hidden, outputs, lambda n, m: nn.Conv2d(n, m, 1))


def mlp(inputs: int, hidden: tuple[int, ...], outputs: int) -> nn.Sequential:
    """An MLP over the last axis."""
    return _perceptron(inputs, hidden, outputs, nn.Linear)


def _perceptron(inputs: int, hidden: tuple[int, ...], outputs: int, layer) -> nn.Sequential:
    layers: list[nn.Module] = []
    for n, m in pairwise((inputs, *hidden)):
        layers += [layer(n, m), nn.GELU()]
    return nn.Sequential(*layers, layer((inputs, *hidden)[-1], outputs))
