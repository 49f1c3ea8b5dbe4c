"""Heads that give every cell its kernel: blended from a dictionary, or for ablations regressed or fixed.

A head works in two steps, because autocast must not round the second: `queries` maps features
[B, F, k h, k w] to [B, N, Q], and `forward` maps these to Cholesky factors [B, N, 3] in grid spacings.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dgp_mining.prior.continuoussr_table import PIXELS_PER_SPACING

from ...initialisation import Conv2d
from ...native import blending as native
from ..mlp import mlp, output_layer, per_cell_mlp, per_gaussian, start_constant
from .blending import from_blending, isotropic, maximum_entropy_tilt, to_blending, with_positive_diagonal
from .settings import ContinuousSRSettings

FEW_KERNELS = 128
"""Without the native library: kernels up to which the weights of all cells are computed by plain matrix
products, which is faster; for more, torch's fused attention needs less memory."""
CHUNK = 1 << 13
"""Cells whose weights are computed at once where no gradient is needed: few enough for a cache."""


def make_covariance_head(settings: ContinuousSRSettings, channels: int, dictionary: Tensor) -> CovarianceHead:
    """Return the head that `settings.covariance` names.

    Args:
        settings: of the network.
        channels: of a cell's features.
        dictionary: [K, 3] Cholesky factors in grid spacings.

    Raises:
        ValueError: if the dictionary cannot give the start kernel.
    """
    match settings.covariance:
        case "fixed":
            return FixedKernel(settings)
        case "direct":
            return CovarianceRegression(settings, channels, None)
        case "bounded":
            return CovarianceRegression(settings, channels, torch.stack(dictionary.double().aminmax(dim=0)))
        case "dictionary" | "learned":
            return CovarianceWeighting(settings, channels, dictionary)


class CovarianceHead(nn.Module, ABC):
    """From a cell's features to its kernel, in two steps."""

    @abstractmethod
    def queries(self, features: Tensor) -> Tensor:
        """Map features [B, F, k h, k w] to [B, N, Q]."""

    @abstractmethod
    def forward(self, queries: Tensor) -> Tensor:
        """Map queries [B, N, Q] to Cholesky factors [B, N, 3] in grid spacings, float32."""

    def largest_variance(self) -> float | None:
        """Largest variance of a kernel in any direction, or more, in grid spacings squared; None: unknown."""
        return None


