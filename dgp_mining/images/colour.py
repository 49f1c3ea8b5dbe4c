"""Converting colours to sRGB: from ICC profiles, CMYK, Lab, and other primaries and transfer functions."""

from __future__ import annotations

import functools
from collections.abc import Callable

import imagecodecs
import numpy as np

from .encoding import Encoding
from .image_file import Model

SRGB_TOLERANCE = 1.5 / 255
"""A profile that changes no colour by more than this counts as sRGB; its pixels are not converted."""

Notify = Callable[[str], None]
"""Receives notes for the user on an image that is read, such as 'the alpha channel is dropped'."""


def to_srgb(pixels: np.ndarray, model: Model, encoding: Encoding, notify: Notify) -> np.ndarray:
    """Convert colours without alpha to sRGB.

    Args:
        pixels: [H, W, C] uint8 or uint16 over their whole range, or float32 in [0, 1].
        model: what the channels are; bands are returned as they are.
        encoding: how values become colours.
        notify: receives notes on what could not be converted.

    Returns [H, W, 1, 3 or (bands) C], of the same type.
    """
    if model == Model.CHANNELS:
        return pixels
    if encoding.profile is not None:
        pixels = _from_profile(pixels, encoding.profile, notify)
    if model == Model.CMYK and pixels.shape[2] == 4:  # no suitable profile
        return _from_inks(pixels)
    return pixels


def _from_inks(pixels: np.ndarray) -> np.ndarray:
    """CMYK without a profile: each of R, G, B is the light that one ink and black leave, (1 - c)(1 - k)."""
    whole = np.iinfo(pixels.dtype).max if pixels.dtype.kind == "u" else 1.0
    light = 1 - pixels / np.float64(whole)
    rgb = light[..., :3] * light[..., 3:] * whole
    return (rgb.round() if pixels.dtype.kind == "u" else rgb).astype(pixels.dtype)


def _from_profile(pixels: np.ndarray, profile: bytes, notify: Notify) -> np.ndarray:
    """Convert from an ICC profile; one that does not fit, or cannot be read, is ignored with a note."""
    channels = pixels.shape[2]
    kind = {1: (b"GRAY", "gray"), 3: (b"RGB ", "rgb"), 4: (b"CMYK", "cmyk")}.get(channels)
    if kind is None or profile[16:20] != kind[0] or pixels.dtype.kind != "u":
        notify("its colour profile does not fit its pixels and is ignored")
        return pixels
    try:
        if channels < 4 and _is_srgb(profile, channels):
            return pixels
        rgb = _transform(pixels, profile, kind[1])
    except (imagecodecs.CmsError, ValueError) as error:
        notify(f"its colour profile is ignored ({error})")
        return pixels
    return rgb[..., 1:2] if channels == 1 else rgb


@functools.lru_cache(16)
def _is_srgb(profile: bytes, channels: int) -> bool:
    """Whether the profile changes no colour; its name does not count: 'linear sRGB' is not sRGB."""
    levels = np.linspace(0, 65535, 6 if channels == 3 else 256).round().astype(np.uint16)
    colours = np.stack(np.meshgrid(*[levels] * channels), -1).reshape(1, -1, channels)
    moved = _transform(colours, profile, "rgb" if channels == 3 else "gray")
    return bool(np.abs(moved - colours.astype(np.float64)).max() <= SRGB_TOLERANCE * 65535)


def _transform(pixels: np.ndarray, profile: bytes, colorspace: str) -> np.ndarray:
    return imagecodecs.cms_transform(
        np.ascontiguousarray(pixels[..., 0] if colorspace == "gray" else pixels),
        profile,
        imagecodecs.cms_profile("srgb"),
        colorspace=colorspace,
        outcolorspace="rgb",
    )
