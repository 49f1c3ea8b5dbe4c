"""What a network takes of published weights apart from its encoder's."""

from __future__ import annotations

from pathlib import Path

from ..checkpoints.pretrained import published_upsampler
from ..networks.base import Network
from ..networks.continuoussr.network import ContinuousSR


def take_upsampler(network: Network, path: str | Path, key: str) -> str:
    """Let the network's upsampler start as the one in the file of its encoder's weights, if it has one.

    Returns a remark for the log; empty if the network has no upsampler.
    """
    if not isinstance(network, ContinuousSR) or network.upsampler is None:
        return ""
    settings = network.settings
    found = published_upsampler(path, key, network.encoder.channels, settings.cells)
    if found is None:
        return f", but without an upsampler to x{settings.cells}, which it does not have"
    network.upsampler.take(*found, settings.start_sigma, settings.normalised)
    return f", with its upsampler to x{settings.cells}"
