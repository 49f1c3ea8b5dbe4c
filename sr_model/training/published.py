"""What a network takes of published weights apart from its encoder's."""

from __future__ import annotations

from pathlib import Path

from ..checkpoints.pretrained import published_upsampler
from ..networks.base import Network


def take_upsampler(network: Network, path: str | Path, key: str) -> str:
    """Let a network start from the upsampler in the file of its encoder's weights, if there is one for it.

    Returns a remark for the log; empty if the network starts from none.
    """
    scale = network.upsampled
    if scale is None:
        return ""
    found = published_upsampler(path, key, network.encoder.channels, scale)
    if found is None:
        return f", but without an upsampler to x{scale}, which it does not have"
    network.take_upsampler(*found)
    return f", with its upsampler to x{scale}"