class CovarianceWeighting(CovarianceHead):
    """DGP-driven covariance weighting (Eq. 9): a mean of the dictionary's kernels for each cell.

    The weights are softmax(features . embedding), as in attention, with cells as queries and the dictionary
    as keys and values. `native.blended` or torch's fused attention never holds the K weights of all cells at
    once: with K = 730 these would take most of a step's time and memory. With `tilted` keys, three of the
    latent dimensions are the standardised kernels themselves: a query there tilts the weights towards wide,
    slanted or narrow kernels, and such a tilt gives the start kernel.
    """

    entries: Tensor  # [K, 3]
    centre: Tensor  # [3]
    spread: Tensor  # [3]

    def __init__(self, settings: ContinuousSRSettings, channels: int, dictionary: Tensor) -> None:
        super().__init__()
        self.blending = settings.blending
        self.tilted = settings.keys == "tilted"
        entries = to_blending(dictionary.double(), settings.blending)
        if self.tilted:
            centre = on_any_processor(entries.mean(0))
            spread = entries.std(0, unbiased=False).clamp_min(1e-6)
        else:  # in pixels at x4, as the released code embeds them
            unit = to_blending(isotropic(1 / PIXELS_PER_SPACING), settings.blending)[0]
            centre, spread = torch.zeros(3), unit.expand(3)
        self.register_buffer("entries", entries.float(), persistent=False)
        self.register_buffer("centre", centre.float(), persistent=False)
        self.register_buffer("spread", spread.float(), persistent=False)
        if settings.covariance == "learned":
            self.cholesky = nn.Parameter(dictionary.float().clone())
        embedded = settings.latent - 3 if self.tilted else settings.latent
        self.embedding = mlp(3, settings.embedding, embedded) if embedded else None
        side = settings.query_size
        self.query = Conv2d(channels, settings.latent, side, padding=side // 2)
        if settings.interpolate:
            start = to_blending(isotropic(settings.start_sigma), settings.blending)
            tilt = maximum_entropy_tilt((entries - centre) / spread, (start - centre) / spread)
            start_constant(self.query, F.pad(on_any_processor(tilt), (settings.latent - 3, 0)))

    def queries(self, features: Tensor) -> Tensor:  # [B, F, k h, k w] -> [B, N, latent]
        return per_gaussian(self.query(F.leaky_relu(features)))

    def forward(self, queries: Tensor) -> Tensor:  # [B, N, latent] -> [B, N, 3]
        entries, keys = self.dictionary()
        queries = queries.float()
        if torch.is_grad_enabled() and (queries.requires_grad or keys.requires_grad):
            return self._blend(queries, keys, entries)
        kernels = queries.new_empty(*queries.shape[:-1], 3)
        for part, into in zip(torch.split(queries, CHUNK, -2), torch.split(kernels, CHUNK, -2), strict=True):
            into.copy_(self._blend(part, keys, entries))
        return kernels

    def largest_variance(self) -> float:
        """That of the dictionary's kernels: their means are no wider, whichever the blending space."""
        with torch.no_grad():
            kernels = from_blending(self.dictionary()[0].double(), self.blending)
        xx, xy, yy = to_blending(kernels, "covariance").unbind(-1)
        return float(((xx + yy) / 2 + torch.hypot((xx - yy) / 2, xy)).max())

    def dictionary(self) -> tuple[Tensor, Tensor]:
        """Return the kernels [K, 3] in their blending space, and the keys [K, latent] of their attention."""
        entries = self.entries
        if hasattr(self, "cholesky"):
            entries = to_blending(with_positive_diagonal(self.cholesky), self.blending)
        coordinates = (entries - self.centre) / self.spread
        if self.embedding is None:
            return entries, coordinates
        embedded = self.embedding(coordinates)
        return entries, torch.cat([embedded, coordinates], -1) if self.tilted else embedded

    def _blend(self, queries: Tensor, keys: Tensor, entries: Tensor) -> Tensor:
        """Return the kernels of softmax(queries keys^T) entries, [..., 3]."""
        if native.applies(queries, keys, entries):
            blended = native.blended(queries, keys, entries)
        elif len(keys) <= FEW_KERNELS:
            blended = _by_products(queries, keys, entries)
        else:
            blended = _by_attention(queries, keys, entries)
        return from_blending(blended, self.blending)


def _by_products(queries: Tensor, keys: Tensor, entries: Tensor) -> Tensor:
    # By `bmm`, as the gradient of `keys` in a plain product takes three times as long.
    logits = torch.bmm(queries, keys.T.expand(len(queries), -1, -1))
    by_entry = entries.T.contiguous()  # a product with three columns takes thrice as long
    return F.linear(torch.softmax(logits, -1), by_entry)


def _by_attention(queries: Tensor, keys: Tensor, entries: Tensor) -> Tensor:
    values = F.pad(entries, (0, keys.shape[1] - 3))  # the fused kernel needs keys and values of one width
    shared = (len(queries), 1, *keys.shape)
    expanded = keys.expand(shared), values.expand(shared)
    return F.scaled_dot_product_attention(queries[:, None], *expanded, scale=1.0)[:, 0, :, :3]


def on_any_processor(values: Tensor) -> Tensor:
    """Return float64 values without the last bits, in which processors differ: a 0 may come out as 1e-18."""
    return values.round(decimals=12) + 0.0  # and not as -0.0


class CovarianceRegression(CovarianceHead):
    """The ablation without a dictionary: an MLP for the three Cholesky entries.

    They are unbounded as published, or bounded to the dictionary's bounding box, which shows how much the
    range alone contributes.
    """

    box: Tensor | None

    def __init__(self, settings: ContinuousSRSettings, channels: int, box: Tensor | None) -> None:
        """`box`: [2, 3] float64, lowest and highest entries; None for no bounds.

        Raises ValueError if the start kernel lies outside the box.
        """
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
        start_constant(output_layer(self.query), start)

    def queries(self, features: Tensor) -> Tensor:  # [B, F, k h, k w] -> [B, N, 3]
        return per_gaussian(self.query(features))

    def forward(self, queries: Tensor) -> Tensor:
        if self.box is None:
            return with_positive_diagonal(queries.float())
        return with_positive_diagonal(torch.lerp(self.box[0], self.box[1], torch.sigmoid(queries.float())))


class FixedKernel(CovarianceHead):
    """The ablation with one round kernel for every cell."""

    kernel: Tensor  # [3]

    def __init__(self, settings: ContinuousSRSettings) -> None:
        super().__init__()
        self.register_buffer("kernel", isotropic(settings.start_sigma).float(), persistent=False)

    def queries(self, features: Tensor) -> Tensor:
        return per_gaussian(features)

    def forward(self, queries: Tensor) -> Tensor:
        return self.kernel.expand(*queries.shape[:2], 3)
