"""Code points of primaries and transfer characteristics (ITU-T H.273), as in cICP chunks and nclx boxes."""

from __future__ import annotations

from .encoding import SRGB_CHROMATICITIES, Chromaticities, Encoding

_C = (0.310, 0.316)
_D65 = (0.3127, 0.3290)
_NTSC = (0.630, 0.340, 0.310, 0.595, 0.155, 0.070)

PRIMARIES: dict[int, Chromaticities] = {
    1: SRGB_CHROMATICITIES,  # BT.709
    4: (*_C, 0.67, 0.33, 0.21, 0.71, 0.14, 0.08),  # BT.470, system M
    5: (*_D65, 0.64, 0.33, 0.29, 0.60, 0.15, 0.06),  # BT.601, 625 lines
    6: (*_D65, *_NTSC),  # BT.601, 525 lines
    7: (*_D65, *_NTSC),  # SMPTE ST 240
    8: (*_C, 0.681, 0.319, 0.243, 0.692, 0.145, 0.049),  # film
    9: (*_D65, 0.708, 0.292, 0.170, 0.797, 0.131, 0.046),  # BT.2020, BT.2100
    10: (1 / 3, 1 / 3, 1.0, 0.0, 0.0, 1.0, 0.0, 0.0),  # CIE XYZ, SMPTE ST 428-1
    11: (0.314, 0.351, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060),  # DCI P3, SMPTE RP 431-2
    12: (*_D65, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060),  # Display P3, SMPTE EG 432-1
    22: (*_D65, 0.630, 0.340, 0.295, 0.605, 0.155, 0.077),  # EBU Tech 3213
}
"""Table 2: CIE x, y of white, red, green and blue."""

TRANSFERS: dict[int, str | float] = {
    1: "bt709",
    4: 2.2,
    5: 2.8,
    6: "bt709",
    7: "smpte240",
    8: "linear",
    11: "bt709",  # xvYCC: of values from 0 to 1 it is the same
    12: "bt709",  # BT.1361, likewise
    13: "srgb",
    14: "bt709",  # BT.2020, 10 bits
    15: "bt709",  # BT.2020, 12 bits
    16: "pq",
    17: "dci",
    18: "hlg",
}
"""Table 3, without its logarithmic functions: the names of `Encoding.transfer`."""

UNSPECIFIED = 2
"""The code point of tables 2 and 3 for what is not said."""


def encoding_of(codes: tuple[int, int, int, int], said_by: str) -> Encoding | None:
    """Return the encoding that code points stand for; None if they say nothing, or nothing known.

    Args:
        codes: colour primaries, transfer characteristics, matrix coefficients and full-range flag. The
            decoder has applied the last two, or its caller.
        said_by: for notes, such as "its cICP chunk".

    A stored still image with the transfer of BT.709 is taken back to light with the inverse of that camera
    curve, as libavif and libjxl do, not with the gamma of a television (BT.1886).

    >>> encoding_of((12, 13, 0, 1), "its cICP chunk").transfer
    'srgb'
    >>> encoding_of((2, 2, 0, 1), "its cICP chunk") is None
    True
    """
    primaries, transfer = codes[:2]
    if primaries == transfer == UNSPECIFIED:
        return None
    chromaticities = SRGB_CHROMATICITIES if primaries == UNSPECIFIED else PRIMARIES.get(primaries)
    curve = "srgb" if transfer == UNSPECIFIED else TRANSFERS.get(transfer)
    if chromaticities is None or curve is None:
        return None
    return Encoding(transfer=curve, primaries=chromaticities, said_by=said_by, cicp=codes)


def is_known(codes: tuple[int, int, int, int]) -> bool:
    """Whether both code points are among those that are read, or unspecified.

    >>> is_known((1, 9, 0, 1))
    False
    """
    return codes[0] in {*PRIMARIES, UNSPECIFIED} and codes[1] in {*TRANSFERS, UNSPECIFIED}
