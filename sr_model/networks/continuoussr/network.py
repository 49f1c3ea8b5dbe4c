"""ContinuousSR (Peng et al., "Pixel to Gaussian"): from an LR image to a field of Gaussians.

Each LR pixel is divided into k x k cells (k = 2 in the paper). The features of a cell give one Gaussian:

- its covariance by *DGP-driven covariance weighting* (Eq. 9), a convex combination of dictionary kernels;
- its position by *adaptive position drifting*, a bounded offset from its cell;
- its colour by *colour Gaussian mapping*, an MLP.

Rendering the field at any size (Eq. 5) is splat2d's job.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from splat2d import DEFAULT_CUTOFF, GaussianField
from splat2d.field import GAP_VARIANCE

from ...encoders import Encoder, fill_windows, make_encoder
from ...initialisation import Conv2d
from ...native import heads as native
from ...native import library
from ..base import Network
from ..bicubic_start import BicubicStart
from ..mlp import output_layer, per_cell_mlp, per_cell_trunk, per_gaussian, start_constant
from .blending import SMALLEST_DIAGONAL, isotropic
from .covariance_heads import make_covariance_head
from .extrapolation import Extrapolation, faded, relative_additions
from .flatness import REACH, largest_additions, limit_additions, limits_of
from .linear_heads import LinearHeads, linear_heads
from .settings import ContinuousSRSettings
from .upsampler import Upsampler

BAND = 1 << 13
"""Cells for which the heads compute at once where no gradient is needed: few enough for a cache."""


class ContinuousSR(Network):
    """Map an LR image [B, 3, h, w] in [0, 1] to a GaussianField in LR pixels, k^2 Gaussians per LR pixel.

    The Gaussians of the margin, outside the canvas, stay in the field: they keep its borders from darkening.

    >>> from dgp_mining import Dictionary
    >>> from sr_model import PRESETS, ContinuousSR
    >>> kernels = torch.tensor(Dictionary.reference().cholesky)
    >>> network = ContinuousSR(PRESETS["demo"].network, kernels)
    >>> field = network(torch.rand(1, 3, 8, 8))
    >>> field.render((30, 26)).shape
    torch.Size([1, 3, 30, 26])
    """

    settings: ContinuousSRSettings
    conditioned = False
    start_kernel: Tensor  # [3], in LR pixels

    def __init__(self, settings: ContinuousSRSettings, dictionary: Tensor | None) -> None:
        """Build the network with fresh weights.

        Args:
            settings: its shape.
            dictionary: [K, 3] Cholesky factors in grid spacings (`Dictionary.cholesky`).

        Raises:
            ValueError: if `dictionary` is None or cannot give the start kernel.
        """
        super().__init__()
        if dictionary is None:
            raise ValueError("ContinuousSR needs a dictionary, whose kernels it blends")
        self.settings = s = settings
        self.encoder = make_encoder(s, upsampling=2 * s.cells)
        self.window = self.encoder.window
        self.to_cells = cell_projection(self.encoder, s)
        self.trunk = per_cell_trunk(s.features, s.trunk)
        channels = (s.features, *s.trunk)[-1]
        self.kernels = make_covariance_head(s, channels, dictionary)
        offset_hidden = s.hidden if s.offset_hidden is None else s.offset_hidden
        self.offset = None if s.positions == "initial" else per_cell_mlp(channels, offset_hidden, 2)
        self.colour = per_cell_mlp(channels, s.hidden, 3)
        start_kernel = isotropic(s.start_sigma / s.cells).float()
        self.register_buffer("start_kernel", start_kernel, persistent=False)
        self.bicubic_start = BicubicStart(s.cells, s.start_sigma, s.normalised) if s.interpolate else None
        self.upsampler = Upsampler(self.encoder.channels, s.cells) if s.upsampler else None
        self.extrapolation = Extrapolation() if s.contrast else None
        if s.interpolate:
            for head in filter(None, (self.offset, self.colour)):
                start_constant(output_layer(head), 0)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # not in torch's stubs

    @property
    def free_positions(self) -> bool:
        return self.settings.positions == "offsets"

    @property
    def radius(self) -> int | None:
        inner = super().radius
        return inner + REACH if inner is not None and self.settings.contrast else inner

    @property
    def visible_within(self) -> float | None:
        variance = self.kernels.largest_variance()
        if self.free_positions or variance is None:
            return None
        variance = variance / self.settings.cells**2 + (GAP_VARIANCE if self.settings.normalised else 0.0)
        return self.settings.drift + DEFAULT_CUTOFF * math.sqrt(variance)

    def margins(self, extent: int) -> tuple[int, int]:
        return self.settings.margin, self.settings.margin

    @property
    def upsampled(self) -> int | None:
        return None if self.upsampler is None else self.settings.cells

    def take_upsampler(self, weight: Tensor, bias: Tensor) -> None:
        if self.upsampler is None:
            super().take_upsampler(weight, bias)
        else:
            self.upsampler.take(weight, bias, self.settings.start_sigma, self.settings.normalised)

    def begin_step(self) -> None:
        if self.extrapolation is not None:
            self.extrapolation.begin_step()

    def end_step(self, over_processes: Callable[[Tensor], None]) -> None:
        if self.extrapolation is not None:
            self.extrapolation.end_step(over_processes)

    def forward(self, image: Tensor, scale: float | Tensor | None = None) -> GaussianField:
        height, width = image.shape[-2:]
        image = F.pad(image, [self.settings.margin] * 4, mode="replicate")
        image = image.contiguous(memory_format=torch.channels_last)
        start = self.interpolated(image)
        made = self.gaussians(image, start, (height, width))
        means, cholesky, colours, largest = made.means, made.cholesky, made.colours, made.largest
        del made  # as the memory of a large tile is that of what has a name here
        with torch.autocast(image.device.type, enabled=False):  # rounding here would show in the image
            if self.extrapolation is not None and largest is not None:
                additions = relative_additions(largest, image)
                if self.training:  # on images that it is to know: fading would also take their gradients
                    self.extrapolation.note(additions)
                else:
                    believed = self.extrapolation(additions)
                    means, cholesky, colours = self.believed(means, cholesky, colours, believed)
            if start is not None:
                start = per_gaussian(start)
                colours = colours + start if torch.is_grad_enabled() else colours.add_(start)
        return self.field(means, cholesky, colours, (height, width))

    def interpolated(self, image: Tensor) -> Tensor | None:
        """Return the colours [B, 3, k h, k w] to which the network adds; None if it adds to nothing."""
        if self.bicubic_start is None:
            return None
        with torch.autocast(image.device.type, enabled=False):
            return self.bicubic_start(image)

    def gaussians(self, image: Tensor, start: Tensor | None, size: tuple[int, int]) -> native.Gaussians:
        """Return what the heads predict for an image [B, 3, h, w] with margins, on a canvas of `size`.

        Its colours are to be added to those of the start; `largest` of them is None unless they are limited.
        """
        s = self.settings
        limits = limits_of(image, s.contrast) if s.contrast else None
        linear = self.linear_heads(image)
        pixels = self.pixel_features(image)
        if linear is not None:
            return native.gaussians(
                linear.before(pixels),
                linear.layers,
                self.places(image),
                blending=s.blending,
                smallest=SMALLEST_DIAGONAL,
                drift=s.drift,
                activated_offsets=s.activated_offsets,
                limits=limits,
                additions=self.additions(pixels, start),
            )
        features = self.divided(pixels)
        offsets, colours, queries = self.joined_heads(features)
        rows, columns = features.shape[-2:]
        additions = self.additions(pixels, start)
        if additions is not None:
            colours = colours + per_gaussian(additions.of_cells())
        means = self.means(image, offsets, size)
        del features, offsets  # as in `forward`
        with torch.autocast(image.device.type, enabled=False):
            cholesky = self.kernels(queries) / s.cells  # grid spacings to LR pixels
            del queries
            if limits is None:
                return native.Gaussians(means, cholesky, colours, None)
            colours = colours.view(len(image), rows, columns, 3).permute(0, 3, 1, 2)
            colours = limit_additions(colours, limits, s.cells)
            return native.Gaussians(
                means, cholesky, per_gaussian(colours), largest_additions(colours, s.cells)
            )

    def additions(self, pixels: Tensor, start: Tensor | None) -> native.Additions | None:
        """Return what the upsampler adds to the colours of the heads; None without one.

        Of the encoder's features [B, C, h, w] and the start's colours [B, 3, k h, k w].
        """
        if self.upsampler is None or start is None:
            return None
        return native.Additions(self.upsampler(pixels), start, self.upsampler.replaced)

    def linear_heads(self, image: Tensor) -> LinearHeads | None:
        """Return the heads if the library may compute them at once, for an image; None if torch must."""
        if torch.is_grad_enabled() or self.settings.positions != "both" or not library.applies(image):
            return None
        found = linear_heads(self.to_cells, self.trunk, self.colour, self.offset, self.kernels)
        return found if found is not None and native.applies(image, found.layers) else None

    def believed(
        self, means: Tensor, cholesky: Tensor, colours: Tensor, believed: Tensor
    ) -> tuple[Tensor, ...]:
        """Fade what the heads predict into the bicubic start where they extrapolate.

        Of means [B, N, 2] and cholesky [B, N, 3] in LR pixels, and colours [B, N, 3], which are to be added
        to interpolated ones. `believed`, [B, 1, h, w], is 1 where nothing fades, and 0 at the start.
        """
        if not torch.is_grad_enabled() and believed.device.type == "cpu" and bool((believed == 1).all()):
            return means, cholesky, colours
        parts = [
            (self.origins(believed), means),
            (self.start_kernel, cholesky),
            (torch.zeros_like(self.start_kernel), colours),
        ]
        return tuple(faded(parts, believed, self.settings.cells))

    def cell_features(self, image: Tensor) -> Tensor:
        """Map an image [B, 3, h, w] to the features of its cells, [B, features, k h, k w]."""
        return self.divided(self.pixel_features(image))

    def divided(self, features: Tensor) -> Tensor:
        """Map the encoder's features of pixels to those of their cells, [B, features, k h, k w]."""
        upsampling, cells = self.encoder.upsampling, self.settings.cells
        if upsampling == 1:
            return F.pixel_shuffle(self.to_cells(features), cells)
        return self.to_cells(F.pixel_unshuffle(features, upsampling // cells))

    def pixel_features(self, image: Tensor) -> Tensor:
        """Map an image [B, 3, h, w] to the encoder's features, [B, C, u h, u w] if it upsamples by u."""
        encoder = self.encoder
        features = encoder(fill_windows(image, encoder.window))
        height, width = (extent * encoder.upsampling for extent in image.shape[-2:])
        return features[..., :height, :width]

    def bands(self, features: Tensor) -> Sequence[Tensor]:
        """Divide features of cells [B, F, k h, k w] into bands of rows that `heads` may take one by one.

        Where no gradient is needed, what the heads compute for a band then stays in a cache of the CPU.
        """
        if torch.is_grad_enabled() or self.settings.query_size > 1 or features.device.type != "cpu":
            return [features]
        return torch.split(features, max(1, BAND // features.shape[-1]), 2)

    def joined_heads(self, features: Tensor) -> Sequence[Tensor]:
        """Return `heads` of all bands of features, joined."""
        parts = [self.heads(band) for band in self.bands(features)]
        return [torch.cat(part, 1) for part in zip(*parts, strict=True)]

    def heads(self, features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Map features of cells [B, F, rows, k w] to what makes their Gaussians.

        Returns offsets [B, N, 2] in units of the largest; colours [B, N, 3], to be added to the interpolated
        ones; and queries [B, N, Q] for their kernels.
        """
        features = self.trunk(features)
        colours = per_gaussian(self.colour(features)).float()
        offsets = torch.zeros_like(colours[..., :2])
        if self.offset is not None:
            moving = F.leaky_relu(features) if self.settings.activated_offsets else features
            offsets = torch.tanh(per_gaussian(self.offset(moving)).float())
        return offsets, colours, self.kernels.queries(features)

    def means(self, image: Tensor, offsets: Tensor, size: tuple[int, int]) -> Tensor:
        """Return positions [B, N, 2] (x, y) in LR pixels on a canvas of `size` (height, width).

        Of offsets [B, N, 2] in units of the largest, for an image [B, 3, h, w] with margins.
        """
        if self.settings.positions == "offsets":
            return (offsets + 1) / 2 * offsets.new_tensor(size[::-1])
        return self.origins(image) + self.settings.drift * offsets

    def origins(self, image: Tensor) -> Tensor:
        """Return the positions without offsets, [N, 2] (x, y) in LR pixels, for an image [..., h, w]."""
        return torch.stack(torch.meshgrid(*self.places(image), indexing="xy"), -1).flatten(0, 1)

    def places(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Return where the columns of cells lie, x [k w], and the rows, y [k h], in LR pixels.

        Of an image [..., h, w] with margins.
        """
        s = self.settings
        phase = 0.5 if s.phase == "centre" else 0.0
        y, x = (
            (torch.arange(n * s.cells, device=image.device) + phase) / s.cells - s.margin
            for n in image.shape[-2:]
        )
        return x, y


def cell_projection(encoder: Encoder, settings: ContinuousSRSettings) -> nn.Module:
    """Return the layer that gives every cell `settings.features` channels.

    If the encoder does not upsample, a convolution makes k^2 cells of each LR pixel, after those of the neck.
    If it upsamples by more than k, a cell has the features of several of its pixels, unchanged if these are
    already `settings.features` channels (released code).
    """
    features, cells = settings.features, settings.cells
    if encoder.upsampling == 1:
        widths = (encoder.channels, *settings.neck)
        layers: list[nn.Module] = []
        for before, after in pairwise(widths):
            layers += [Conv2d(before, after, 3, padding=1), nn.GELU()]
        if layers:
            return nn.Sequential(*layers, Conv2d(widths[-1], features * cells**2, 1))
        return Conv2d(encoder.channels, features * cells**2, 3, padding=1)
    provided = encoder.channels * (encoder.upsampling // cells) ** 2
    return nn.Identity() if provided == features else Conv2d(provided, features, 1)
