"""Converting colours to sRGB: from ICC profiles, CMYK, Lab, and other primaries and transfer functions.

Everything that an ICC profile can express is converted by Little CMS, through a profile made for it where the
file has none: with the perceptual intent, and Bradford's adaptation of white. images/README.md has the rules.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import imagecodecs
import numpy as np

from .encoding import SRGB_CHROMATICITIES, Encoding
from .hdr import WHITE, hdr_to_srgb
from .icc import matrix_profile
from .image_file import Model

SRGB_TOLERANCE = 1.5 / 255
"""A profile that changes no colour by more than this counts as sRGB; its pixels are not converted."""

Notify = Callable[[str], None]
"""Receives notes for the user on an image that is read, such as 'the alpha channel is dropped'."""

_SPACES = {
    Model.GREY: (b"GRAY", "gray"),
    Model.RGB: (b"RGB ", "rgb"),
    Model.CMYK: (b"CMYK", "cmyk"),
    Model.LAB: (b"Lab ", "lab"),
}
"""The colour space that a fitting profile names in its header (ICC.1, table 19), and imagecodecs' name."""

_TRANSFERS = {
    "srgb": "the transfer function of sRGB",
    "linear": "linear light",
    "bt709": "the transfer function of BT.709",
    "smpte240": "the transfer function of SMPTE 240M",
    "dci": "the transfer function of digital cinema",
    "pq": "PQ",
    "hlg": "HLG",
}
_SAMPLED = 128
"""Rows, and columns, of the sample that shows whether colours lie outside sRGB."""


def to_srgb(
    pixels: np.ndarray, model: Model, encoding: Encoding, notify: Notify, tone: str = "clip"
) -> np.ndarray:
    """Convert colours without alpha to sRGB.

    Args:
        pixels: [H, W, C] uint8 or uint16 over their whole range, or float32 in [0, 1].
        model: what the channels are; bands are returned as they are.
        encoding: how values become colours.
        notify: receives notes on what was converted for another reason than a profile, or could not be.
        tone: the tone mapping of PQ and HLG: one of `reading.TONES`.

    Returns [H, W, 1, 3 or (bands) C], of the same type.
    """
    if model == Model.CHANNELS:
        return pixels
    if encoding.profile is not None:
        converted = _from_profile(pixels, model, encoding.profile, notify)
        if converted is not None:
            return converted
    elif not encoding.is_srgb and model in (Model.GREY, Model.RGB):
        return _from_encoding(pixels, model, encoding, notify, tone)
    if model == Model.CMYK:
        return _from_inks(pixels)
    if model == Model.LAB:
        return _transform(pixels, imagecodecs.cms_profile("lab4"), model, notify)
    return pixels


def profile_of(encoding: Encoding, channels: int = 3) -> bytes | None:
    """Return an ICC profile that says what an encoding says, for files that hold nothing else.

    Args:
        encoding: of grey or RGB.
        channels: 1 (grey) or 3 (RGB).

    Returns None for PQ and HLG, which are no matter of a profile, and for impossible primaries. The same
    encoding gives the same bytes.

    >>> profile_of(Encoding(transfer="linear"))[16:20], profile_of(Encoding(transfer="pq"))
    (b'RGB ', None)
    """
    if encoding.profile is not None:
        return encoding.profile
    if encoding.transfer in ("pq", "hlg"):
        return None
    name = "sRGB" if encoding.is_srgb else f"RGB, {_transfer_name(encoding)}"
    try:
        return matrix_profile(encoding.primaries, encoding.transfer, channels, name)
    except ValueError:
        return None


def _transfer_name(encoding: Encoding) -> str:
    if isinstance(encoding.transfer, str):
        return _TRANSFERS[encoding.transfer]
    return f"a gamma of {encoding.transfer:.4g}"


def _from_inks(pixels: np.ndarray) -> np.ndarray:
    """CMYK without a profile: each of R, G, B is the light that one ink and black leave, (1 - c)(1 - k)."""
    whole = np.iinfo(pixels.dtype).max if pixels.dtype.kind == "u" else 1.0
    light = 1 - pixels / np.float64(whole)
    rgb = light[..., :3] * light[..., 3:] * whole
    return (rgb.round() if pixels.dtype.kind == "u" else rgb).astype(pixels.dtype)


