"""Shared by the readers of all formats: size limits, orientation, colour profiles, alpha channels."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from pathlib import Path

import imagecodecs
import numpy as np

MAX_CHANNELS = 8
"""Upper limit of channels, set by the renderer."""

MAX_PIXELS = 178_956_970
"""Upper limit of an image's pixels, a protection against decompression bombs; Pillow's value."""

MAX_PIXELS_VARIABLE = "DGP_MAX_PIXELS"
"""Environment variable that overrides MAX_PIXELS."""

SRGB_TOLERANCE = 1.5 / 255
"""A profile that changes no colour by more than this counts as sRGB; its pixels are not converted."""

Notify = Callable[[str], None]
"""Receives notes for the user on an image that is read, such as 'the alpha channel is dropped'."""


class ImageError(ValueError):
    """An image or a folder of images cannot be used; the message is one sentence naming it."""


def max_pixels() -> int:
    """Return the upper limit of an image's pixels. Raises ImageError if DGP_MAX_PIXELS is not a number."""
    asked = os.environ.get(MAX_PIXELS_VARIABLE) or str(MAX_PIXELS)
    if not asked.isdecimal():
        raise ImageError(f"{MAX_PIXELS_VARIABLE} must be a number of pixels, got {asked!r}.")
    return int(asked)


def check_size(path: Path, height: int, width: int) -> None:
    """Raise ImageError if an image has no pixels, or more than `max_pixels`."""
    if not height * width:
        raise ImageError(f"{path} has {width}x{height} pixels: replace or remove it.")
    if height * width > max_pixels():
        raise too_large(path)


def too_large(path: Path) -> ImageError:
    """Return the error for an image of more than `max_pixels`."""
    return ImageError(
        f"{path} has more than {max_pixels():,} pixels: cut it into smaller images, or set "
        f"{MAX_PIXELS_VARIABLE} to as many as fit into memory."
    )


def check_depth(path: Path, bits: int) -> None:
    """Raise ImageError unless integers have 8 or 16 bits: the value of white is unknown for all others."""
    if bits not in (8, 16):
        raise ImageError(f"{path} has integers of {bits} bits: convert it to 8 or 16 bits.")


def turn(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Apply an EXIF orientation, 1 to 8, to pixels [H, W, C]."""
    if orientation >= 5:
        pixels = pixels.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return pixels


def without_alpha(pixels: np.ndarray, notify: Notify) -> np.ndarray:
    """Drop the last channel of [H, W, C], the alpha channel, and notify the user."""
    notify("the alpha channel is dropped")
    return pixels[..., :-1]


def to_srgb(pixels: np.ndarray, profile: bytes, notify: Notify) -> np.ndarray:
    """Convert 8 or 16 bits from their ICC profile to sRGB: [H, W, 1, 3 or 4 (CMYK)] to [H, W, 1 or 3].

    A profile that does not fit the pixels, or cannot be read, is ignored with a note.
    """
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
        np.ascontiguousarray(pixels),
        profile,
        imagecodecs.cms_profile("srgb"),
        colorspace=colorspace,
        outcolorspace="rgb",
    )
