"""Networks in which every parameter and every pixel matters."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, TypeVar

import torch
from torch import nn

from dgp_mining.prior.dictionary import Dictionary
from sr_model import GSASR, PRESETS, ContinuousSR, GSASRSettings

NetworkT = TypeVar("NetworkT", bound=nn.Module)


def with_random_weights(network: NetworkT, noise: float = 0.3) -> NetworkT:
    """The network with noise added to all its weights, many of which are zero at the start."""
    torch.manual_seed(1)
    return _noisy(network, noise)


def random_continuoussr(dictionary: Dictionary, noise: float = 0.1, **changes: Any) -> ContinuousSR:
    """A small ContinuousSR with random weights, without gradients; `changes` are of its settings."""
    torch.manual_seed(0)
    small = {"width": 8, "depth": 1, "features": 8, "latent": 8, "embedding": (8,), "hidden": (8,)}
    settings = replace(PRESETS["light"].network, **{**small, "dictionary_size": None, **changes})
    network = ContinuousSR(settings, torch.tensor(dictionary.cholesky)).eval()
    return _noisy(network, noise).requires_grad_(False)


FLAT = {
    "encoder": "span",
    "query_size": 1,
    "footprint": True,
    "normalised": True,
    "contrast": 2 / 255,
    "margin": 0,
    "upsampler": True,
}
"""Settings of networks that keep flat flat and grey grey."""


def random_gsasr(settings: GSASRSettings, noise: float = 0.1, **changes: Any) -> GSASR:
    """A GSASR with random weights, without gradients."""
    torch.manual_seed(0)
    network = GSASR(replace(settings, **{"near": False, **changes})).eval()
    return _noisy(network, noise).requires_grad_(False)


def _noisy(network: NetworkT, noise: float) -> NetworkT:
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(noise * torch.randn_like(parameter))
    return network
