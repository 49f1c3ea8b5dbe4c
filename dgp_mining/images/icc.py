"""ICC profiles of three primaries and one curve (ICC.1:2022), and the matrices in them."""

from __future__ import annotations

import struct

import numpy as np

from .encoding import SRGB_CHROMATICITIES, Chromaticities

CURVES: dict[str, tuple[float, float, float, float, float]] = {
    "srgb": (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045),
    "linear": (1.0, 1.0, 0.0, 1.0, 0.0),
    "bt709": (1 / 0.45, 1 / 1.099, 0.099 / 1.099, 1 / 4.5, 0.081),
    "smpte240": (1 / 0.45, 1 / 1.1115, 0.1115 / 1.1115, 1 / 4, 0.0912),
    "dci": (2.6, (52.37 / 48) ** (1 / 2.6), 0.0, 0.0, 0.0),
}
"""Parameters g, a, b, c, d of transfer functions: light is (a v + b)^g for v >= d and c v below (ICC.1, table
68, function 3). Of IEC 61966-2-1, ITU-R BT.709-6 and SMPTE ST 240 (the inverse of the camera's curve) and
SMPTE ST 428-1."""

_D50 = (0.9642, 1.0, 0.8249)
"""XYZ of the profile connection space's white (ICC.1, 7.2.16)."""
_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])


def to_xyz(primaries: Chromaticities) -> np.ndarray:
    """Return the matrix [3, 3] float64 from linear RGB to XYZ, white having Y = 1 (SMPTE RP 177).

    Raises ValueError if the chromaticities span no colours.
    """
    _check(primaries)
    xyz = np.array([[x, y, 1 - x - y] for x, y in zip(primaries[::2], primaries[1::2], strict=True)])
    white, columns = xyz[0] / xyz[0, 1], xyz[1:].T
    if abs(np.linalg.det(columns)) < 1e-4:
        raise ValueError("chromaticities on a line")
    return columns * np.linalg.solve(columns, white)


def adaptation(primaries: Chromaticities) -> np.ndarray:
    """Return Bradford's matrix [3, 3] from the white of `primaries` to D50 (ICC.1, annex E).

    Raises ValueError if the chromaticities of white are impossible.
    """
    _check(primaries)
    x, y = primaries[:2]
    white = _BRADFORD @ np.array([x / y, 1.0, (1 - x - y) / y])
    scales = np.diag(_BRADFORD @ np.array(_D50) / white)
    return np.linalg.inv(_BRADFORD) @ scales @ _BRADFORD


def _check(primaries: Chromaticities) -> None:
    if not all(-0.2 <= value <= 1.2 for value in primaries) or min(primaries[:2]) < 0.05:
        raise ValueError("impossible chromaticities")


def to_linear_srgb(primaries: Chromaticities) -> np.ndarray:
    """Return the matrix [3, 3] from linear RGB of other primaries to linear sRGB, white to white.

    Rounded to nine places, so that it is the same on every machine.

    >>> to_linear_srgb(SRGB_CHROMATICITIES).round(6).diagonal().tolist()
    [1.0, 1.0, 1.0]
    """
    there = adaptation(SRGB_CHROMATICITIES) @ to_xyz(SRGB_CHROMATICITIES)
    return np.linalg.solve(there, adaptation(primaries) @ to_xyz(primaries)).round(9)


def matrix_profile(primaries: Chromaticities, curve: str | float, channels: int, name: str) -> bytes:
    """Return an ICC profile of version 4.

    Args:
        primaries: chromaticities; of grey, only white counts.
        curve: one of CURVES, or an exponent.
        channels: 1 (grey) or 3 (RGB).
        name: the description that other programs show.

    The same arguments give the same bytes. Raises ValueError for impossible primaries.

    >>> profile = matrix_profile(SRGB_CHROMATICITIES, "srgb", 3, "sRGB")
    >>> profile[16:20], len(profile) == int.from_bytes(profile[:4])
    (b'RGB ', True)
    """
    function, parameters = (3, CURVES[curve]) if isinstance(curve, str) else (0, (curve,))
    shape = b"para" + struct.pack(">4xHH", function, 0) + _fixed(*parameters)
    adapted = adaptation(primaries)
    tags = [
        (b"desc", _text(name)),
        (b"cprt", _text("CC0")),
        (b"wtpt", b"XYZ " + bytes(4) + _fixed(*_D50)),
        (b"chad", b"sf32" + bytes(4) + _fixed(*adapted.ravel())),
    ]
    if channels == 1:
        tags += [(b"kTRC", shape)]
    else:
        columns = (adapted @ to_xyz(primaries)).T
        tags += [
            (kind, b"XYZ " + bytes(4) + _fixed(*column))
            for kind, column in zip((b"rXYZ", b"gXYZ", b"bXYZ"), columns, strict=True)
        ]
        tags += [(kind, shape) for kind in (b"rTRC", b"gTRC", b"bTRC")]
    return _profile(b"GRAY" if channels == 1 else b"RGB ", tags)


def _profile(space: bytes, tags: list[tuple[bytes, bytes]]) -> bytes:
    """Lay out tags behind their table (ICC.1, 7.3); equal ones are stored once."""
    start, table, body = 128 + 4 + 12 * len(tags), b"", b""
    places: dict[bytes, int] = {}
    for kind, content in tags:
        if content not in places:
            places[content] = start + len(body)
            body += content + bytes(-len(content) % 4)
        table += struct.pack(">4sII", kind, places[content], len(content))
    size = start + len(body)
    header = struct.pack(
        ">I4xI4s4s4s6H4s", size, 0x04400000, b"mntr", space, b"XYZ ", 2000, 1, 1, 0, 0, 0, b"acsp"
    )
    header += bytes(28) + _fixed(*_D50)
    return header.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + body


def _fixed(*values: float) -> bytes:
    """s15Fixed16Number (ICC.1, 4.6)."""
    return struct.pack(f">{len(values)}i", *(round(float(value) * 65536) for value in values))


def _text(text: str) -> bytes:
    """multiLocalizedUnicodeType (ICC.1, 10.15)."""
    content = text.encode("utf-16-be")
    return b"mluc" + struct.pack(">4xII2s2sII", 1, 12, b"en", b"US", len(content), 28) + content
