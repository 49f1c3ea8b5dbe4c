"""Writing an upscaled image atomically, and what each file format can hold."""

from __future__ import annotations

import io
import logging
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import ExifTags, Image

from dgp_mining.images.reader import ImageError
from dgp_mining.machine import amount
from splat2d.atomic_write import atomic_write

from .colours import Statement, statement
from .jpeg_segments import (
    MOST_BYTES,
    comment_segment,
    iptc_segment,
    metadata_segments,
    with_segments,
    xmp_segment,
)
from .metadata import Metadata
from .png_writer import write_png
from .tiff_writer import write_tiff

log = logging.getLogger(__name__)

_EXIF = b"Exif\0\0"
_INCH = 2  # EXIF ResolutionUnit


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
    keeps: frozenset[str] = frozenset()
    """Which of IPTC, texts and georeference it can hold; all hold profile, EXIF, XMP and resolution."""


FORMATS = {
    form.name.lower(): form
    for form in (
        Format(
            "PNG", (".png",), ("uint8", "uint16"), True, True, (1 << 31) - 1, frozenset({"IPTC", "texts"})
        ),
        Format("JPEG", (".jpg", ".jpeg"), ("uint8",), False, False, 65_500, frozenset({"IPTC"})),
        Format("WebP", (".webp",), ("uint8",), True, False, 16_383),
        Format(
            "TIFF",
            (".tif", ".tiff"),
            ("uint8", "uint16", "float32"),
            True,
            True,
            (1 << 32) - 1,
            frozenset({"IPTC", "georeference"}),
        ),
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
    """What is kept beyond the pixels."""
    quality: int = 95
    """Quality of JPEG and WebP, 1 to 100."""

    @property
    def written_dtype(self) -> np.dtype:
        """The type of the values in the file: the image's, or the deepest of a format that lacks it."""
        dtypes = format_of(self.path).dtypes
        return np.dtype(self.dtype if np.dtype(self.dtype).name in dtypes else dtypes[-1])

    @property
    def colours(self) -> Statement | None:
        """What the file will say of its colours; None if it cannot say what `metadata` does of them."""
        about, form = self.metadata, format_of(self.path)
        return statement(about.profile, about.encoding, form.name, self.channels)

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
            f"{what} and take up to {amount(target.nbytes)} of disk, of which {amount(free)} are free: "
            "ask for fewer, or write elsewhere."
        )
    if not form.streams and 2 * target.nbytes > memory:
        raise ImageError(
            f"{what}; writing {form.name} takes {amount(2 * target.nbytes)} of memory for them: write "
            "TIFF or PNG, which are written row by row."
        )
    lost = _lost(target, form)
    if lost:
        log.warning("%s: %s keeps no %s", path, form.name, ", and no ".join(lost))


def _lost(target: Target, form: Format) -> list[str]:
    """What a format cannot keep of an image, in words that follow "no"."""
    lost, about = [], target.metadata
    if target.channels in (2, 4) and not form.alpha:
        lost.append("transparency, so the image is laid on white")
    if target.written_dtype != target.dtype:
        lost.append(f"more than {8 * target.written_dtype.itemsize} bits per value")
    if about.geo and "georeference" not in form.keeps:
        lost.append("georeference")
    if about.iptc and "IPTC" not in form.keeps:
        lost.append("IPTC")
    keywords = [keyword for keyword, _ in about.texts if not (form.name == "JPEG" and _is_comment(keyword))]
    if keywords and "texts" not in form.keeps:
        lost.append(f"texts ({', '.join(dict.fromkeys(keywords))})")
    if form.name == "JPEG":
        lost += [f"{what} of more than {MOST_BYTES:,} bytes" for what in _too_long(about)]
    return lost


def _too_long(about: Metadata) -> list[str]:
    """What does not fit into a segment of JPEG."""
    lengths = {
        "EXIF": len(about.exif or b"") + len(_EXIF),
        "XMP": len(xmp_segment(about.xmp or b"")),
        "IPTC": len(iptc_segment(about.iptc or b"")),
        "comment": max((len(comment_segment(text)) for text in _comments(about)), default=0),
    }
    return [what for what, length in lengths.items() if length > MOST_BYTES]


def _comments(about: Metadata) -> list[str]:
    return [text for keyword, text in about.texts if _is_comment(keyword)]


def _is_comment(keyword: str) -> bool:
    return keyword.lower() == "comment"


def write_image(target: Target, bands: Iterator[np.ndarray]) -> None:
    """Write an image from bands [rows, W, C] of `written_dtype`, from top to bottom, atomically.

    Raises ImageError, naming the file, if it cannot be written.
    """
    try:
        with atomic_write(target.path) as partial, partial.open("w+b") as file:
            write_into(file, target, bands)
    except OSError as error:
        raise ImageError(f"{target.path} cannot be written ({error.strerror or error}).") from error


def write_into(file: BinaryIO, target: Target, bands: Iterator[np.ndarray]) -> None:
    """Write an image as `write_image` does into an empty file that can also be read."""
    form = format_of(target.path)
    shape, dtype = (target.height, target.width, target.channels), target.written_dtype
    colours = target.colours or Statement()
    if form.name == "PNG":
        write_png(file, bands, shape, dtype, target.metadata, colours)
    elif form.name == "TIFF":
        write_tiff(file, bands, shape, dtype, target.metadata, colours.profile)
    else:
        _write_with_pillow(file, form, np.concatenate(list(bands)), target)


def _write_with_pillow(file: BinaryIO, form: Format, pixels: np.ndarray, target: Target) -> None:
    image = Image.fromarray(pixels.squeeze(2) if target.channels == 1 else pixels)
    if target.channels in (2, 4) and not form.alpha:
        white = Image.new("RGBA", image.size, "white")
        white.alpha_composite(image.convert("RGBA"))
        image = white.convert("L" if target.channels == 2 else "RGB")
    about, size = target.metadata, (target.width, target.height)
    exif, xmp = about.sized_exif(*size), about.sized_xmp(*size)
    if form.name == "WebP" and about.dpi:
        exif = _with_resolution(exif or Image.Exif(), about.dpi)
    if form.name == "JPEG" and "EXIF" in _too_long(about):
        exif = None
    kept = {
        "icc_profile": target.colours and target.colours.profile,
        "exif": exif.tobytes() if exif else b"",
        "dpi": about.dpi,
        "xmp": xmp if form.name == "WebP" else None,
    }
    more = {"subsampling": 0} if form.name == "JPEG" else {"exact": True}  # colour at full resolution
    content = io.BytesIO()
    image.save(content, form.name, quality=target.quality, **{k: v for k, v in kept.items() if v}, **more)
    written = content.getvalue()
    if form.name == "JPEG":
        written = with_segments(written, metadata_segments(xmp, about.iptc, _comments(about)))
    file.write(written)


def _with_resolution(exif: Image.Exif, dpi: tuple[float, float]) -> Image.Exif:
    """EXIF with the resolution, which WebP has no other place for."""
    exif[ExifTags.Base.XResolution], exif[ExifTags.Base.YResolution] = dpi
    exif[ExifTags.Base.ResolutionUnit] = _INCH
    return exif
