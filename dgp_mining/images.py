"""Finding and decoding images: whatever is in the file becomes sRGB values in [0, 1] as float32.

Pillow decodes everything that it decodes rightly. It turns 16-bit RGB PNG into 8 bits silently and
saturates 16-bit grey ones, so those go to imagecodecs; of TIFF it mangles uncompressed ones that are turned
by 90 degrees and those beyond 8 bits or 4 channels, so grey and RGB TIFF go to tifffile.
"""

from __future__ import annotations

import contextlib
import functools
import io
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path

import imagecodecs
import numpy as np
import tifffile
from PIL import ExifTags, Image, ImageCms, ImageOps

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp"})
"""File name endings (in lower case) that `list_images` takes for images."""

MAX_CHANNELS = 8
"""Most channels that the renderer, and therefore `read_image`, takes."""

MAX_PIXELS = 178_956_970
"""Largest image that is decoded, against decompression bombs; the limit at which Pillow refuses."""

_FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "WEBP")
_TIFF_MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")  # classic and big, in either byte order
_GREY_OR_RGB = (tifffile.PHOTOMETRIC.MINISBLACK, tifffile.PHOTOMETRIC.RGB)
_ALPHA_SAMPLES = (1, 2)  # TIFF ExtraSamples: associated and unassociated alpha

log = logging.getLogger(__name__)


class ImageError(ValueError):
    """An image or a folder of images that cannot be used; the message is one sentence naming it."""


def list_images(folder: str | Path) -> list[Path]:
    """All images in `folder` and below it, sorted by their path in it; hidden files and folders are skipped.

    Raises ImageError where the folder does not exist or holds no images.
    """
    folder = Path(folder)
    if not folder.is_dir():
        what = "is a file, not a folder" if folder.exists() else "does not exist"
        raise ImageError(f"The folder {folder} {what}: name a folder of images with --images.")
    found = {
        path.relative_to(folder).as_posix(): path
        for path in folder.rglob("*")
        if path.suffix.lower() in SUFFIXES
        and path.is_file()
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    }
    if not found:
        kinds = ", ".join(sorted(SUFFIXES))
        raise ImageError(f"The folder {folder} holds no images ({kinds}): name another with --images.")
    return [found[name] for name in sorted(found)]


def image_size(path: str | Path) -> tuple[int, int]:
    """(height, width) as `read_image` will return it, from the file's header alone. Raises ImageError."""
    path = Path(path)
    with _one_sentence(path):
        if _is_grey_or_rgb_tiff(path):
            with tifffile.TiffFile(path) as tiff:
                page = tiff.pages.first
                height, width, orientation = page.imagelength, page.imagewidth, _tiff_orientation(page)
        else:
            with _open(path) as image:
                width, height = image.size
                # Pillow has already turned the size of a TIFF, but of nothing else.
                orientation = 1 if image.format == "TIFF" else _orientation(image)
        _check_pixels(path, height * width)
    return (width, height) if orientation >= 5 else (height, width)


def read_image(path: str | Path) -> np.ndarray:
    """Decode an image: [H, W, C] float32 sRGB values in [0, 1], C = 1 (grey), 3 (RGB) or up to 8 (TIFF).

    Palettes and CMYK become RGB, an ICC profile is converted to sRGB, 8 or 16 bits are divided by their
    largest value, the EXIF orientation is applied, and an alpha channel is dropped with a logged warning.
    Raises ImageError, in one sentence naming the file, where it cannot be read or is too large.
    """
    path = Path(path)
    with _one_sentence(path):
        if _is_grey_or_rgb_tiff(path):
            pixels = _read_tiff(path)
        elif _is_deep_png(path):
            pixels = _read_deep_png(path)
        else:
            pixels = _read_with_pillow(path)
    if pixels.dtype.kind == "u":
        return pixels.astype(np.float32) / np.float32(np.iinfo(pixels.dtype).max)
    if pixels.dtype.kind == "f" and pixels.min() >= 0 and pixels.max() <= 1:  # false for NaN as well
        return pixels.astype(np.float32)
    raise ImageError(
        f"{path} holds {pixels.dtype} values that are not 8-bit, 16-bit or floats in [0, 1]: convert it."
    )