def _from_encoding(
    pixels: np.ndarray, model: Model, encoding: Encoding, notify: Notify, tone: str
) -> np.ndarray:
    """Convert from primaries and a transfer function, with a note that says what in the file names them."""
    who = encoding.said_by or "its format"
    several = " and " in who
    said = f"{who} {'say' if several else 'says'} {_transfer_name(encoding)}"
    if model == Model.RGB and encoding.primaries != SRGB_CHROMATICITIES:
        said += " and other primaries than sRGB has"
    if encoding.transfer in ("pq", "hlg"):
        pixels, beyond = hdr_to_srgb(pixels, encoding, tone)
        said += f": converted to sRGB, {WHITE:g} cd/m2 being white"
        if tone == "reinhard":
            said += " before Reinhard's tone mapping"
        elif beyond:
            said += ", and what is brighter or more colourful is clipped"
        notify(said)
        return pixels
    profile = profile_of(encoding, pixels.shape[2])
    if profile is None:
        names, is_ = ("name", "are") if several else ("names", "is")
        notify(f"{who} {names} impossible colours and {is_} ignored")
        return pixels
    if _is_srgb(profile, model):
        return pixels
    notify(f"{said}: converted to sRGB")
    return _transform(pixels, profile, model, notify)


def _from_profile(pixels: np.ndarray, model: Model, profile: bytes, notify: Notify) -> np.ndarray | None:
    """Convert from an ICC profile; None, after a note, for one that does not fit or cannot be read."""
    if profile[16:20] != _SPACES[model][0]:
        notify("its colour profile does not fit its pixels and is ignored")
        return None
    try:
        if model in (Model.GREY, Model.RGB) and _is_srgb(profile, model):
            return pixels
        return _transform(pixels, profile, model, notify)
    except (imagecodecs.CmsError, ValueError) as error:
        notify(f"its colour profile is ignored ({error})")
        return None


@functools.lru_cache(16)
def _is_srgb(profile: bytes, model: Model) -> bool:
    """Whether the profile changes no colour; its name does not count: 'linear sRGB' is not sRGB."""
    channels = 1 if model == Model.GREY else 3
    levels = np.linspace(0, 1, 6 if channels == 3 else 256, dtype=np.float32)
    colours = np.stack(np.meshgrid(*[levels] * channels), -1).reshape(1, -1, channels)
    return bool(np.abs(_by_lcms(colours, profile, model).clip(0, 1) - colours).max() <= SRGB_TOLERANCE)


def _transform(pixels: np.ndarray, profile: bytes, model: Model, notify: Notify) -> np.ndarray:
    """Convert with a profile, clipping colours outside sRGB, with a note if they are more than a trace."""
    whole = np.iinfo(pixels.dtype).max if pixels.dtype.kind == "u" else 1
    rows, columns = (-(-side // _SAMPLED) for side in pixels.shape[:2])
    sample = pixels[::rows, ::columns].astype(np.float32) / np.float32(whole)
    unclipped = _by_lcms(sample, profile, model)
    outside = ((unclipped < -SRGB_TOLERANCE) | (unclipped > 1 + SRGB_TOLERANCE)).any(axis=2)
    if outside.mean() > 0.01:
        notify("its colours outside sRGB are clipped")
    if model == Model.LAB and whole > 1:  # Little CMS takes integers of Lab for other numbers than we do
        values = _by_lcms(pixels.astype(np.float32) / np.float32(whole), profile, model)
        return (values.clip(0, 1) * whole).round().astype(pixels.dtype)
    converted = _by_lcms(pixels, profile, model)
    return converted if whole > 1 else converted.clip(0, 1)


def _by_lcms(pixels: np.ndarray, profile: bytes, model: Model) -> np.ndarray:
    """Little CMS's conversion [H, W, 1 or 3]; of floats, colours outside sRGB are not clipped.

    With optimisation, it interpolates 16-bit values in a table of 33 nodes a side, and is wrong by up to 21
    of 255 levels near the limits of sRGB; of 8-bit RGB it is exact to a level, and 15 times faster.
    """
    if pixels.dtype == np.float32:
        if model == Model.LAB:  # real units
            pixels = pixels * np.array([100, 255, 255], np.float32) - np.array([0, 128, 128], np.float32)
        elif model == Model.CMYK:  # per cent
            pixels = pixels * np.float32(100)
    height, width = pixels.shape[:2]
    rgb = imagecodecs.cms_transform(
        np.ascontiguousarray(pixels[..., 0] if model == Model.GREY else pixels),
        profile,
        imagecodecs.cms_profile("srgb"),
        colorspace=_SPACES[model][1],
        outcolorspace="rgb",
        flags=0 if pixels.dtype == np.uint8 else int(imagecodecs.CMS.FLAGS.NOOPTIMIZE),
    ).reshape(height, width, 3)
    return rgb[..., 1:2] if model == Model.GREY else rgb
