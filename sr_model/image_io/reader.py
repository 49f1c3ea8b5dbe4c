"""Reading an image to enlarge it: its pixels as they are stored, with alpha, and what goes with them.

`dgp_mining.images.reader` reads for mining: it converts to sRGB and drops alpha, EXIF and precision that it
has no use for. Here everything is kept that the enlarged image can carry.
"""

from __future__ import annotations

import logging
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import tifffile
from PIL import ExifTags, Image

from dgp_mining.images.paths import list_images
from dgp_mining.images.reader import ImageError, image_size, read_image, turn

from .metadata import Metadata, kept_exif, profile_fits, resolution, tiff_exif

_MODES = {
    "1": "L",
    "L": "L",
    "LA": "LA",
    "La": "LA",
    "RGB": "RGB",
    "RGBA": "RGBA",
    "RGBa": "RGBA",
    "P": "RGB",
    "PA": "RGBA",
}
"""Pillow's modes that are grey or RGB in some guise, and what they become."""
_TIFF_MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_ASSOCIATED, _UNASSOCIATED = 1, 2  # TIFF ExtraSamples: alpha that the colours are multiplied by, or not

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Picture:
    """An image as it is stored, upright."""

    pixels: np.ndarray
    """[H, W, C] uint8, uint16 or float32 in [0, 1]; grey or RGB, C = 2 and 4 with straight alpha last."""
    metadata: Metadata
    """What goes with them."""


def read_picture(path: Path) -> Picture:
    """Read an image file of 8 or 16 bits or floats, grey or RGB, with or without alpha.

    CMYK and other colour spaces, and JPEG 2000 of more than 8 bits, are converted to sRGB and lose their
    profile, with a logged line. Raises ImageError, naming the file, where it cannot be read.
    """
    image_size(path)  # names whatever is no image, and what is too large
    try:
        with path.open("rb") as file:
            head = file.read(25)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's, on large images and damaged EXIF
            picture = _read_tiff(path) if head[:4] in _TIFF_MAGIC else None
            deep_png = head[:4] == b"\x89PNG" and head[24] == 16
            return _checked(path, picture or _read_with_pillow(path, deep_png=deep_png))
    except (ImageError, MemoryError):
        raise
    except Exception as error:  # decoders raise all kinds of things
        reason = " ".join(str(error).split()).rstrip(".") or type(error).__name__
        raise ImageError(f"{path} cannot be decoded ({reason}): replace or remove it.") from error


def _checked(path: Path, picture: Picture) -> Picture:
    pixels, metadata = picture.pixels, picture.metadata
    if pixels.dtype.kind == "f":
        if not np.isfinite(pixels).all():
            raise ImageError(f"{path} holds NaN or infinite values: repair or remove it.")
        if pixels.min() < 0 or pixels.max() > 1:
            raise ImageError(f"{path} holds floats outside [0, 1]: scale its values to that range.")
        pixels = pixels.astype(np.float32)
    elif pixels.dtype not in (np.uint8, np.uint16):
        raise ImageError(
            f"{path} holds {pixels.dtype} values that are not 8-bit, 16-bit or floats: convert it."
        )
    if pixels.shape[2] > 4:
        raise ImageError(f"{path} has {pixels.shape[2]} channels where grey or RGB is needed: convert it.")
    if metadata.profile and not profile_fits(metadata.profile, pixels.shape[2] - 1 + pixels.shape[2] % 2):
        log.warning("%s: its colour profile does not fit its pixels and is dropped", path)
        metadata = Metadata(None, metadata.exif, metadata.dpi)
    return Picture(np.ascontiguousarray(pixels), metadata)


def _read_with_pillow(path: Path, *, deep_png: bool) -> Picture:
    with Image.open(path) as image:
        if getattr(image, "n_frames", 1) > 1 and image.format != "MPO":
            log.warning("%s: of its %d frames the first is taken", path, image.n_frames)
        if (
            image.format == "TIFF" and image.tag_v2.get(ExifTags.Base.Orientation, 1) >= 5
        ):  # Pillow errs there
            raise ImageError(f"{path} is a {image.mode} TIFF turned by 90 degrees: convert it.")
        if deep_png:  # Pillow would make 8 bits of it
            pixels = imagecodecs.png_decode(path.read_bytes())
        elif image.mode in _MODES and not _is_deep_jpeg2000(path, image):
            mode = _MODES[image.mode]
            if "transparency" in image.info:  # of one colour, or of palette entries
                mode = {"L": "LA"}.get(mode, "RGBA")
            pixels = np.asarray(image.convert(mode))
        else:
            return _as_srgb(path, image)
        exif = image.getexif()  # without orientation where Pillow has applied it, as it does to TIFF
        pixels = _turned(pixels.reshape(*pixels.shape[:2], -1), exif)
        return Picture(pixels, _metadata(path, image.info.get("icc_profile"), image.info, exif))


