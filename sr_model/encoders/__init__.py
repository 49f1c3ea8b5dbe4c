"""Encoders: from an LR image to features, one file each."""

from __future__ import annotations

from typing import Protocol

from .edsr import EDSR
from .encoder import Encoder, fill_windows
from .hat import HAT
from .rdn import RDN
from .swinir import SwinIR

__all__ = ["EDSR", "HAT", "RDN", "Encoder", "SwinIR", "fill_windows", "make_encoder"]


class EncoderSettings(Protocol):
    """What the settings of every network say of its encoder."""

    encoder: str
    width: int
    depth: int
    residual_scale: float


def make_encoder(settings: EncoderSettings, *, upsampling: int) -> Encoder:
    """The encoder of a network, with fresh weights; `upsampling` is SwinIR's and HAT's, the others have none.

    Raises ValueError for an encoder that does not exist.
    """
    width, depth = settings.width, settings.depth
    match settings.encoder:
        case "edsr":
            return EDSR(width, depth, settings.residual_scale)
        case "rdn":
            return RDN(width, depth)
        case "swinir":
            return SwinIR(width, depth, upsampling=upsampling)
        case "hat":
            return HAT(width, depth, upsampling=upsampling)
        case _:
            raise ValueError(f"there is no encoder {settings.encoder}")
