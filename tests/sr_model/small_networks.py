"""The presets' networks, small, each with every encoder; as a program, prints hashes of first weights."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import torch

from dgp_mining.prior.dictionary import Dictionary
from sr_model import PRESETS, ContinuousSRSettings, GSASRSettings
from sr_model.networks.base import NetworkSettings
from sr_model.networks.registry import build_network, with_prior

WIDTHS = {"edsr": 8, "rdn": 8, "span": 8, "rlfn": 8, "safmn": 8, "swinir": 12, "hat": 30}


def small(network: NetworkSettings, encoder: str) -> NetworkSettings:
    """The network with this encoder, narrow and shallow, and otherwise unchanged."""
    network = replace(network, encoder=encoder, width=WIDTHS[encoder], depth=1)
    if isinstance(network, ContinuousSRSettings):
        return replace(network, features=16, latent=8, embedding=(16, 8), hidden=(16, 8))
    assert isinstance(network, GSASRSettings)
    return replace(
        network, channels=12, heads=2, window=4, injection=(1, 2), interaction=(1, 2), head_hidden=(8,)
    )


SMALL_NETWORKS = {
    f"{name}/{encoder}": small(PRESETS[name].network, encoder)
    for name, encoders in {
        "demo": WIDTHS,
        "light": ("edsr",),
        "span": ("span",),
        "paper": WIDTHS,
        "gsasr-demo": ("edsr", "rdn", "swinir"),
        "gsasr-paper": ("edsr", "rdn", "swinir"),
    }.items()
    for encoder in encoders
}
"""By names such as `paper/swinir`."""


def first_weights(name: str) -> str:
    """SHA-256 of all that a new network computes with: its parameters and its buffers."""
    settings, dictionary = with_prior(SMALL_NETWORKS[name], Dictionary.reference())
    torch.manual_seed(0)
    network = build_network(settings, None if dictionary is None else torch.tensor(dictionary.cholesky))
    found = hashlib.sha256()
    for _, tensor in (*network.named_parameters(), *network.named_buffers()):
        found.update(tensor.detach().contiguous().numpy().tobytes())
    return found.hexdigest()


if __name__ == "__main__":
    for name in SMALL_NETWORKS:
        print(name, first_weights(name))
