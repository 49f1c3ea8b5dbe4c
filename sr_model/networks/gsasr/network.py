"""GSASR (Chen et al. 2025, "Generalized and Efficient 2D Gaussian Splatting for Arbitrary-scale
Super-Resolution"): from an LR image and a scale to a field of Gaussians.

Every LR pixel begins as a learnt *Gaussian embedding*, the same in every window. *Condition injection* lets
it look at the image's features in its window, *Gaussian interaction* at the other Gaussians, and the scale is
told to both, layer by layer. Upsampled to k^2 Gaussians per LR pixel, five heads then give each its opacity,
its offset from its *reference position*, its standard deviations, their correlation and its colour.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from splat2d import DEFAULT_CUTOFF, GaussianField

from ...encoders import fill_windows, make_encoder
from ...encoders.transformer import upsampler
from ..base import Network
from ..bicubic_start import Interpolator
from ..mlp import mlp, per_cell_mlp, per_gaussian
from .attention import FAINT, Block, CrossAttention, self_attention
from .settings import WIDEST, GSASRSettings

NARROWEST, RANGE = 1e-6, 0.99999
"""Least standard deviation, and how far above it the widest is, as parts of `WIDEST` (released code)."""
STEEPEST = 0.999999
"""Largest correlation of x and y (released code)."""
KEPT = 1 - math.exp(-(DEFAULT_CUTOFF**2) / 2)
"""The part of a Gaussian's integral within the renderer's cut-off. The released networks were trained with a
renderer that draws all of it; their colours are divided by this, so that images keep their brightness."""


class GSASR(Network):
    """An LR image [B, 3, h, w] in [0, 1] to a GaussianField in LR pixels, k^2 Gaussians per LR pixel.

    The image is continued by its margin and then to whole windows, and all Gaussians of both stay in the
    field: they keep its borders from darkening.
    """

    conditioned = True

    def __init__(self, settings: GSASRSettings) -> None:
        super().__init__()
        self.settings = s = settings
        c = s.channels
        self.encoder = make_encoder(s, upsampling=1)
        self.window = math.lcm(self.encoder.window, s.window)
        self.features = nn.Sequential(
            nn.Conv2d(self.encoder.channels, c, 3, padding=1), nn.ReLU(), nn.Conv2d(c, c, 3, padding=1)
        )
        self.embedding = nn.Parameter(torch.randn(s.window, s.window, c))
        self.place = nn.Parameter(torch.randn(s.window, s.window, c))
        self.condition = mlp(1, (4 * c,), c, nn.ReLU)
        self.injection = nn.ModuleList(
            Block(c, (CrossAttention(s, shifted=bool(i % 2)) for i in range(s.injection[1])))
            for _ in range(s.injection[0])
        )
        self.interaction = nn.ModuleList(
            Block(c, (self_attention(s, shifted=bool(i % 2)) for i in range(s.interaction[1])))
            for _ in range(s.interaction[0])
        )
        self.upsample = upsampler(c, s.cells)
        outputs = {"opacity": 1, "offset": 2, "deviation": 2, "correlation": 1, "colour": 3}
        self.heads = nn.ModuleDict(
            {name: per_cell_mlp(c, s.head_hidden, n, nn.ReLU) for name, n in outputs.items()}
        )
        self.interpolator = Interpolator(s.cells, s.start[0]) if s.interpolate else None
        self._start()
        self.to(memory_format=torch.channels_last)

    def margins(self, extent: int) -> tuple[int, int]:
        margin = self.settings.margin
        return margin, -(-(extent + 2 * margin) // self.window) * self.window - margin - extent

    def forward(self, image: Tensor, scale: float | Tensor | None = None) -> GaussianField:
        if scale is None:
            raise ValueError("a GSASR makes its field for a scale, and none was given")
        scale = torch.as_tensor(scale, dtype=torch.float32, device=image.device).expand(len(image))
        size = image.shape[-2:]
        image = fill_windows(F.pad(image, [self.settings.margin] * 4, mode="replicate"), self.window)
        image = image.contiguous(memory_format=torch.channels_last)
        cells = self.cell_features(image, scale)
        heads = {name: per_gaussian(head(cells)).float() for name, head in self.heads.items()}
        with torch.autocast(image.device.type, enabled=False):  # rounding here would show in the image
            means = self.means(heads["offset"], size, cells.shape[-2:])
            cholesky = cholesky_factors(heads["deviation"], heads["correlation"])
            colours = self.colours(heads["opacity"], heads["colour"], image)
        return GaussianField(means, cholesky, colours, size=(size[0], size[1]))

    def cell_features(self, image: Tensor, scale: Tensor) -> Tensor:
        """Whole windows of an image [B, 3, H, W] and scales [B] to [B, C, k H, k W]."""
        s = self.settings
        features = self.features(self.encoder(image)).permute(0, 2, 3, 1)
        tiles = (len(image), image.shape[-2] // s.window, image.shape[-1] // s.window, 1)
        place = self.place.repeat(tiles[1:])
        condition = self.condition(1 / scale.clamp_min(1)[:, None])  # below 1, the renderer averages
        gaussians = self.embedding.repeat(*tiles)
        for block in self.injection:
            gaussians = block(gaussians, condition, place, features)
        injected = gaussians
        for block in self.interaction:
            gaussians = block(gaussians, condition)
        return self.upsample((gaussians + injected).permute(0, 3, 1, 2))

    def means(self, offset: Tensor, size: tuple[int, int], grid: tuple[int, int]) -> Tensor:
        """Positions [B, N, 2] (x, y) in LR pixels, of offsets in cells, on a `grid` around a canvas."""
        s = self.settings
        if s.positions == "free":
            return torch.sigmoid(offset) * offset.new_tensor(size[::-1])
        y, x = (torch.arange(n, device=offset.device) + 0.5 for n in grid)
        reference = torch.stack(torch.meshgrid(x, y, indexing="xy"), -1).flatten(0, 1)
        return (reference + offset) / s.cells - s.margin

    def colours(self, opacity: Tensor, colour: Tensor, image: Tensor) -> Tensor:
        """Amplitudes [B, N, 3]: the colour seen through the opacity; or what that adds to bicubic's."""
        if self.interpolator is not None:
            return per_gaussian(self.interpolator(image)) + torch.sigmoid(opacity) * colour
        return torch.sigmoid(opacity) * torch.sigmoid(colour) / (KEPT if self.settings.compat else 1)

    @torch.no_grad()
    def _start(self) -> None:
        s = self.settings
        if s.near:
            self._look_near()
        if s.start is None:
            return
        for name in ("deviation", "correlation") + (("offset", "colour") if s.interpolate else ()):
            nn.init.zeros_(self.heads[name][-1].weight)
            nn.init.zeros_(self.heads[name][-1].bias)
        l11, l21, l22 = s.start
        deviation = torch.tensor([l11, math.hypot(l21, l22)]) / s.cells
        self.heads["deviation"][-1].bias.copy_(torch.logit((deviation / WIDEST - NARROWEST) / RANGE))
        self.heads["correlation"][-1].bias.fill_(math.atanh(l21 / math.hypot(l21, l22) / STEEPEST))

    def _look_near(self) -> None:
        """Carry what a Gaussian sees at its own pixel through to its heads; all else adds nothing yet.

        From random weights a thousandth of the signal arrives, beside embeddings that are the same for every
        image: less than what bfloat16 rounds, and thousands of steps until a network has found it.
        """
        self.embedding *= FAINT
        self.place *= FAINT
        for block in self.injection:
            block.norm.weight.fill_(FAINT)
            block.layers[0].attention.init_local_attention()
        for block in self.interaction:
            nn.init.zeros_(block.mlp[-1].weight)
        for layer in (layer for block in (*self.injection, *self.interaction) for layer in block.layers):
            nn.init.zeros_(layer.mlp_scale[-1].weight)
            nn.init.zeros_(layer.mlp[-1].weight)
        for module in (*self.features, *(module for block in self.injection for module in block.mlp)):
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")


def cholesky_factors(deviation: Tensor, correlation: Tensor) -> Tensor:
    """What the heads say of x and y [B, N, 2] and their correlation [B, N, 1], as (l11, l21, l22)."""
    sigma_x, sigma_y = (WIDEST * (RANGE * torch.sigmoid(deviation) + NARROWEST)).unbind(-1)
    rho = STEEPEST * torch.tanh(correlation[..., 0])
    return torch.stack([sigma_x, rho * sigma_y, ((1 - rho) * (1 + rho)).sqrt() * sigma_y], -1)
