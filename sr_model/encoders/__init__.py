"""Encoders: from an LR image to features, one file each."""

from __future__ import annotations

from ..settings import NetworkSettings
from .edsr import EDSR
from .encoder import Encoder, fill_windows
from .hat import HAT
from .rdn import RDN
from .swinir import SwinIR

__all__ = ["EDSR", "HAT", "RDN", "Encoder", "SwinIR", "fill_windows", "make_encoder"]


def make_encoder(settings: NetworkSettings) -> Encoder:
    """The encoder of a network, with fresh weights.

    SwinIR and HAT upsample by twice the Gaussians per pixel and axis: by 4, as published, for four of them.
    """
    width, depth = settings.width, settings.depth
    match settings.encoder:
        case "edsr":
            return EDSR(width, depth, settings.residual_scale)
        case "rdn":
            return RDN(width, depth)
        case "swinir":
            return SwinIR(width, depth, upsampling=2 * settings.cells)
        case "hat":
            return HAT(width, depth, upsampling=2 * settings.cells)
