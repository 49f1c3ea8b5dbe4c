"""Decoding grey, RGB and multi-channel TIFF (8 or 16 bits, floats; samples or pages) with tifffile.

Pillow corrupts uncompressed TIFF files that are rotated by 90 degrees, and files with more than 8 bits or 4
channels. `pillow_reader` decodes the other kinds (palettes, CMYK, YCbCr, one bit).
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import tifffile

from ..attachments import Attachments, resolution, tiff_exif
from ..encoding import Encoding
from ..image_file import UNIT, Alpha, ImageFile, Model, Samples, full_range
from ..limits import ImageError, check_size
from ..reading import Reading
from .pillow_file import describe

tifffile.logger().setLevel("CRITICAL")  # we report a file's faults in one sentence

Page = tifffile.TiffPage | tifffile.TiffFrame

_GREY_OR_RGB = (tifffile.PHOTOMETRIC.MINISBLACK, tifffile.PHOTOMETRIC.RGB)
_OME_FILE = re.compile(r'FileName\s*=\s*"([^"]*)"')


def open_file(path: Path, reading: Reading) -> ImageFile:
    """Describe a TIFF file. Raises ImageError and tifffile's errors."""
    with tifffile.TiffFile(path, _multifile=False) as tiff:
        page = tiff.pages.first
        check_size(path, page.imagelength, page.imagewidth)
        if page.photometric not in _GREY_OR_RGB or page.bitspersample < 8:
            return describe(path, "TIFF", "TIFF", reading)
        # An OME description may name other files, anywhere; only this one is read.
        if tiff.is_ome and len(set(_OME_FILE.findall(tiff.ome_metadata or ""))) > 1:
            raise ImageError(f"{path} is spread over several files: store its channels in one.")
        pages = _channel_pages(tiff)
        notes: tuple[str, ...] = ()
        if len(tiff.series[0].pages) > len(pages):
            notes = (f"the first of its {len(tiff.series[0].pages)} pages is read",)
        alpha = {1: Alpha.ASSOCIATED, 2: Alpha.STRAIGHT}.get(
            page.extrasamples[-1:][0] if page.extrasamples else 0, Alpha.NONE
        )
        channels = len(pages) * page.samplesperpixel - (alpha != Alpha.NONE)
        floating = page.sampleformat == tifffile.SAMPLEFORMAT.IEEEFP
        integers = page.sampleformat == tifffile.SAMPLEFORMAT.UINT and page.bitspersample <= 16
        levels = UNIT if floating else full_range(page.bitspersample) if integers else None
        rgb = page.photometric == tifffile.PHOTOMETRIC.RGB and channels == 3
        return ImageFile(
            path=path,
            format="TIFF",
            height=page.imagelength,
            width=page.imagewidth,
            model=Model.GREY if channels == 1 else Model.RGB if rgb else Model.CHANNELS,
            channels=channels,
            alpha=alpha,
            bits=page.bitspersample,
            floating=floating,
            levels=levels,
            encoding=Encoding(page.iccprofile or None),
            orientation=_orientation(page),
            notes=notes,
            decode=lambda: _decode(path),
            attachments=lambda: _attachments(path),
        )


def _decode(path: Path) -> Samples:
    with tifffile.TiffFile(path, _multifile=False) as tiff:
        pages = _channel_pages(tiff)
        if _is_cut_short(tiff, pages):
            raise ImageError(f"{path} ends before its pixels do: replace or remove it.")
        return Samples(np.concatenate([_page_pixels(path, page) for page in pages], axis=2))


def _attachments(path: Path) -> Attachments:
    with tifffile.TiffFile(path, _multifile=False) as tiff:
        exif = tiff_exif(tiff, tiff.pages.first)
    return Attachments(exif.tobytes().removeprefix(b"Exif\0\0"), dpi=resolution({}, exif))


def _channel_pages(tiff: tifffile.TiffFile) -> list[Page]:
    """Return the pages that are channels of one image, as microscopes store them, or else the first page."""
    series = tiff.series[0]
    if series.axes == "CYX" and len(series.pages) == series.shape[0]:
        pages = [page for page in series.pages if page is not None]
        if len(pages) < len(series.pages):
            raise ValueError("a page of it is missing")
        return pages
    return [tiff.pages.first]


def _is_cut_short(tiff: tifffile.TiffFile, pages: list[Page]) -> bool:
    """Whether pixels or a further page lie beyond the end of the file; decoders do not notice either."""
    tiff.pages.get(len(tiff.pages) - 1)
    if (next_page := tiff.pages.next_page_offset) is None:
        return True
    tiff.filehandle.seek(next_page)
    another_page = any(tiff.filehandle.read(tiff.tiff.offsetsize))
    ends = (
        offset + count
        for page in pages
        for offset, count in zip(page.dataoffsets, page.databytecounts, strict=False)
    )
    return another_page or max(ends) > tiff.filehandle.size


def _page_pixels(path: Path, page: Page) -> np.ndarray:  # [H, W, C]
    pixels = page.asarray()
    match page.axes:
        case "YX":
            return pixels[..., None]
        case "SYX":
            return np.moveaxis(pixels, 0, 2)
        case "YXS":
            return pixels
        case axes:
            raise ImageError(f"{path} has the axes {axes}, but one image is needed: convert it.")


def _orientation(page: tifffile.TiffPage) -> int:
    tag = page.tags.get("Orientation")
    return int(tag.value) if tag else 1
