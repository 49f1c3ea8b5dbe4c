"""Reading image files of all formats as float32 sRGB values in [0, 1].

`pillow_reader` and `tiff_reader` decode the formats; this module does the rest, common to all of them.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import logging
import os
import stat
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from .pillow_reader import plain_size, read_plain
from .pixels import MAX_CHANNELS, ImageError, too_large, turn
from .tiff_reader import is_grey_or_rgb_tiff, read_tiff, tiff_size

__all__ = [
    "MAX_CHANNELS",
    "DecodedImage",
    "ImageError",
    "decode_image",
    "image_size",
    "read_image",
    "read_rgb",
    "turn",
]


_TRANSIENT = frozenset({errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.EMFILE, errno.ENFILE, errno.EAGAIN})
"""Errors of the machine or network rather than the image; raised as OSError, so that callers can retry."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class DecodedImage:
    """The pixels of an image, and notes on them for the user."""

    pixels: np.ndarray
    """[H, W, C] float32 sRGB values in [0, 1], C = 1 (grey), 3 (RGB) or up to 8."""
    notes: tuple[str, ...]
    """Such as 'the alpha channel is dropped'; mostly empty."""


def image_size(path: str | Path) -> tuple[int, int]:
    """Return the (height, width) that `read_image` will return, from the file's header.

    Raises as `decode_image` does.
    """
    path = Path(path)
    with _one_sentence(path):
        _check_file(path)
        return tiff_size(path) if is_grey_or_rgb_tiff(path) else plain_size(path)


def decode_image(path: str | Path) -> DecodedImage:
    """Decode an image file of any supported format.

    Palettes and CMYK become RGB, an ICC profile is converted to sRGB, integers of 8 or 16 bits are divided by
    their largest value, the EXIF orientation is applied, an alpha channel is dropped. Of several
    pages or frames only the first is read, unless the pages are the channels of one image.

    Raises ImageError, in one sentence naming the file, if it cannot be read, is too large, or holds numbers
    for which the value of white is unknown; OSError after a transient error of the disk or the network.
    """
    path = Path(path)
    notes: list[str] = []
    with _one_sentence(path):
        _check_file(path)
        read = read_tiff if is_grey_or_rgb_tiff(path) else read_plain
        pixels = _to_floats(path, read(path, notes.append))
    return DecodedImage(pixels, tuple(notes))


def read_image(path: str | Path) -> np.ndarray:
    """Read an image as `decode_image` does; its notes are logged, once per file.

    Returns [H, W, C] float32 sRGB values in [0, 1], C = 1 (grey), 3 (RGB) or up to 8. Raises as
    `decode_image` does.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "grey.png"
    >>> Image.new("L", (3, 2), 51).save(path)
    >>> read_image(path).shape, float(read_image(path)[0, 0, 0])
    ((2, 3, 1), 0.20000000298023224)
    """
    decoded = decode_image(path)
    for note in decoded.notes:
        _log_once(str(path), note)
    return decoded.pixels


def read_rgb(path: str | Path) -> np.ndarray:
    """Read an image as [H, W, 3]; grey is repeated. Raises as `decode_image`, and for more channels."""
    pixels = read_image(path)
    if pixels.shape[2] == 1:
        return np.repeat(pixels, 3, axis=2)
    if pixels.shape[2] != 3:
        raise ImageError(f"{path} has {pixels.shape[2]} channels, but grey or RGB is needed: convert it.")
    return pixels


@functools.lru_cache(10_000)
def _log_once(path: str, note: str) -> None:
    log.warning("%s: %s", path, note)


def _check_file(path: Path) -> None:
    """Raise ImageError unless `path` is a regular, non-empty file: others block or mislead a decoder."""
    about = path.stat()
    if stat.S_ISDIR(about.st_mode):
        os.scandir(path).close()  # raises if it may not be read, which is why `list_images` has listed it
        raise ImageError(f"{path} is a folder, not an image.")
    if not stat.S_ISREG(about.st_mode):
        raise ImageError(f"{path} is a pipe, a socket or a device, not a file: remove it.")
    if about.st_size == 0:
        raise ImageError(f"{path} is empty: replace or remove it.")


def _to_floats(path: Path, pixels: np.ndarray) -> np.ndarray:
    if pixels.dtype in (np.uint8, np.uint16):
        return pixels.astype(np.float32) / np.float32(np.iinfo(pixels.dtype).max)
    if pixels.dtype.kind != "f":
        raise ImageError(
            f"{path} holds {pixels.dtype} values, for which the value of white is unknown: "
            "convert it to 8 bits, 16 bits or floats in [0, 1]."
        )
    if not np.isfinite(pixels).all():
        raise ImageError(f"{path} holds values that are not finite numbers: replace them.")
    if pixels.min() < 0 or pixels.max() > 1:
        raise ImageError(
            f"{path} holds floats from {pixels.min():g} to {pixels.max():g}: scale them into [0, 1]."
        )
    return pixels.astype(np.float32)


@contextlib.contextmanager
def _one_sentence(path: Path) -> Iterator[None]:
    """Turn every exception of a decoder into an ImageError naming the file, and suppress its warnings."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except ImageError:
        raise
    except FileNotFoundError as error:
        what = "is a link that leads nowhere" if path.is_symlink() else "does not exist"
        raise ImageError(f"{path} {what}: replace or remove it.") from error
    except PermissionError as error:
        raise ImageError(f"{path} may not be read: check its permissions.") from error
    except UnidentifiedImageError as error:
        raise ImageError(
            f"{path} is not a PNG, JPEG, TIFF, BMP, WebP or JPEG 2000 image: remove or convert it."
        ) from error
    except Image.DecompressionBombError as error:
        raise too_large(path) from error
    except MemoryError as error:
        raise ImageError(f"{path} does not fit into memory: cut it into smaller images.") from error
    except Exception as error:  # decoders raise many types
        number = error.errno if isinstance(error, OSError) else None
        if number in _TRANSIENT:
            raise OSError(number, os.strerror(number), str(path)) from error
        if number == errno.ELOOP:
            raise ImageError(f"{path} is a link that leads back to itself: remove it.") from error
        reason = " ".join(str(error).split()).rstrip(".") or type(error).__name__
        raise ImageError(f"{path} cannot be decoded ({reason}): replace or remove it.") from error
