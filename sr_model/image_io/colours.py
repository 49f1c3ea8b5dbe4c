"""What a file says on how its values become colours: a profile, PNG's chunks, or, for sRGB, nothing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dgp_mining.images.colour import profile_of
from dgp_mining.images.encoding import SRGB_CHROMATICITIES, Chromaticities, Encoding

_PRIMARIES: dict[int, Chromaticities] = {
    1: SRGB_CHROMATICITIES,
    9: (0.3127, 0.3290, 0.708, 0.292, 0.170, 0.797, 0.131, 0.046),
    12: (0.3127, 0.3290, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060),
}
"""Code points of ITU-T H.273, table 2: BT.709, BT.2020 and Display P3."""
_TRANSFERS: dict[str | float, int] = {
    "bt709": 1,
    "smpte240": 7,
    "linear": 8,
    "srgb": 13,
    "pq": 16,
    "dci": 17,
    "hlg": 18,
}
"""Code points of ITU-T H.273, table 3."""
_LOSSY = ("JPEG", "WebP")
_NEARLY_LINEAR = 1.5
"""Exponent below which 8 bits are too few for dark tones, and lossy compression, made for what eyes see, too
coarse."""


@dataclass(frozen=True)
class Statement:
    """What a file says on how its values become colours; nothing of it: they are taken for sRGB."""

    profile: bytes | None = None
    """An ICC profile."""
    cicp: tuple[int, int, int, int] | None = None
    """PNG's cICP."""
    exponent: float | None = None
    """Light is the value to the power of it; PNG's gAMA is the inverse."""
    chromaticities: Chromaticities | None = None
    """PNG's cHRM."""
    srgb: bool = False
    """Whether PNG's sRGB chunk says so."""


def statement(profile: bytes | None, encoding: Encoding, form: str, channels: int) -> Statement | None:
    """Return how a file of the format `form` states a profile or, without one, an encoding.

    PNG has chunks for most encodings; elsewhere a profile is made that says the same. None means that there
    is neither, and that the colours must be converted to sRGB: PQ and HLG in another format than PNG, and
    linear light in a format that compresses with losses.

    >>> statement(None, Encoding(transfer="pq", cicp=(9, 16, 0, 1)), "PNG", 3).cicp
    (9, 16, 0, 1)
    >>> statement(None, Encoding(transfer="pq"), "JPEG", 3) is None
    True
    """
    if profile is not None:
        return Statement(profile)
    colours = 1 if channels <= 2 else 3
    if form == "PNG" and (stated := _in_png(encoding, colours)):
        return stated
    if encoding.is_srgb:
        return Statement()
    transfer = encoding.transfer
    linear = transfer == "linear" or (not isinstance(transfer, str) and transfer < _NEARLY_LINEAR)
    made = None if linear and form in _LOSSY else profile_of(encoding, colours)
    return Statement(made) if made else None


def _in_png(encoding: Encoding, channels: int) -> Statement | None:
    """PNG, third edition, 11.3.2: cICP, whose values are RGB over the full range, or gAMA and cHRM.

    None for an encoding that the chunks do not cover, or that needs none.
    """
    if encoding.cicp is not None:
        return Statement(cicp=(encoding.cicp[0], encoding.cicp[1], 0, 1))
    if encoding.is_srgb:
        return Statement(srgb=True) if encoding.said_by else None
    if encoding.transfer == "linear" or not isinstance(encoding.transfer, str):
        exponent = 1.0 if encoding.transfer == "linear" else float(encoding.transfer)
        # More programs understand a profile, which then counts; the chunks are for those that do not.
        return Statement(profile_of(encoding, channels), exponent=exponent, chromaticities=encoding.primaries)
    transfer = _TRANSFERS.get(encoding.transfer)
    for code, primaries in _PRIMARIES.items():
        if transfer and np.allclose(primaries, encoding.primaries, atol=1e-3):
            return Statement(cicp=(code, transfer, 0, 1))
    return None