def read_rgb(path: str | Path) -> np.ndarray:
    """`read_image` as three channels, [H, W, 3]: grey is repeated. Raises ImageError for other numbers."""
    pixels = read_image(path)
    if pixels.shape[2] == 1:
        return np.repeat(pixels, 3, axis=2)
    if pixels.shape[2] != 3:
        raise ImageError(f"{path} has {pixels.shape[2]} channels where grey or RGB is needed: convert it.")
    return pixels


@contextlib.contextmanager
def _one_sentence(path: Path) -> Iterator[None]:
    """Turn whatever a decoder raises into an ImageError naming the file."""
    try:
        yield
    except ImageError:
        raise
    except FileNotFoundError as error:
        raise ImageError(f"{path} does not exist.") from error
    except PermissionError as error:
        raise ImageError(f"{path} may not be read: check its permissions.") from error
    except Image.UnidentifiedImageError as error:
        raise ImageError(
            f"{path} is not a PNG, JPEG, TIFF, BMP or WebP image: remove or convert it."
        ) from error
    except Image.DecompressionBombError as error:
        raise ImageError(_too_large(path)) from error
    except MemoryError as error:
        raise ImageError(f"{path} does not fit into memory: cut it into smaller images.") from error
    except Exception as error:  # decoders raise all kinds of things
        reason = " ".join(str(error).split()).rstrip(".") or type(error).__name__
        raise ImageError(f"{path} cannot be decoded ({reason}): replace or remove it.") from error


def _too_large(path: Path) -> str:
    return f"{path} has more than {MAX_PIXELS:,} pixels: cut it into smaller images."


def _check_pixels(path: Path, pixels: int) -> None:
    if pixels > MAX_PIXELS:
        raise ImageError(_too_large(path))


def _open(path: Path) -> Image.Image:
    with warnings.catch_warnings():
        # Pillow warns at half the size that it refuses.
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        return Image.open(path, formats=_FORMATS)


@functools.cache
def _say_once(path: Path, what: str) -> None:
    log.warning("%s: %s", path, what)


# --- plain images: Pillow -------------------------------------------------------------------------------


def _read_with_pillow(path: Path) -> np.ndarray:  # [H, W, C] uint8, or what 16-bit and float modes hold
    with _open(path) as opened:
        if opened.format == "TIFF" and opened.tag_v2.get(ExifTags.Base.Orientation, 1) >= 5:
            raise ImageError(f"{path} is a {opened.mode} TIFF turned by 90 degrees: convert it.")
        profile = opened.info.get("icc_profile")
        image = ImageOps.exif_transpose(opened)
    if image.mode in ("RGBA", "RGBa", "LA", "La", "PA") or "transparency" in image.info:
        _say_once(path, "the alpha channel is dropped")
    for mode in _TO_PLAIN.get(image.mode, ()):
        image = image.convert(mode)
    pixels = np.asarray(image)
    pixels = pixels[..., None] if pixels.ndim == 2 else pixels
    if profile:
        pixels = _to_srgb(path, pixels, profile)
    if pixels.shape[2] == 4:  # CMYK without a profile that fits
        pixels = np.asarray(image.convert("RGB"))
    return pixels


_TO_PLAIN = {
    "1": ("L",),
    "LA": ("L",),
    "La": ("LA", "L"),
    "P": ("RGBA", "RGB"),  # straight to RGB, Pillow warns where a palette has transparent entries
    "PA": ("RGBA", "RGB"),
    "RGBA": ("RGB",),
    "RGBa": ("RGBA", "RGB"),
    "RGBX": ("RGB",),
    "YCbCr": ("RGB",),
    "LAB": ("RGB",),
}
"""The conversions, in order, that lead from Pillow's other modes to grey or RGB pixels."""


def _orientation(image: Image.Image) -> int:
    # Not image.getexif(): for a PNG without EXIF data that decodes the whole file.
    return Image.Image.getexif(image).get(ExifTags.Base.Orientation, 1)