def _is_deep_jpeg2000(path: Path, image: Image.Image) -> bool:
    return image.format == "JPEG2000" and imagecodecs.jpeg2k_decode(path.read_bytes()).itemsize > 1


def _as_srgb(path: Path, image: Image.Image) -> Picture:
    """CMYK and the like, by way of the reader that converts to sRGB."""
    log.warning("%s: its colours are converted to sRGB", path)
    dtype = np.uint16 if _is_deep_jpeg2000(path, image) else np.uint8
    pixels = (read_image(path) * np.iinfo(dtype).max + np.float32(0.5)).astype(dtype)
    return Picture(pixels, _metadata(path, None, image.info, image.getexif()))


def _read_tiff(path: Path) -> Picture | None:
    """Grey and RGB of 8 bits and more; None for the others, which Pillow reads rightly."""
    with tifffile.TiffFile(path) as tiff:
        page = tiff.pages.first
        plain = page.photometric in (tifffile.PHOTOMETRIC.MINISBLACK, tifffile.PHOTOMETRIC.RGB)
        if not plain or page.bitspersample < 8:
            return None
        if len(tiff.pages) > 1:
            log.warning("%s: of its %d pages the first is taken", path, len(tiff.pages))
        pixels = page.asarray()
        if page.axes not in ("YX", "YXS", "SYX"):
            raise ImageError(f"{path} has the axes {page.axes} where one image is needed: convert it.")
        pixels = np.moveaxis(pixels, 0, 2) if page.axes == "SYX" else pixels
        pixels = pixels.reshape(*pixels.shape[:2], -1)
        extra, profile = page.extrasamples[-1:], page.iccprofile
        exif = tiff_exif(tiff)
    if extra == (_ASSOCIATED,):
        pixels = _straight(pixels)
    elif pixels.shape[2] in (2, 4) and extra != (_UNASSOCIATED,):
        raise ImageError(f"{path} has {pixels.shape[2]} channels, none marked as alpha: convert it.")
    return Picture(_turned(pixels, exif), _metadata(path, profile, {}, exif))


def _metadata(path: Path, profile: bytes | None, info: dict[str, Any], exif: Image.Exif) -> Metadata:
    try:
        return Metadata(profile, kept_exif(exif), resolution(info, exif))
    except Exception:  # Pillow reads much that it then cannot write, and says so in all kinds of ways
        log.warning("%s: its EXIF is damaged and is dropped", path)
        return Metadata(profile)


def _turned(pixels: np.ndarray, exif: Image.Exif) -> np.ndarray:
    """[H, W, C] upright, by the EXIF orientation 1 to 8."""
    return turn(pixels, exif.get(ExifTags.Base.Orientation, 1))


def _straight(pixels: np.ndarray) -> np.ndarray:
    """Colours divided by their alpha."""
    whole = np.iinfo(pixels.dtype).max if pixels.dtype.kind == "u" else 1.0
    alpha = pixels[..., -1:] / np.float64(whole)
    colours = np.divide(pixels[..., :-1], alpha, out=np.zeros(pixels[..., :-1].shape), where=alpha > 0)
    colours = colours.clip(0, whole)
    if pixels.dtype.kind == "u":
        colours = colours.round()
    return np.concatenate([colours.astype(pixels.dtype), pixels[..., -1:]], axis=2)


def pictures_in(folder: Path, option: str) -> list[Path]:
    """All images in `folder` and below it, sorted. Raises ImageError, naming the `option` that named it."""
    if not folder.is_dir():
        what = "is a file" if folder.exists() else "does not exist"
        raise ImageError(f"{folder} {what} where a folder of images is needed: name another with {option}.")
    try:
        return list_images(folder)
    except ImageError as error:
        raise ImageError(f"The folder {folder} holds no images: name another with {option}.") from error
