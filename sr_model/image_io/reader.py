"""Reading an image to upscale it: its pixels as they are stored, with alpha, and its metadata.

`dgp_mining.images.reader` reads for mining: it converts to sRGB and drops alpha, EXIF and excess precision.
Here everything is kept that the upscaled image can hold.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import tifffile
from PIL import ExifTags, Image
from PIL.TiffImagePlugin import TiffImageFile

from dgp_mining.images.paths import list_images
from dgp_mining.images.reader import ImageError, image_size, read_image, turn

from .metadata import Metadata, portable_exif, profile_fits, resolution, tiff_exif

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
"""Pillow's modes that are grey or RGB in some form, and the modes that they are read as."""
_TIFF_MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_ASSOCIATED, _UNASSOCIATED = 1, 2  # TIFF ExtraSamples: alpha that the colours are premultiplied with, or not

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class StoredImage:
    """An image as it is stored, turned upright."""

    pixels: np.ndarray
    """[H, W, C] uint8, uint16 or float32 in [0, 1], grey or RGB; if C is 2 or 4, straight alpha is last."""
    metadata: Metadata
    """Colour profile, EXIF and resolution."""


def read_stored_image(path: str | Path) -> StoredImage:
    """Read an image file of 8 or 16 bits or floats, grey or RGB, with or without alpha.

    CMYK and other colour spaces, and JPEG 2000 of more than 8 bits, are converted to sRGB and lose their
    profile; a line is logged. Raises ImageError, naming the file, if it cannot be read.
    """
    path = Path(path)
    image_size(path)  # raises ImageError if it is not an image, or too large
    try:
        with path.open("rb") as file:
            head = file.read(25)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of Pillow, about large images and damaged EXIF
            image = _read_tiff(path) if head[:4] in _TIFF_MAGIC else None
            deep_png = head[:4] == b"\x89PNG" and head[24] == 16
            return _checked(path, image or _read_with_pillow(path, deep_png=deep_png))
    except (ImageError, MemoryError):
        raise
    except Exception as error:  # decoders raise all kinds of errors
        reason = " ".join(str(error).split()).rstrip(".") or type(error).__name__
        raise ImageError(f"{path} cannot be decoded ({reason}): replace or remove it.") from error


def _checked(path: Path, image: StoredImage) -> StoredImage:
    pixels, metadata = image.pixels, image.metadata
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
        raise ImageError(f"{path} has {pixels.shape[2]} channels, not grey or RGB: convert it.")
    if metadata.profile and not profile_fits(metadata.profile, pixels.shape[2] - 1 + pixels.shape[2] % 2):
        log.warning("%s: its colour profile does not fit its pixels and is dropped", path)
        metadata = Metadata(None, metadata.exif, metadata.dpi)
    return StoredImage(np.ascontiguousarray(pixels), metadata)


def _read_with_pillow(path: Path, *, deep_png: bool) -> StoredImage:
    with Image.open(path) as image:
        frames = getattr(image, "n_frames", 1)
        if frames > 1 and image.format != "MPO":
            log.warning("%s: only the first of its %d frames is read", path, frames)
        # Pillow turns such TIFFs wrongly.
        if isinstance(image, TiffImageFile) and image.tag_v2.get(ExifTags.Base.Orientation, 1) >= 5:
            raise ImageError(f"{path} is a {image.mode} TIFF turned by 90 degrees: convert it.")
        if deep_png:  # Pillow would read 8 bits
            pixels = imagecodecs.png_decode(path.read_bytes())
        elif image.mode in _MODES and not _is_deep_jpeg2000(path, image):
            mode = _MODES[image.mode]
            if "transparency" in image.info:  # one transparent colour, or transparent palette entries
                mode = {"L": "LA"}.get(mode, "RGBA")
            pixels = np.asarray(image.convert(mode))
        else:
            return _as_srgb(path, image)
        exif = image.getexif()  # without orientation if Pillow has applied it, as for TIFF
        pixels = _turned(pixels.reshape(*pixels.shape[:2], -1), exif)
        return StoredImage(pixels, _metadata(path, image.info.get("icc_profile"), image.info, exif))


def _is_deep_jpeg2000(path: Path, image: Image.Image) -> bool:
    return image.format == "JPEG2000" and imagecodecs.jpeg2k_decode(path.read_bytes()).itemsize > 1


