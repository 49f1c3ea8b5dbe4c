"""What a file says on how its values become colours: a profile, PNG's chunks, or, for sRGB, nothing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dgp_mining.images.encoding import SRGB_CHROMATICITIES, Chromaticities, Encoding

_PRIMARIES: dict[int, Chromaticities] = {
    1: SRGB_CHROMATICITIES,
    9: (0.3127, 0.3290, 0.708, 0.292, 0.170, 0.797, 0.131, 0.046),
    12: (0.3127, 0.3290, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060),
}
"""Code points of ITU-T H.273, table 2: BT.709, BT.2020 and Display P3."""
_TRANSFERS: dict[str | float, int] = {"bt709": 1, "linear": 8, "srgb": 13, "pq": 16, "hlg": 18}
"""Code points of ITU-T H.273, table 3."""
HDR = ("pq", "hlg")
"""Transfer functions whose values reach beyond white; no ICC profile of version 2 or 4.3 describes them."""


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


def statement(
    profile: bytes | None, encoding: Encoding, form: str, dtype: np.dtype, channels: int
) -> Statement | None:
    """Return how a file of the format `form` states a profile or, without one, an encoding.

    None means that it cannot, and that the colours must be converted to sRGB: PQ and HLG in another format
    than PNG, and linear light in 8 bits, of which too few would be left for the dark tones.

    >>> statement(None, Encoding(transfer="pq", cicp=(9, 16, 0, 1)), "PNG", np.dtype("uint16"), 3).cicp
    (9, 16, 0, 1)
    >>> statement(None, Encoding(transfer="pq"), "JPEG", np.dtype("uint8"), 3) is None
    True
    """
    if profile is not None:
        return Statement(profile)
    if encoding.is_srgb and encoding.cicp is None:
        return Statement(srgb=bool(encoding.said_by) and form == "PNG")
    if encoding.transfer in ("linear", 1.0) and np.dtype(dtype) == np.uint8:
        return None
    if form == "PNG":
        return _in_png(encoding)
    return None


def _in_png(encoding: Encoding) -> Statement | None:
    """PNG, third edition, 11.3.2: cICP, whose values are RGB over the full range, or gAMA and cHRM."""
    if encoding.cicp is not None:
        return Statement(cicp=(encoding.cicp[0], encoding.cicp[1], 0, 1))
    if encoding.transfer == "linear" or isinstance(encoding.transfer, float | int):
        exponent = 1.0 if encoding.transfer == "linear" else float(encoding.transfer)
        return Statement(exponent=exponent, chromaticities=encoding.primaries)
    transfer = _TRANSFERS.get(encoding.transfer)
    for code, primaries in _PRIMARIES.items():
        if transfer and np.allclose(primaries, encoding.primaries, atol=1e-3):
            return Statement(cicp=(code, transfer, 0, 1))
    return None
