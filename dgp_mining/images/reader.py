"""Reading image files of all formats as float32 sRGB values in [0, 1], for mining and training.

`stored` reads what is in a file; this module converts it to sRGB and drops alpha.
"""

from __future__ import annotations

import functools
import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .colour import to_srgb
from .failures import one_sentence
from .image_file import turn
from .limits import MAX_CHANNELS, ImageError
from .reading import AS_STORED, Reading
from .stored import open_image, read_stored

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

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class DecodedImage:
    """The pixels of an image, and notes on them for the user."""

    pixels: np.ndarray
    """[H, W, C] float32 sRGB values in [0, 1], C = 1 (grey), 3 (RGB) or up to 8."""
    notes: tuple[str, ...]
    """Such as 'the alpha channel is dropped'; mostly empty."""


def image_size(path: str | Path, reading: Reading = AS_STORED) -> tuple[int, int]:
    """Return the (height, width) that `read_image` will return, from the file's header.

    Raises as `decode_image` does.
    """
    return open_image(path, reading).size


def decode_image(path: str | Path, reading: Reading = AS_STORED) -> DecodedImage:
    """Decode an image file of any supported format.

    Palettes and CMYK become RGB, an ICC profile or other encoding is converted to sRGB, integers are divided
    by the value of white, the EXIF orientation is applied, an alpha channel is dropped. Of several pages or
    frames only one is read, unless the pages are the channels of one image. images/README.md has the rules.

    Raises ImageError, in one sentence naming the file, if it cannot be read, is too large, or holds numbers
    for which the value of white is unknown; OSError after a transient error of the disk or the network.
    """
    path = Path(path)
    stored = read_stored(path, reading)
    notes = list(stored.notes)
    with one_sentence(path):
        pixels = stored.pixels
        if stored.alpha:
            notes.append("the alpha channel is dropped")
            pixels = pixels[..., :-1]
        pixels = to_srgb(pixels, stored.file.model, stored.file.encoding, notes.append, reading.tone)
        if pixels.dtype.kind == "u":
            pixels = pixels.astype(np.float32) / np.float32(np.iinfo(pixels.dtype).max)
    return DecodedImage(pixels, tuple(notes))


def read_image(path: str | Path, reading: Reading = AS_STORED) -> np.ndarray:
    """Read an image as `decode_image` does; its notes are logged, once per file.

    Returns [H, W, C] float32 sRGB values in [0, 1], C = 1 (grey), 3 (RGB) or up to 8. Raises as
    `decode_image` does.

    >>> import tempfile
    >>> from PIL import Image
    >>> path = Path(tempfile.mkdtemp()) / "grey.png"
    >>> Image.new("L", (3, 2), 51).save(path)
    >>> read_image(path).shape, float(read_image(path)[0, 0, 0])
    ((2, 3, 1), 0.20000000298023224)
    """
    decoded = decode_image(path, reading)
    for note in decoded.notes:
        _log_once(str(path), note)
    return decoded.pixels


def read_rgb(path: str | Path, reading: Reading = AS_STORED) -> np.ndarray:
    """Read an image as [H, W, 3]; grey is repeated. Raises as `decode_image`, and for more channels."""
    pixels = read_image(path, reading)
    if pixels.shape[2] == 1:
        return np.repeat(pixels, 3, axis=2)
    if pixels.shape[2] != 3:
        raise ImageError(f"{path} has {pixels.shape[2]} channels, but grey or RGB is needed: convert it.")
    return pixels


@functools.lru_cache(10_000)
def _log_once(path: str, note: str) -> None:
    log.warning("%s: %s", path, note)
