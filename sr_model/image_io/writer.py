"""Writing an enlarged image: what each format can hold, and files that appear whole or not at all."""

from __future__ import annotations

import contextlib
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
    """An image format as a target."""

    name: str
    """As people write it."""
    suffixes: tuple[str, ...]
    """File name endings, the usual one first."""
    dtypes: tuple[str, ...]
    """What a value may be, the deepest last."""
    alpha: bool
    """Whether it holds an alpha channel."""
    streams: bool
    """Whether it is written row by row, never whole in memory."""
    largest: int
    """Pixels a side."""


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
    """The format that a file name's ending asks for. Raises ImageError, naming the file."""
    for form in FORMATS.values():
        if path.suffix.lower() in form.suffixes:
            return form
    endings = ", ".join(form.suffixes[0] for form in FORMATS.values())
    raise ImageError(f"{path} does not end in a format that is written: end it in {endings}.")


@dataclass(frozen=True)
class Target:
    """A file to be written, and what its image will be."""

    path: Path
    """Where to; its ending tells the format."""
    height: int
    """In pixels."""
    width: int
    """In pixels."""
    channels: int
    """1 grey, 2 grey and alpha, 3 RGB, 4 RGB and alpha: what there is, whether or not the format keeps it."""
    dtype: np.dtype
    """Of the values there are."""
    metadata: Metadata
    """What goes with the pixels."""
    quality: int = 95
    """Of JPEG and WebP, 1 to 100."""

    @property
    def written_dtype(self) -> np.dtype:
        """The values' type in the file: as they are, or the deepest that the format has."""
        dtypes = format_of(self.path).dtypes
        return np.dtype(self.dtype if np.dtype(self.dtype).name in dtypes else dtypes[-1])

    @property
    def nbytes(self) -> int:
        """Bytes of the pixels in the file, before compression."""
        return self.height * self.width * self.channels * self.written_dtype.itemsize


def check(target: Target, memory: int) -> None:
    """Raise ImageError, in one sentence saying what it would take, where a target cannot be written.

    Say in a line what its format will not keep.
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
            f"{what}, {2 * target.nbytes / 1e9:,.1f} GB in memory, where {form.name} needs them at once: "
            "write TIFF or PNG, which are written row by row."
        )
    lost = []
    if target.channels in (2, 4) and not form.alpha:
        lost.append("transparency, so the image is laid on white")
    if target.written_dtype != target.dtype:
        lost.append(f"more than {8 * target.written_dtype.itemsize} bits per value")
    if lost:
        log.warning("%s: %s keeps no %s", path, form.name, ", and no ".join(lost))


def write(target: Target, bands: Iterator[np.ndarray]) -> None:
    """Write bands [rows, W, C] of `written_dtype`, from top to bottom. Raises ImageError, naming the file."""
    form = format_of(target.path)
    shape, dtype = (target.height, target.width, target.channels), target.written_dtype
    with written_aside(target.path) as aside:
        if form.name == "PNG":
            write_png(aside, bands, shape, dtype, target.metadata)
        elif form.name == "TIFF":
            write_tiff(aside, bands, shape, dtype, target.metadata)
        else:
            _write_with_pillow(aside, form, np.concatenate(list(bands)), target)


@contextlib.contextmanager
def written_aside(path: Path) -> Iterator[Path]:
    """`atomic_write`, whose errors are ImageErrors."""
    try:
        with atomic_write(path) as aside:
            yield aside
    except OSError as error:
        raise ImageError(f"{path} cannot be written ({error.strerror or error}).") from error


def _write_with_pillow(aside: Path, form: Format, pixels: np.ndarray, target: Target) -> None:
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
    image.save(aside, form.name, quality=target.quality, **{k: v for k, v in kept.items() if v}, **more)
