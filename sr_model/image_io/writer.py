"""Writing an upscaled image atomically, and what each file format can hold."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from dgp_mining.images.reader import ImageError
from splat2d.atomic_write import atomic_write

from .metadata import Metadata
from .png_writer import write_png
from .tiff_writer import write_tiff

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Format:
    """An image file format and its limits."""

    name: str
    """Its usual name."""
    suffixes: tuple[str, ...]
    """File name suffixes, the usual one first."""
    dtypes: tuple[str, ...]
    """Types of values that it can hold, the deepest last."""
    alpha: bool
    """Whether it can hold an alpha channel."""
    streams: bool
    """Whether it is written row by row, so that the image need not fit into memory."""
    largest: int
    """The largest number of pixels on a side."""


FORMATS = {
    form.name.lower(): form
    for form in (
        Format("PNG", (".png",), ("uint8", "uint16"), True, True, (1 << 31) - 1),
        Format("JPEG", (".jpg", ".jpeg"), ("uint8",), False, False, 65_500),
        Format("WebP", (".webp",), ("uint8",), True, False, 16_383),
        Format("TIFF", (".tif", ".tiff"), ("uint8", "uint16", "float32"), True, True, (1 << 32) - 1),
    )
}


def format_of(path: Path) -> Format:
    """The format of a file name's suffix. Raises ImageError, naming the file, for an unknown one.

    >>> format_of(Path("a.JPEG")).name
    'JPEG'
    """
    for form in FORMATS.values():
        if path.suffix.lower() in form.suffixes:
            return form
    endings = ", ".join(form.suffixes[0] for form in FORMATS.values())
    raise ImageError(
        f"{path} does not end in the suffix of a format that can be written: end it in {endings}."
    )


@dataclass(frozen=True)
class Target:
    """A file to be written, and the image that it will hold."""

    path: Path
    """The file; its suffix determines the format."""
    height: int
    """In pixels."""
    width: int
    """In pixels."""
    channels: int
    """1 grey, 2 grey and alpha, 3 RGB, 4 RGB and alpha; of the image, not of what the format can keep."""
    dtype: np.dtype
    """The type of the image's values."""
    metadata: Metadata
    """Colour profile, EXIF and resolution."""
    quality: int = 95
    """Quality of JPEG and WebP, 1 to 100."""

    @property
    def written_dtype(self) -> np.dtype:
        """The type of the values in the file: the image's, or the deepest of a format that lacks it."""
        dtypes = format_of(self.path).dtypes
        return np.dtype(self.dtype if np.dtype(self.dtype).name in dtypes else dtypes[-1])

    @property
    def nbytes(self) -> int:
        """Bytes of the pixels in the file before compression."""
        return self.height * self.width * self.channels * self.written_dtype.itemsize


def check_target(target: Target, memory: int) -> None:
    """Raise ImageError, one sentence with sizes and limits, if a target cannot be written in `memory` bytes.

    Otherwise log, in one line, what its format cannot keep.
    """
    form, path = format_of(target.path), target.path
    what = f"{path} would have {target.width:,}x{target.height:,} pixels"
    if max(target.height, target.width) > form.largest:
        others = "" if form.streams else ", or write TIFF"
        raise ImageError(f"{what}, and {form.name} holds {form.largest:,} a side: ask for fewer{others}.")
    free = shutil.disk_usage(path.parent).free
    if target.nbytes > free:
        raise ImageError(
            f"{what} and take up to {target.nbytes / 1e9:,.1f} GB of disk, of which {free / 1e9:,.1f} GB are "
            "free: ask for fewer, or write elsewhere."
        )
    if not form.streams and 2 * target.nbytes > memory:
        raise ImageError(
            f"{what}; writing {form.name} takes {2 * target.nbytes / 1e9:,.1f} GB of memory for them: write "
            "TIFF or PNG, which are written row by row."
        )
    lost = []
    if target.channels in (2, 4) and not form.alpha:
        lost.append("transparency, so the image is laid on white")
    if target.written_dtype != target.dtype:
        lost.append(f"more than {8 * target.written_dtype.itemsize} bits per value")
    if lost:
        log.warning("%s: %s keeps no %s", path, form.name, ", and no ".join(lost))


def write_image(target: Target, bands: Iterator[np.ndarray]) -> None:
    """Write an image from bands [rows, W, C] of `written_dtype`, from top to bottom, atomically.

    Raises ImageError, naming the file, if it cannot be written.
    """
    form = format_of(target.path)
    shape, dtype = (target.height, target.width, target.channels), target.written_dtype
    try:
        with atomic_write(target.path) as partial:
            if form.name == "PNG":
                write_png(partial, bands, shape, dtype, target.metadata)
            elif form.name == "TIFF":
                write_tiff(partial, bands, shape, dtype, target.metadata)
            else:
                _write_with_pillow(partial, form, np.concatenate(list(bands)), target)
    except OSError as error:
        raise ImageError(f"{target.path} cannot be written ({error.strerror or error}).") from error


def _write_with_pillow(path: Path, form: Format, pixels: np.ndarray, target: Target) -> None:
    image = Image.fromarray(pixels.squeeze(2) if target.channels == 1 else pixels)
    if target.channels in (2, 4) and not form.alpha:
        white = Image.new("RGBA", image.size, "white")
        white.alpha_composite(image.convert("RGBA"))
        image = white.convert("L" if target.channels == 2 else "RGB")
    exif = target.metadata.sized_exif(target.width, target.height)
    kept = {
        "icc_profile": target.metadata.profile,
        "exif": exif.tobytes() if exif else b"",
        "dpi": target.metadata.dpi,
    }
    more = {"subsampling": 0} if form.name == "JPEG" else {"exact": True}  # colour at full resolution
    image.save(path, form.name, quality=target.quality, **{k: v for k, v in kept.items() if v}, **more)