def _as_srgb(path: Path, image: Image.Image) -> StoredImage:
    """An image in CMYK or the like, through the reader that converts to sRGB."""
    log.warning("%s: its colours are converted to sRGB", path)
    dtype = np.uint16 if _is_deep_jpeg2000(path, image) else np.uint8
    pixels = (read_image(path) * np.iinfo(dtype).max + np.float32(0.5)).astype(dtype)
    return StoredImage(pixels, _metadata(path, None, image.info, image.getexif()))


def _read_tiff(path: Path) -> StoredImage | None:
    """A grey or RGB TIFF of 8 bits or more; None for others, which Pillow reads correctly."""
    with tifffile.TiffFile(path) as tiff:
        page = tiff.pages.first
        plain = page.photometric in (tifffile.PHOTOMETRIC.MINISBLACK, tifffile.PHOTOMETRIC.RGB)
        if not plain or page.bitspersample < 8:
            return None
        if len(tiff.pages) > 1:
            log.warning("%s: only the first of its %d pages is read", path, len(tiff.pages))
        pixels = page.asarray()
        if page.axes not in ("YX", "YXS", "SYX"):
            raise ImageError(f"{path} has the axes {page.axes}, not those of one image: convert it.")
        pixels = np.moveaxis(pixels, 0, 2) if page.axes == "SYX" else pixels
        pixels = pixels.reshape(*pixels.shape[:2], -1)
        extra, profile = page.extrasamples[-1:], page.iccprofile
        exif = tiff_exif(tiff)
    if extra == (_ASSOCIATED,):
        pixels = _straight(pixels)
    elif pixels.shape[2] in (2, 4) and extra != (_UNASSOCIATED,):
        raise ImageError(f"{path} has {pixels.shape[2]} channels, none marked as alpha: convert it.")
    return StoredImage(_turned(pixels, exif), _metadata(path, profile, {}, exif))


def _metadata(path: Path, profile: bytes | None, info: Mapping[Any, Any], exif: Image.Exif) -> Metadata:
    try:
        return Metadata(profile, portable_exif(exif), resolution(info, exif))
    except Exception:  # Pillow reads much that it cannot write, and then raises all kinds of errors
        log.warning("%s: its EXIF is damaged and is dropped", path)
        return Metadata(profile)


def _turned(pixels: np.ndarray, exif: Image.Exif) -> np.ndarray:
    """Turn pixels [H, W, C] upright by the EXIF orientation, 1 to 8."""
    return turn(pixels, exif.get(ExifTags.Base.Orientation, 1))


def _straight(pixels: np.ndarray) -> np.ndarray:
    """Undo premultiplication: divide the colours by alpha."""
    whole = np.iinfo(pixels.dtype).max if pixels.dtype.kind == "u" else 1.0
    alpha = pixels[..., -1:] / np.float64(whole)
    colours = np.divide(pixels[..., :-1], alpha, out=np.zeros(pixels[..., :-1].shape), where=alpha > 0)
    colours = colours.clip(0, whole)
    if pixels.dtype.kind == "u":
        colours = colours.round()
    return np.concatenate([colours.astype(pixels.dtype), pixels[..., -1:]], axis=2)


def image_files(images: str | Path | Sequence[str | Path], argument: str) -> list[Path]:
    """The files of a list of images, or all images in a folder and below it, sorted.

    Raises ImageError, naming `argument` (such as "images="), if the folder does not exist or holds no images.

    >>> image_files(["a.png", Path("b.jpg")], "images=")
    [PosixPath('a.png'), PosixPath('b.jpg')]
    """
    if isinstance(images, str | Path):
        return images_in(images, argument)
    return [Path(path) for path in images]


def images_in(folder: str | Path, argument: str) -> list[Path]:
    """All images in a folder and below it, sorted. Raises ImageError as `image_files` does."""
    folder = Path(folder)
    if not folder.is_dir():
        if folder.exists():
            raise ImageError(f"{folder} is a file: {argument} takes a folder.")
        raise ImageError(f"{folder} does not exist: name a folder of images with {argument}.")
    try:
        return list_images(folder)
    except ImageError as error:
        raise ImageError(f"The folder {folder} holds no images: name another with {argument}.") from error
