"""Decoding grey, RGB and multi-channel TIFF (8 or 16 bits, floats; samples or pages) with tifffile.

Pillow corrupts uncompressed TIFF files that are rotated by 90 degrees, and files with more than 8 bits or 4
channels. `pillow_reader` decodes the other kinds (palettes, CMYK, YCbCr, one bit).
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import tifffile

from .pixels import MAX_CHANNELS, ImageError, Notify, check_depth, check_size, to_srgb, turn, without_alpha

tifffile.logger().setLevel("CRITICAL")  # we report a file's faults in one sentence

Page = tifffile.TiffPage | tifffile.TiffFrame

_MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")  # classic and big, in either byte order
_GREY_OR_RGB = (tifffile.PHOTOMETRIC.MINISBLACK, tifffile.PHOTOMETRIC.RGB)
_OME_FILE = re.compile(r'FileName\s*=\s*"([^"]*)"')
_ALPHA_SAMPLES = (1, 2)  # TIFF ExtraSamples: associated and unassociated alpha


def is_grey_or_rgb_tiff(path: Path) -> bool:
    """Whether the file is a TIFF that this module decodes."""
    with path.open("rb") as file:
        magic = file.read(4)
    if magic not in _MAGIC:
        return False
    with tifffile.TiffFile(path) as tiff:
        page = tiff.pages.first
        return page.photometric in _GREY_OR_RGB and page.bitspersample > 1


def tiff_size(path: Path) -> tuple[int, int]:
    """Return the (height, width) that `read_tiff` will return, from the header. Raises ImageError."""
    with tifffile.TiffFile(path) as tiff:
        page = tiff.pages.first
        check_size(path, page.imagelength, page.imagewidth)
        turned = _orientation(page) >= 5
        return (page.imagewidth, page.imagelength) if turned else (page.imagelength, page.imagewidth)


def read_tiff(path: Path, notify: Notify) -> np.ndarray:  # [H, W, C] uint8, uint16 or float
    """Decode a TIFF of 1 to MAX_CHANNELS channels. Raises ImageError, and tifffile's errors."""
    with tifffile.TiffFile(path, _multifile=False) as tiff:
        page = tiff.pages.first
        check_size(path, page.imagelength, page.imagewidth)
        # An OME description may name other files, anywhere; only this one is read.
        if tiff.is_ome and len(set(_OME_FILE.findall(tiff.ome_metadata or ""))) > 1:
            raise ImageError(f"{path} is spread over several files: store its channels in one.")
        pages = _channel_pages(tiff)
        if _is_cut_short(tiff, pages):
            raise ImageError(f"{path} ends before its pixels do: replace or remove it.")
        samples = len(pages) * page.samplesperpixel - _has_alpha(page)
        if samples > MAX_CHANNELS:
            raise ImageError(f"{path} has {samples} channels, but at most {MAX_CHANNELS} are read.")
        if page.sampleformat == tifffile.SAMPLEFORMAT.UINT:
            check_depth(path, page.bitspersample)
        if len(tiff.series[0].pages) > len(pages):
            notify(f"the first of its {len(tiff.series[0].pages)} pages is read")
        pixels = np.concatenate([_page_pixels(path, page) for page in pages], axis=2)
        if _has_alpha(page):
            pixels = without_alpha(pixels, notify)
        if page.iccprofile:
            pixels = to_srgb(pixels, page.iccprofile, notify)
        return turn(pixels, _orientation(page))


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


def _has_alpha(page: tifffile.TiffPage) -> bool:
    return any(sample in _ALPHA_SAMPLES for sample in page.extrasamples[-1:])


def _orientation(page: tifffile.TiffPage) -> int:
    tag = page.tags.get("Orientation")
    return int(tag.value) if tag else 1
