"""Random and awkward fields that several tests render."""

from __future__ import annotations

import torch
from torch import Tensor

Inputs = tuple[Tensor, Tensor, Tensor]


def random_inputs(batch: int, n: int, channels: int, size: tuple[int, int], seed: int = 0) -> Inputs:
    """Means around the image and outside it, moderately correlated shapes, signed colours; float32."""
    generator = torch.Generator().manual_seed(seed)
    height, width = size
    means = torch.rand(batch, n, 2, generator=generator) * 1.4 - 0.2
    means = means * torch.tensor([width, height])
    diagonal = 0.3 + 3 * torch.rand(batch, n, 2, generator=generator)
    l21 = 1.5 * torch.randn(batch, n, generator=generator)
    cholesky = torch.stack([diagonal[..., 0], l21, diagonal[..., 1]], -1)
    return means, cholesky, torch.randn(batch, n, channels, generator=generator)


AWKWARD = {
    "far outside": ([1e6, -1e6], [1.0, 0.0, 1.0]),
    "just outside": ([-3.0, 10.0], [1.0, 0.3, 1.0]),
    "on the corner": ([0.0, 0.0], [1.0, 0.0, 1.0]),
    "on the far border": ([23.0, 17.0], [0.8, -0.5, 0.9]),
    "on a pixel centre, tiny": ([5.5, 6.5], [1e-4, 0.0, 1e-4]),
    "between pixels, tiny": ([5.0, 6.0], [1e-4, 0.0, 1e-4]),
    "huge": ([10.0, 9.0], [1e4, 0.0, 1e4]),
    "huge and far": ([4e4, -3e4], [3e4, 0.0, 3e4]),
    "needle along x": ([12.0, 8.6], [50.0, 0.0, 0.05]),
    "needle along y": ([12.6, 8.0], [0.05, 0.0, 50.0]),
    "correlation 0.9999": ([11.0, 8.0], [8.0, 8.0, 0.1]),
    "correlation -0.9999": ([11.0, 8.0], [8.0, -8.0, 0.1]),
}
"""Name -> (mean, Cholesky entries) in an image of 17 rows and 23 columns."""


def awkward_inputs(names: list[str] | None = None, channels: int = 3) -> Inputs:
    """The awkward Gaussians as one field [1, n, ...], coloured differently."""
    chosen = [AWKWARD[name] for name in names or AWKWARD]
    means = torch.tensor([mean for mean, _ in chosen])[None]
    cholesky = torch.tensor([shape for _, shape in chosen])[None]
    colors = torch.linspace(-1, 1, len(chosen) * channels).reshape(1, len(chosen), channels) + 0.1
    return means, cholesky, colors


def near_cutoff(means: Tensor, cholesky: Tensor, size: tuple[int, int], cutoff: float) -> Tensor:
    """[B, H, W] bool: pixels so near a Gaussian's cut-off that rounding may decide whether it counts."""
    means, cholesky = means.double(), cholesky.double()
    x, y = torch.arange(size[1]) + 0.5, torch.arange(size[0]) + 0.5
    l11, l21, l22 = (entry[..., None, None] for entry in cholesky.unbind(-1))
    u = (x[None, :] - means[..., 0, None, None]) / l11
    v = (y[:, None] - means[..., 1, None, None] - l21 * u) / l22
    q = u.square() + v.square()
    return ((q / cutoff**2 - 1).abs() < 1e-4).any(1)
