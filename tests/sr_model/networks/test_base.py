"""The base of all architectures checks the shared settings, and names what a new architecture lacks."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sr_model import PRESETS
from sr_model.networks.base import Network


@pytest.mark.parametrize("preset", ["demo", "gsasr-demo"])
@pytest.mark.parametrize(
    ("changes", "mention"),
    [
        ({"encoder": "vgg"}, "encoder must be one of edsr"),
        ({"width": 0}, "width must be positive"),
        ({"depth": -1}, "depth must be positive"),
        ({"encoder": "swinir", "width": 32}, "width must be a multiple of 6"),
        ({"encoder": "rdn", "residual_scale": 0.1}, "residual_scale is for encoder edsr"),
        ({"margin": -1}, "margin must not be negative"),
    ],
)
def test_shared_settings_are_checked_in_every_architecture(preset: str, changes, mention: str) -> None:
    with pytest.raises(ValueError, match=mention):
        replace(PRESETS[preset].network, **changes)


def test_a_network_without_a_forward_cannot_be_made() -> None:
    class Unfinished(Network):
        def margins(self, extent: int) -> tuple[int, int]:
            return 0, 0

    with pytest.raises(TypeError, match="forward"):
        Unfinished()
