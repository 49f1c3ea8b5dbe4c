"""How a trained ContinuousSR network uses its dictionary, the widths of its kernels, and its offsets."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from sr_model.networks.continuoussr.network import ContinuousSR

SATURATED = 0.9
"""An offset beyond this fraction of the largest counts as at its limit."""
BINS = 20
WIDEST = 2.0
"""End of the histogram of widths in grid spacings; wider kernels count in its last bin."""
LARGEST_CHUNK = 4096
"""Gaussians whose weights over the dictionary are in memory at once."""


@torch.inference_mode()
def usage(network: ContinuousSR, images: Sequence[Tensor]) -> dict[str, float | list[int]]:
    """Describe the fields of LR images [3, h, w] in [0, 1]:

    - `entropy` of the weights over the dictionary, divided by its maximum, log K; absent without a dictionary
    - `sigma 5 %`, `sigma 50 %`, `sigma 95 %`: quantiles of kernels' widths, the fourth root of the
      determinant, in grid spacings; `widths`: their histogram from 0 to WIDEST
    - `elongated`: the share of kernels more than twice as long as wide
    - `saturated`: the share of offsets, each axis by itself, beyond SATURATED of the largest
    """
    entropies, widths, ratios, saturated = [], [], [], []
    for image in images:
        queries, field = _queries_and_field(network, image)
        if hasattr(network.kernels, "dictionary"):
            entropies.append(_entropy(network, queries))
        l11, l21, l22 = (field.cholesky[0].double() * network.settings.cells).unbind(-1)
        widths.append((l11 * l22).sqrt())
        trace, area = l11**2 + l21**2 + l22**2, l11 * l22
        root = (trace**2 / 4 - area**2).clamp_min(0).sqrt()
        ratios.append(((trace / 2 + root) / area).clamp_min(1))  # of the axes' lengths
        saturated.append((_offsets(network, image, field.means[0]).abs() > SATURATED).double())
    width = torch.cat(widths)
    quantiles = torch.quantile(
        width[:: max(1, len(width) // 1_000_000)], torch.tensor([0.05, 0.5, 0.95]).double()
    )
    used: dict[str, float | list[int]] = dict(
        zip(("sigma 5 %", "sigma 50 %", "sigma 95 %"), quantiles.tolist(), strict=True)
    )
    used["widths"] = torch.histc(width.clamp_max(WIDEST), BINS, 0, WIDEST).long().tolist()
    used["elongated"] = (torch.cat(ratios) > 2).double().mean().item()
    used["saturated"] = torch.cat(saturated).mean().item()
    if entropies:
        used["entropy"] = torch.cat(entropies).mean().item()
    return used


def _queries_and_field(network: ContinuousSR, image: Tensor):
    """Return the queries to the dictionary, [N, Q], and the field."""
    seen: list[Tensor] = []
    hook = network.kernels.register_forward_pre_hook(lambda module, arguments: seen.append(arguments[0]))
    try:
        field = network(image[None].to(next(network.parameters()).device))
    finally:
        hook.remove()
    return seen[0][0], field


def _entropy(network: ContinuousSR, queries: Tensor) -> Tensor:  # [N]
    _, keys = network.kernels.dictionary()
    parts = []
    for some in queries.float().split(LARGEST_CHUNK):
        log_weights = torch.log_softmax(some @ keys.T, dim=1).double()
        parts.append(-(log_weights.exp() * log_weights).sum(1) / math.log(len(keys)))
    return torch.cat(parts).cpu()


def _offsets(network: ContinuousSR, image: Tensor, means: Tensor) -> Tensor:  # [N, 2]
    """Return offsets divided by the largest possible one."""
    settings = network.settings
    size = [extent + 2 * settings.margin for extent in image.shape[-2:]]
    origins = network.origins(torch.empty(size, device=means.device))
    return (means - origins) / settings.drift
