"""What a file holds about its image beyond the pixels, as it is stored there."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import IO, Any, cast

import tifffile
from PIL import ExifTags, Image

_MAX_DPI = 1e6  # larger values are damage
_UNITS: Mapping[Any, float] = {2: 1.0, 3: 2.54}  # EXIF ResolutionUnit: inch, centimetre


@dataclass(frozen=True)
class GeoReference:
    """Where on the earth the pixels of a GeoTIFF lie (GeoTIFF 1.1, 7): its tags as they are stored."""

    scale: tuple[float, ...] = ()
    """ModelPixelScaleTag, 33550: (x, y, z)."""
    tiepoints: tuple[float, ...] = ()
    """ModelTiepointTag, 33922: (i, j, k, x, y, z) for each tie point."""
    transform: tuple[float, ...] = ()
    """ModelTransformationTag, 34264: a 4x4 matrix, row by row."""
    keys: tuple[int, ...] = ()
    """GeoKeyDirectoryTag, 34735."""
    doubles: tuple[float, ...] = ()
    """GeoDoubleParamsTag, 34736."""
    ascii: str = ""
    """GeoAsciiParamsTag, 34737."""


@dataclass(frozen=True)
class Attachments:
    """What a file holds about its image beyond the pixels."""

    exif: bytes | None = None
    """EXIF as a small TIFF file (without "Exif\\0\\0"); orientation and layout tags may be in it."""
    xmp: bytes | None = None
    """The XMP packet."""
    iptc: bytes | None = None
    """IPTC-IIM records."""
    texts: tuple[tuple[str, str], ...] = ()
    """Keywords and texts, as of PNG's tEXt, zTXt and iTXt."""
    dpi: tuple[float, float] | None = None
    """Dots per inch (x, y)."""
    geo: GeoReference | None = None
    """Where on the earth the pixels lie."""
    problem: str = ""
    """What of it is damaged, for the user: "its EXIF is damaged"."""


def pillow_attachments(image: Image.Image) -> Attachments:
    """Return what Pillow has read beyond the pixels."""
    try:
        exif = Image.Image.getexif(image)  # not of the subclass, which may decode the whole file
        dict(exif.items())
        content = exif.tobytes().removeprefix(b"Exif\0\0") if len(exif) else None
        dpi = resolution(image.info, exif)
    except Exception:  # Pillow reads much that it cannot write, and then raises all kinds of errors
        return Attachments(problem="its EXIF is damaged")
    xmp = image.info.get("xmp")
    return Attachments(content, xmp if isinstance(xmp, bytes) else None, dpi=dpi)


def exif_attachments(
    exif: bytes | None,
    dpi: tuple[float, float] | None,
    *,
    xmp: bytes | None = None,
    iptc: bytes | None = None,
    texts: tuple[tuple[str, str], ...] = (),
) -> Attachments:
    """Return attachments with an EXIF, which is checked, and the resolution: `dpi`, or else that of the EXIF.

    >>> exif_attachments(b"no EXIF", None).problem
    'its EXIF is damaged'
    """
    dpi = _sound(dpi)
    if not exif:
        return Attachments(None, xmp, iptc, texts, dpi)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of Pillow, on entries that it passes over
            read = Image.Exif()
            read.load(exif)
            dict(read.items())
            read.tobytes()
        return Attachments(exif, xmp, iptc, texts, dpi or resolution({}, read))
    except Exception:  # Pillow reads much that it cannot write, and then raises all kinds of errors
        return Attachments(None, xmp, iptc, texts, dpi, problem="its EXIF is damaged")


def exif_orientation(exif: bytes | None) -> int:
    """The orientation, 1 to 8, in an EXIF; 1 if it has none, or is damaged.

    >>> exif_orientation(None)
    1
    """
    if not exif:
        return 1
    try:
        read = Image.Exif()
        read.load(exif)
        orientation = read.get(ExifTags.Base.Orientation, 1)
    except Exception:  # as above
        return 1
    return orientation if isinstance(orientation, int) and 1 <= orientation <= 8 else 1


def iptc_records(resources: bytes) -> bytes | None:
    """The IPTC-IIM records among Photoshop's image resources, or the bytes themselves if they are records.

    Adobe Photoshop File Formats, "Image Resource Blocks": 8BIM, number, name, size, content; 0x0404 is IPTC.

    >>> iptc_records(b"8BIM\\4\\4\\0\\0\\0\\0\\0\\3abc\\0")
    b'abc'
    """
    if resources[:1] == b"\x1c":
        return resources
    at = 0
    while resources[at : at + 4] == b"8BIM":
        name = at + 6
        size = name + (resources[name : name + 1] or b"\0")[0] // 2 * 2 + 2  # a length, padded to be even
        start = size + 4
        length = int.from_bytes(resources[size:start])
        if resources[at + 4 : name] == b"\4\4":
            return resources[start : start + length] or None
        at = start + length + length % 2
    return None


def tiff_exif(tiff: tifffile.TiffFile, page: tifffile.TiffPage) -> Image.Exif:
    """The EXIF of a (Big)TIFF file, i.e. the tags of a page; usable after the file is closed."""
    exif = Image.Exif()
    exif.bigtiff, exif.endian = tiff.is_bigtiff, tiff.byteorder
    exif.load_from_fp(cast(IO[bytes], tiff.filehandle), page.offset)
    dict(exif.items())  # reads them
    for directory in (ExifTags.IFD.Exif, ExifTags.IFD.Interop, ExifTags.IFD.GPSInfo):
        exif.get_ifd(directory)
    exif.bigtiff = False  # it will be written as classic TIFF
    return exif


def resolution(info: Mapping[Any, Any], exif: Image.Exif) -> tuple[float, float] | None:
    """Dots per inch (x, y), from Pillow's `info` or else from the EXIF; None if unknown or damaged."""
    unit = _UNITS.get(exif.get(ExifTags.Base.ResolutionUnit))
    x, y = exif.get(ExifTags.Base.XResolution), exif.get(ExifTags.Base.YResolution)
    dpi = info.get("dpi") or ((float(x) * unit, float(y) * unit) if unit and x and y else None)
    return _sound((float(dpi[0]), float(dpi[1]))) if dpi else None


def _sound(dpi: tuple[float, float] | None) -> tuple[float, float] | None:
    """Dots per inch, or None if they are damaged; NaN is."""
    return dpi if dpi and all(0 < dots < _MAX_DPI for dots in dpi) else None
