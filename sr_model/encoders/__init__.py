"""Encoders: networks that extract features from an LR image, one file each."""

from __future__ import annotations

import math
from typing import Protocol

from . import hat, safmn, swinir
from .edsr import EDSR
from .encoder import Encoder, fill_windows, sum_of_halves
from .hat import HAT
from .rdn import RDN
from .rlfn import RLFN
from .safmn import SAFMN
from .span import SPAN
from .swinir import SwinIR

__all__ = [
    "EDSR", "HAT", "RDN", "RLFN", "SAFMN", "SPAN", "Encoder", "SwinIR", "check_encoder", "fill_windows",
    "make_encoder", "sum_of_halves",
]  # fmt: skip

WIDTH_MULTIPLES = {
    "safmn": safmn.LEVELS,
    "swinir": swinir.HEADS,
    "hat": math.lcm(hat.HEADS, hat.COMPRESSION, hat.SQUEEZE),
}
"""Number of which the width must be a multiple, for encoders that split their channels."""


class EncoderSettings(Protocol):
    """The part of a network's settings that describes its encoder."""

    @property
    def encoder(self) -> str: ...

    @property
    def width(self) -> int: ...

    @property
    def depth(self) -> int: ...

    @property
    def residual_scale(self) -> float: ...

    @property
    def long_skip(self) -> bool: ...


def check_encoder(settings: EncoderSettings) -> None:
    """Raise ValueError if there is no encoder with these settings."""
    multiple = WIDTH_MULTIPLES.get(settings.encoder, 1)
    if settings.width % multiple:
        raise ValueError(
            f"width must be a multiple of {multiple} for encoder {settings.encoder}, got {settings.width}"
        )
    if settings.encoder != "edsr" and settings.residual_scale != 1:
        raise ValueError(f"residual_scale is for encoder edsr, not for {settings.encoder}")


def make_encoder(settings: EncoderSettings, *, upsampling: int) -> Encoder:
    """Return the encoder of a network, with fresh weights.

    `upsampling` is the resolution of SwinIR's and HAT's features relative to the image's; the other encoders
    do not upsample. Raises ValueError if there is no encoder of that name.
    """
    width, depth = settings.width, settings.depth
    match settings.encoder:
        case "edsr":
            return EDSR(width, depth, settings.residual_scale, settings.long_skip)
        case "rdn":
            return RDN(width, depth)
        case "span":
            return SPAN(width, depth)
        case "rlfn":
            return RLFN(width, depth)
        case "safmn":
            return SAFMN(width, depth)
        case "swinir":
            return SwinIR(width, depth, upsampling=upsampling)
        case "hat":
            return HAT(width, depth, upsampling=upsampling)
        case _:
            raise ValueError(f"there is no encoder {settings.encoder}")