def _to_srgb(path: Path, pixels: np.ndarray, profile: bytes) -> np.ndarray:  # [H, W, 1, 3 or 4] -> same or 3
    """Convert 8- or 16-bit pixels from their ICC profile; a profile that does not fit them is ignored."""
    kind = {1: (b"GRAY", "gray"), 3: (b"RGB ", "rgb"), 4: (b"CMYK", "cmyk")}.get(pixels.shape[2])
    if kind is None or profile[16:20] != kind[0]:
        _say_once(path, "its colour profile does not fit its pixels and is ignored")
        return pixels
    try:
        if "sRGB" in ImageCms.getProfileDescription(ImageCms.ImageCmsProfile(io.BytesIO(profile))):
            return pixels  # what it is already, without the rounding of a conversion
        rgb = imagecodecs.cms_transform(
            np.ascontiguousarray(pixels),
            profile,
            imagecodecs.cms_profile("srgb"),
            colorspace=kind[1],
            outcolorspace="rgb",
        )
    except Exception as error:
        _say_once(path, f"its colour profile is ignored ({error})")
        return pixels
    return rgb[..., 1:2] if pixels.shape[2] == 1 else rgb


# --- 16-bit PNG: imagecodecs ----------------------------------------------------------------------------


def _is_deep_png(path: Path) -> bool:
    with path.open("rb") as file:
        header = file.read(25)
    return header[:8] == b"\x89PNG\r\n\x1a\n" and header[24:25] == b"\x10"


def _read_deep_png(path: Path) -> np.ndarray:  # [H, W, 1 or 3] uint16
    with _open(path) as image:  # checks the size, and knows about metadata
        profile, orientation = image.info.get("icc_profile"), _orientation(image)
    pixels = imagecodecs.png_decode(path.read_bytes())
    pixels = pixels[..., None] if pixels.ndim == 2 else pixels
    if pixels.shape[2] in (2, 4):
        _say_once(path, "the alpha channel is dropped")
        pixels = pixels[..., :-1]
    if profile:
        pixels = _to_srgb(path, pixels, profile)
    return _turn(pixels, orientation)


def _turn(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Apply an EXIF orientation, 1 to 8, to [H, W, C]."""
    if orientation >= 5:
        pixels = pixels.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return pixels


# --- grey, RGB and multispectral TIFF: tifffile ---------------------------------------------------------


def _is_grey_or_rgb_tiff(path: Path) -> bool:
    with path.open("rb") as file:
        magic = file.read(4)
    if magic not in _TIFF_MAGIC:
        return False
    with tifffile.TiffFile(path) as tiff:
        page = tiff.pages.first
        return page.photometric in _GREY_OR_RGB and page.bitspersample > 1


def _tiff_orientation(page: tifffile.TiffPage) -> int:
    tag = page.tags.get("Orientation")
    return int(tag.value) if tag else 1


def _read_tiff(path: Path) -> np.ndarray:  # [H, W, C] uint8, uint16 or float
    with tifffile.TiffFile(path) as tiff:
        page = tiff.pages.first
        _check_pixels(path, page.imagelength * page.imagewidth)
        if page.bitspersample not in (8, 16, 32, 64):
            raise ImageError(f"{path} has {page.bitspersample} bits per value: convert it to 8 or 16.")
        pixels = page.asarray()
        match page.axes:
            case "YX":
                pixels = pixels[..., None]
            case "SYX":
                pixels = np.moveaxis(pixels, 0, 2)
            case "YXS":
                pass
            case axes:
                raise ImageError(f"{path} has the axes {axes} where one image is needed: convert it.")
        if any(sample in _ALPHA_SAMPLES for sample in page.extrasamples[-1:]):
            _say_once(path, "the alpha channel is dropped")
            pixels = pixels[..., :-1]
        if not 1 <= pixels.shape[2] <= MAX_CHANNELS:
            raise ImageError(f"{path} has {pixels.shape[2]} channels where at most {MAX_CHANNELS} are read.")
        if (profile := page.iccprofile) and pixels.dtype.kind == "u":
            pixels = _to_srgb(path, pixels, profile)
        return _turn(pixels, _tiff_orientation(page))
