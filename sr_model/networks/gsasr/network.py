"""GSASR (Chen et al. 2025, "Generalized and Efficient 2D Gaussian Splatting for Arbitrary-scale
Super-Resolution"): from an LR image and a scale to a field of Gaussians.

Every LR pixel starts as a learnt *Gaussian embedding*, the same in every window. *Condition injection* lets
it attend to the image's features in its window, *Gaussian interaction* to the other Gaussians; every layer of
both is given the scale. After upsampling to k^2 Gaussians per LR pixel, five heads give each its opacity, its
offset from its *reference position*, its standard deviations, their correlation and its colour.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from splat2d import DEFAULT_CUTOFF, GaussianField

from ...encoders import fill_windows, make_encoder
from ...encoders.transformer import upsampler
from ...initialisation import Conv2d, draw_kaiming_normal, draw_normal
from ..base import Network
from ..bicubic_start import BicubicStart
from ..mlp import mlp, output_layer, per_cell_mlp, per_gaussian, start_constant
from .attention import EMBEDDING_SCALE, Block, CrossAttention, self_attention
from .settings import WIDEST, GSASRSettings

SIGMA_OFFSET, SIGMA_RANGE = 1e-6, 0.99999
"""Smallest standard deviation, and largest minus smallest, as fractions of `WIDEST` (released code)."""
LARGEST_CORRELATION = 0.999999
"""Largest correlation of x and y (released code)."""
MASS_WITHIN_CUTOFF = 1 - math.exp(-(DEFAULT_CUTOFF**2) / 2)
"""Fraction of a Gaussian's integral within the renderer's cut-off. The released networks were trained with a
renderer without cut-off; dividing their colours by this keeps the brightness of their images."""


class GSASR(Network):
    """Map an LR image [B, 3, h, w] in [0, 1] and a scale to a GaussianField, k^2 Gaussians per LR pixel.

    The image is extended by its margin and then to whole windows. The Gaussians of both stay in the field:
    they keep its borders from darkening.

    >>> from dataclasses import replace
    >>> from sr_model import GSASR, PRESETS
    >>> tiny = replace(PRESETS["gsasr-demo"].network, width=8, depth=1, channels=6, head_hidden=(6,))
    >>> network = GSASR(tiny)
    >>> field = network(torch.rand(1, 3, 8, 8), scale=3.5)
    >>> field.render((28, 28)).shape
    torch.Size([1, 3, 28, 28])
    """

    settings: GSASRSettings
    conditioned = True

    def __init__(self, settings: GSASRSettings, dictionary: Tensor | None = None) -> None:
        """Build the network with fresh weights. `dictionary` is ignored: a GSASR blends no kernels."""
        super().__init__()
        self.settings = s = settings
        c = s.channels
        self.encoder = make_encoder(s, upsampling=1)
        self.window = math.lcm(self.encoder.window, s.window)
        self.features = nn.Sequential(
            Conv2d(self.encoder.channels, c, 3, padding=1), nn.ReLU(), Conv2d(c, c, 3, padding=1)
        )
        self.embedding = nn.Parameter(draw_normal(torch.empty(s.window, s.window, c), std=1))
        self.place = nn.Parameter(draw_normal(torch.empty(s.window, s.window, c), std=1))
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
        self.bicubic_start = None
        if s.interpolate:
            assert s.start is not None  # checked by the settings
            self.bicubic_start = BicubicStart(s.cells, s.start[0], s.normalised)
        if s.near:
            self._init_local_attention()
        if s.start is not None:
            self._init_heads(s.start)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # not in torch's stubs

    @property
    def free_positions(self) -> bool:
        return self.settings.positions == "free"

    @property
    def radius(self) -> None:
        return None  # windows shift from block to block

    def margins(self, extent: int) -> tuple[int, int]:
        margin = self.settings.margin
        return margin, -(-(extent + 2 * margin) // self.window) * self.window - margin - extent

    def forward(self, image: Tensor, scale: float | Tensor | None = None) -> GaussianField:
        if scale is None:
            raise ValueError("the field of a GSASR depends on the scale: give one with scale=")
        scale = torch.as_tensor(scale, dtype=torch.float32, device=image.device).expand(len(image))
        height, width = image.shape[-2:]
        image = fill_windows(F.pad(image, [self.settings.margin] * 4, mode="replicate"), self.window)
        image = image.contiguous(memory_format=torch.channels_last)
        cells = self.cell_features(image, scale)
        heads = {name: per_gaussian(head(cells)).float() for name, head in self.heads.items()}
        with torch.autocast(image.device.type, enabled=False):  # rounding here would show in the image
            means = self.means(heads["offset"], (height, width), (cells.shape[-2], cells.shape[-1]))
            cholesky = cholesky_factors(heads["deviation"], heads["correlation"])
            colours = self.colours(heads["opacity"], heads["colour"], image)
        return self.field(means, cholesky, colours, (height, width))

    def cell_features(self, image: Tensor, scale: Tensor) -> Tensor:
        """Map whole windows of an image [B, 3, H, W] and scales [B] to features [B, C, k H, k W]."""
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
        """Return positions [B, N, 2] (x, y) in LR pixels, from offsets [B, N, 2] in cells.

        `size` (height, width) is that of the canvas in LR pixels, `grid` that of the grid of cells around it.
        """
        s = self.settings
        if s.positions == "free":
            return torch.sigmoid(offset) * offset.new_tensor(size[::-1])
        y, x = (torch.arange(n, device=offset.device) + 0.5 for n in grid)
        reference = torch.stack(torch.meshgrid(x, y, indexing="xy"), -1).flatten(0, 1)
        return (reference + offset) / s.cells - s.margin

    def colours(self, opacity: Tensor, colour: Tensor, image: Tensor) -> Tensor:
        """Return amplitudes [B, N, 3]: opacity times colour, added to bicubic's if it starts there."""
        if self.bicubic_start is not None:
            return per_gaussian(self.bicubic_start(image)) + torch.sigmoid(opacity) * colour
        mass = MASS_WITHIN_CUTOFF if self.settings.compat else 1
        return torch.sigmoid(opacity) * torch.sigmoid(colour) / mass

    def _init_heads(self, kernel: tuple[float, float, float]) -> None:
        """Give all Gaussians one kernel, and bicubic interpolation's colours if the settings ask for them."""
        l11, l21, l22 = kernel
        sigma_y = math.hypot(l21, l22)
        start = {
            "deviation": torch.tensor([deviation_logit(s / self.settings.cells) for s in (l11, sigma_y)]),
            "correlation": torch.tensor(math.atanh(l21 / sigma_y / LARGEST_CORRELATION)),
        }
        if self.settings.interpolate:
            start |= {"offset": torch.zeros(()), "colour": torch.zeros(())}
        for name, value in start.items():
            start_constant(output_layer(self.heads[name]), value)

    @torch.no_grad()
    def _init_local_attention(self) -> None:
        """Pass the features of a Gaussian's own pixel on to its heads; all other layers start at zero.

        With random weights, a thousandth of the encoder's signal reaches the heads, added to embeddings that
        are the same for every image: bfloat16 does not resolve it, and a network needs thousands of steps to
        find it.
        """
        self.embedding.mul_(EMBEDDING_SCALE)
        self.place.mul_(EMBEDDING_SCALE)
        for block in _blocks(self.injection):
            block.norm.weight.fill_(EMBEDDING_SCALE)
            first = block.attention_layers()[0].attention
            assert isinstance(first, CrossAttention)
            first.init_local_attention()
        for block in _blocks(self.interaction):
            nn.init.zeros_(output_layer(block.mlp).weight)
        for block in (*_blocks(self.injection), *_blocks(self.interaction)):
            for layer in block.attention_layers():
                nn.init.zeros_(output_layer(layer.mlp_scale).weight)
                nn.init.zeros_(output_layer(layer.mlp).weight)
        for module in (
            *self.features,
            *(module for block in _blocks(self.injection) for module in block.mlp),
        ):
            if isinstance(module, nn.Conv2d | nn.Linear):
                draw_kaiming_normal(module.weight)


def _blocks(modules: nn.ModuleList) -> Iterator[Block]:
    for module in modules:
        assert isinstance(module, Block)
        yield module


def deviation_logit(sigma: float) -> float:
    """Return the output of the head for deviations that stands for `sigma`, in LR pixels.

    torch's float32 logit would round it otherwise on another processor.
    """
    fraction = (sigma / WIDEST - SIGMA_OFFSET) / SIGMA_RANGE
    return math.log(fraction / (1 - fraction))


def cholesky_factors(deviation: Tensor, correlation: Tensor) -> Tensor:
    """Return (l11, l21, l22) [B, N, 3] from the heads for deviations [B, N, 2] and correlation [B, N, 1]."""
    sigma_x, sigma_y = (WIDEST * (SIGMA_RANGE * torch.sigmoid(deviation) + SIGMA_OFFSET)).unbind(-1)
    rho = LARGEST_CORRELATION * torch.tanh(correlation[..., 0])
    return torch.stack([sigma_x, rho * sigma_y, ((1 - rho) * (1 + rho)).sqrt() * sigma_y], -1)
