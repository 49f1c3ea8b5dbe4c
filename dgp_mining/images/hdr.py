"""Pictures of high dynamic range, PQ and HLG (ITU-R BT.2100-2), as sRGB."""

from __future__ import annotations

import numpy as np

from .encoding import Encoding
from .icc import to_linear_srgb, to_xyz

WHITE = 203.0
"""Luminance in cd/m2 of diffuse white in PQ and HLG (ITU-R BT.2408-7, 2.1); it becomes 1.0."""

HLG_PEAK = 1000.0
"""Luminance in cd/m2 of the display for which HLG is shown (BT.2100-2, table 5); its gamma is then 1.2."""

_BLOCK = 1 << 20  # pixels that are converted at a time


def hdr_to_srgb(pixels: np.ndarray, encoding: Encoding, tone: str) -> tuple[np.ndarray, bool]:
    """Convert PQ or HLG to sRGB, 203 cd/m2 becoming white.

    Args:
        pixels: [H, W, 1 or 3] uint8 or uint16 over their whole range, or float32 in [0, 1].
        encoding: its transfer is "pq" or "hlg".
        tone: what becomes of brighter light, after the conversion to the primaries of sRGB: "clip", or
            "reinhard", which maps each of R, G, B to L / (1 + L) (Reinhard et al. 2002, eq. 3).

    Returns pixels of the same shape and type, and whether more than one in a hundred was beyond sRGB (as
    Reinhard's mapping leaves nothing too bright, only colours count then).
    """
    integers = pixels.dtype.kind == "u"
    whole = np.iinfo(pixels.dtype).max if integers else 1
    # One table for all values: faster, and the same on every machine.
    table = _curve(np.arange(whole + 1) / whole, encoding.transfer) if integers else None
    flat = pixels.reshape(-1, pixels.shape[2])
    result, beyond = np.empty_like(flat), 0
    for start in range(0, len(flat), _BLOCK):
        block = flat[start : start + _BLOCK]
        light = table[block] if table is not None else _curve(block.astype(np.float64), encoding.transfer)
        light = _to_linear_srgb(light, encoding)
        if tone == "reinhard":
            light = np.where(light > 0, light / (1 + light.clip(0)), light)
        beyond += int(np.count_nonzero(((light < -0.01) | (light > 1.01)).any(axis=1)))
        values = _srgb(light.clip(0, 1)) * whole
        result[start : start + _BLOCK] = values.round() if integers else values
    return result.reshape(pixels.shape), beyond > len(flat) / 100


def _curve(values: np.ndarray, transfer: str | float) -> np.ndarray:
    """Light of PQ in units of WHITE (BT.2100-2, table 4), or of a scene in HLG, from 0 to 1 (table 5)."""
    if transfer == "pq":
        m1, m2 = 2610 / 16384, 2523 / 4096 * 128
        c1, c2, c3 = 3424 / 4096, 2413 / 4096 * 32, 2392 / 4096 * 32
        root = values ** (1 / m2)
        light: np.ndarray = (np.maximum(root - c1, 0) / (c2 - c3 * root)) ** (1 / m1) * 10_000 / WHITE
        return light
    a = 0.17883277
    b, c = 1 - 4 * a, 0.5 - a * np.log(4 * a)
    scene: np.ndarray = np.where(values <= 0.5, values**2 / 3, (np.exp((values - c) / a) + b) / 12)
    return scene


def _to_linear_srgb(light: np.ndarray, encoding: Encoding) -> np.ndarray:
    """Light [N, C] in the primaries of sRGB, 1.0 being WHITE; of HLG, as a display shows it (its OOTF)."""
    if encoding.transfer == "hlg":
        weights = to_xyz(encoding.primaries)[1].round(9) if light.shape[1] == 3 else np.ones(1)
        luminance = weights[0] * light[:, :1]
        for channel, weight in enumerate(weights[1:], start=1):
            luminance = luminance + weight * light[:, channel : channel + 1]
        light = HLG_PEAK / WHITE * luminance**0.2 * light
    if light.shape[1] == 1:
        return light
    # Not a matrix product: its last bits would depend on the machine.
    return np.stack(
        [
            row[0] * light[:, 0] + row[1] * light[:, 1] + row[2] * light[:, 2]
            for row in to_linear_srgb(encoding.primaries)
        ],
        axis=1,
    )


def _srgb(light: np.ndarray) -> np.ndarray:
    """IEC 61966-2-1."""
    return np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
