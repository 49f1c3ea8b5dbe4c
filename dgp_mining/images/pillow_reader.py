"""Decoding PNG, JPEG, BMP, WebP, JPEG 2000 and the TIFF files that `tiff_reader` does not, to grey or RGB.

Pillow decodes most files. But it silently reduces 16-bit RGB to 8 bits and saturates 16-bit grey, so PNG and
JPEG 2000 of more than 8 bits are decoded by imagecodecs.
"""

from __future__ import annotations

import warnings
from pathlib import Path

import imagecodecs
import numpy as np
from PIL import ExifTags, Image, ImageOps
from PIL.TiffImagePlugin import TiffImageFile

from .pixels import ImageError, Notify, check_depth, check_size, max_pixels, to_srgb, turn, without_alpha

_FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "WEBP", "JPEG2000")
_ALPHA_MODES = ("RGBA", "RGBa", "LA", "La", "PA")
_TO_PLAIN = {
    "1": ("L",),
    "LA": ("L",),
    "La": ("LA", "L"),
    "P": ("RGBA", "RGB"),  # directly to RGB, Pillow would warn of transparent palette entries
    "PA": ("RGBA", "RGB"),
    "RGBA": ("RGB",),
    "RGBa": ("RGBA", "RGB"),
    "RGBX": ("RGB",),
    "YCbCr": ("RGB",),
    "LAB": ("RGB",),
}
"""The successive conversions from other modes of Pillow to grey or RGB."""

_PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
_CODESTREAM = b"\xff\x4f\xff\x51"  # JPEG 2000: start of the codestream, and of its SIZ segment
_COMPONENT_DEPTH = 42  # offset of Ssiz of the first component (ITU-T T.800, A.5.1)


def plain_size(path: Path) -> tuple[int, int]:
    """Return the (height, width) that `read_plain` will return, from the header. Raises ImageError."""
    with _open(path) as image:
        # Pillow applies the orientation to the size of a TIFF, but of no other format.
        turned = image.format != "TIFF" and _orientation(image) >= 5
        return (image.width, image.height) if turned else (image.height, image.width)


def read_plain(path: Path, notify: Notify) -> np.ndarray:  # [H, W, 1 or 3]
    """Decode to uint8, uint16 or the type of Pillow's mode. Raises ImageError and the decoders' errors."""
    with _open(path) as image:
        if image.format == "PNG" and _png_depth(path) == 16:
            return _read_deep(imagecodecs.png_decode(path.read_bytes()), image, notify)
        if image.format == "JPEG2000" and (depth := _jpeg2000_depth(path)) > 8:
            check_depth(path, depth)
            return _read_deep(imagecodecs.jpeg2k_decode(path.read_bytes()), image, notify)
        return _read_with_pillow(path, image, notify)


def _open(path: Path) -> Image.Image:
    if max_pixels() > 2 * (Image.MAX_IMAGE_PIXELS or max_pixels()):
        Image.MAX_IMAGE_PIXELS = max_pixels()  # the user raised it
    with warnings.catch_warnings():
        # Pillow already warns at half of its limit.
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        image = Image.open(path, formats=_FORMATS)
    try:
        check_size(path, image.height, image.width)
    except ImageError:
        image.close()
        raise
    return image


def _orientation(image: Image.Image) -> int:
    # Not image.getexif(), which decodes the whole file if a PNG has no EXIF data.
    return Image.Image.getexif(image).get(ExifTags.Base.Orientation, 1)


def _png_depth(path: Path) -> int:
    with path.open("rb") as file:
        header = file.read(25)
    return header[24] if header.startswith(_PNG_MAGIC) else 0


def _jpeg2000_depth(path: Path) -> int:
    content = path.read_bytes()
    start = content.find(_CODESTREAM)
    return (content[start + _COMPONENT_DEPTH] & 0x7F) + 1


def _read_deep(pixels: np.ndarray, image: Image.Image, notify: Notify) -> np.ndarray:  # [H, W, 1 or 3] uint16
    """Apply the metadata, which Pillow has read, to pixels that imagecodecs has decoded."""
    pixels = pixels[..., None] if pixels.ndim == 2 else pixels
    if pixels.shape[2] in (2, 4):
        pixels = without_alpha(pixels, notify)
    if profile := image.info.get("icc_profile"):
        pixels = to_srgb(pixels, profile, notify)
    return turn(pixels, _orientation(image))


def _read_with_pillow(path: Path, opened: Image.Image, notify: Notify) -> np.ndarray:
    if isinstance(opened, TiffImageFile) and opened.tag_v2.get(ExifTags.Base.Orientation, 1) >= 5:
        raise ImageError(f"{path} is a {opened.mode} TIFF turned by 90 degrees: convert it.")
    profile = opened.info.get("icc_profile")
    image = ImageOps.exif_transpose(opened)
    if image.mode in _ALPHA_MODES or "transparency" in image.info:
        notify("the alpha channel is dropped")
    frames = getattr(opened, "n_frames", 1)
    if opened.format != "MPO" and frames > 1:  # an MPO is a photograph with previews
        notify(f"the first of its {frames} frames is read")
    for mode in _TO_PLAIN.get(image.mode, ()):
        image = image.convert(mode)
    pixels = np.asarray(image)
    pixels = pixels[..., None] if pixels.ndim == 2 else pixels
    if profile:
        pixels = to_srgb(pixels, profile, notify)
    if pixels.shape[2] == 4:  # CMYK without a suitable profile
        pixels = np.asarray(image.convert("RGB"))
    return pixels
