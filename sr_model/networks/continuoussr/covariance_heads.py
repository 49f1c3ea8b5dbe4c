"""The ways to a kernel for every cell: blended from a dictionary, or for ablations regressed or fixed.

Each is a module of two steps, because the second must not be rounded by autocast: `queries` maps features
[B, F, k h, k w] to [B, N, Q], and the call maps these to Cholesky factors [B, N, 3] in grid spacings.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..mlp import mlp, per_cell_mlp, per_gaussian
from .blending import from_blending, isotropic, positive, start_tilt, to_blending
from .settings import NetworkSettings

PIXELS_AT_X4 = 2.0
"""A grid spacing in the unit of the released code's dictionary: at four Gaussians per LR pixel it is half of
one, which is two pixels at x4."""


def make_covariance(settings: NetworkSettings, channels: int, dictionary: Tensor) -> nn.Module:
    """The way of `settings.covariance`, from `channels` features of a cell.

    `dictionary`: [K, 3] Cholesky factors in grid spacings. Raises ValueError where it cannot give the start.
    """
    match settings.covariance:
        case "fixed":
            return FixedKernel(settings)
        case "direct":
            return Regression(settings, channels, None)
        case "bounded":
            return Regression(settings, channels, torch.stack(dictionary.double().aminmax(dim=0)))
        case _:
            return CovarianceWeighting(settings, channels, dictionary)


class CovarianceWeighting(nn.Module):
    """A kernel for each cell: the dictionary's kernels, averaged with weights softmax(features . embedding).

    Written as attention, the cells being queries and the dictionary keys and values, so that torch's fused
    kernel never holds the K weights of every cell at once: with K = 730 they would take most of a step's time
    and memory. With `tilted` keys, three of the latent dimensions are the kernels themselves, standardised: a
    query there tilts the weights towards wide, slanted or narrow kernels, and the interpolator's start is
    such a tilt.
    """

    def __init__(self, settings: NetworkSettings, channels: int, dictionary: Tensor) -> None:
        super().__init__()
        self.blending = settings.blending
        self.tilted = settings.keys == "tilted"
        entries = to_blending(dictionary.double(), settings.blending)
        if self.tilted:
            centre, spread = entries.mean(0), entries.std(0, unbiased=False).clamp_min(1e-6)
        else:
            unit = to_blending(isotropic(1 / PIXELS_AT_X4), settings.blending)[0]
            centre, spread = torch.zeros(3), unit.expand(3)
        self.register_buffer("entries", entries.float(), persistent=False)
        self.register_buffer("centre", centre.float(), persistent=False)
        self.register_buffer("spread", spread.float(), persistent=False)
        if settings.covariance == "learned":
            self.cholesky = nn.Parameter(dictionary.float().clone())
        embedded = settings.latent - 3 if self.tilted else settings.latent
        self.embedding = mlp(3, settings.embedding, embedded) if embedded else None
        self.query = nn.Conv2d(channels, settings.latent, 3, padding=1)
        if settings.interpolate:
            start = to_blending(isotropic(settings.start_sigma), settings.blending)
            nn.init.zeros_(self.query.weight)
            nn.init.zeros_(self.query.bias)
            with torch.no_grad():
                self.query.bias[-3:] = start_tilt((entries - centre) / spread, (start - centre) / spread)

    def queries(self, features: Tensor) -> Tensor:  # [B, F, k h, k w] -> [B, N, latent]
        return per_gaussian(self.query(F.leaky_relu(features)))

    def forward(self, queries: Tensor) -> Tensor:  # [B, N, latent] -> [B, N, 3]
        entries, keys = self.dictionary()
        values = F.pad(entries, (0, keys.shape[1] - 3))  # the fused kernel wants keys' width
        shared = (len(queries), 1, *keys.shape)
        blended = F.scaled_dot_product_attention(
            queries.float()[:, None], keys.expand(shared), values.expand(shared), scale=1.0
        )
        return from_blending(blended[:, 0, :, :3], self.blending)

    def dictionary(self) -> tuple[Tensor, Tensor]:
        """The kernels [K, 3] in their blending space, and what queries are compared with, [K, latent]."""
        entries = self.entries
        if hasattr(self, "cholesky"):
            entries = to_blending(positive(self.cholesky), self.blending)
        coordinates = (entries - self.centre) / self.spread
        if self.embedding is None:
            return entries, coordinates
        embedded = self.embedding(coordinates)
        return entries, torch.cat([embedded, coordinates], -1) if self.tilted else embedded


class Regression(nn.Module):
    """The ablation without a dictionary: an MLP for the three Cholesky entries.

    They are unbounded as published, or stay within the box around the dictionary's, which shows what its
    range alone is worth.
    """

    def __init__(self, settings: NetworkSettings, channels: int, box: Tensor | None) -> None:
        """`box`: [2, 3] float64, lowest and highest entries."""
        super().__init__()
        self.query = per_cell_mlp(channels, settings.hidden, 3)
        self.register_buffer("box", None if box is None else box.float(), persistent=False)
        if not settings.interpolate:
            return
        start = isotropic(settings.start_sigma)
        if box is not None:
            start = torch.logit((start - box[0]) / (box[1] - box[0]))
            if not start.isfinite().all():
                raise ValueError("the start kernel lies outside the range of the dictionary's kernels")
        nn.init.zeros_(self.query[-1].weight)
        with torch.no_grad():
            self.query[-1].bias.copy_(start)

    def queries(self, features: Tensor) -> Tensor:  # [B, F, k h, k w] -> [B, N, 3]
        return per_gaussian(self.query(features))

    def forward(self, queries: Tensor) -> Tensor:
        if self.box is None:
            return positive(queries.float())
        return positive(torch.lerp(self.box[0], self.box[1], torch.sigmoid(queries.float())))


class FixedKernel(nn.Module):
    """The ablation: one round kernel for every cell."""

    def __init__(self, settings: NetworkSettings) -> None:
        super().__init__()
        self.register_buffer("kernel", isotropic(settings.start_sigma).float(), persistent=False)

    def queries(self, features: Tensor) -> Tensor:
        return per_gaussian(features)

    def forward(self, queries: Tensor) -> Tensor:
        return self.kernel.expand(*queries.shape[:2], 3)
