"""LIIF (Chen et al. 2021, "Learning Continuous Image Representation with Local Implicit Image Function").

Written from the paper, to measure its time: an MLP decodes an encoder's features at every pixel of the
output, with feature unfolding, local ensemble and cell decoding (section 3). The cost of a pixel does not
depend on the weights, which are random here.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

QUERIES_AT_ONCE = 2048
"""Pixels decoded at once: few enough for the caches; LIIF's own 30,000 take a seventh longer here."""


class LIIF(nn.Module):
    """[B, 3, h, w] images in [0, 1] to [B, 3, H, W] at any size."""

    def __init__(self, encoder: nn.Module, channels: int) -> None:
        """`encoder` makes [B, channels, h, w] features."""
        super().__init__()
        self.encoder = encoder
        layers: list[nn.Module] = []
        width = 9 * channels + 2 + 2  # unfolded features, relative coordinate, cell
        for _ in range(4):
            layers += [nn.Linear(width, 256), nn.ReLU()]
            width = 256
        self.decoder = nn.Sequential(*layers, nn.Linear(width, 3))

    def forward(self, image: Tensor, size: tuple[int, int]) -> Tensor:
        return self.decode(self.encode(image), size)

    def encode(self, image: Tensor) -> Tensor:
        """Concatenate features with those of the eight neighbours: [B, 9 channels, h, w]."""
        features = self.encoder(image)
        return F.unfold(features, 3, padding=1).unflatten(2, features.shape[-2:])

    def decode(self, features: Tensor, size: tuple[int, int]) -> Tensor:
        """Decode the image at `size` = (height, width), QUERIES_AT_ONCE pixels at a time."""
        axes = [(2 * torch.arange(n, device=features.device) + 1) / n - 1 for n in size]  # centres in [-1, 1]
        pixels = torch.stack(torch.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 2)  # (y, x)
        cell = torch.tensor([2 / size[0], 2 / size[1]], device=features.device)
        parts = [self.query(features, part, cell) for part in pixels.split(QUERIES_AT_ONCE)]
        return torch.cat(parts, 1).mT.unflatten(2, size)

    def query(self, features: Tensor, pixels: Tensor, cell: Tensor) -> Tensor:  # [B, Q, 3]
        """Decode from the four nearest features, each weighted by the area of the opposite one's box."""
        height, width = features.shape[-2:]
        extent = torch.tensor([height, width], device=features.device)
        cells = (cell * extent).expand(len(features), len(pixels), 2)
        colours, areas = [], []
        for dy in (-1, 1):
            for dx in (-1, 1):
                corner = pixels + torch.tensor([dy, dx], device=pixels.device) / extent + 1e-6
                corner = corner.clamp(-1 + 1e-6, 1 - 1e-6)
                index = ((corner + 1) / 2 * extent).floor().long()  # [Q, 2]
                relative = (pixels - ((2 * index + 1) / extent - 1)) * extent
                latent = features[:, :, index[:, 0], index[:, 1]].mT  # [B, Q, 9 channels]
                relative_of_each = relative.expand(len(features), -1, -1)
                colours.append(self.decoder(torch.cat([latent, relative_of_each, cells], -1)))
                areas.append(relative.prod(-1).abs() + 1e-9)
        weights = torch.stack(areas[::-1]) / torch.stack(areas).sum(0)  # [4, Q]
        return sum(colour * weight[:, None] for colour, weight in zip(colours, weights, strict=True))
