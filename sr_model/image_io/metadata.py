"""The metadata that an upscaled image keeps: how its values become colours, and what is said about it."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from PIL import ExifTags, Image, TiffImagePlugin

from dgp_mining.images.attachments import GeoReference
from dgp_mining.images.encoding import SRGB, Encoding

from .geo_reference import moved
from .xmp import resized_xmp

_TIFF_HEADER = b"II*\0\x08\0\0\0"
_BIGTIFF_HEADER = b"II+\0\x08\0\0\0" + (16).to_bytes(8, "little")
_PROFILE_SPACES = {b"GRAY": 1, b"RGB ": 3}
_KEPT = frozenset(
    {
        *(269, 270, 271, 272, 282, 283, 285, 296, 305, 306, 315, 316, 33432),  # TIFF 6.0
        *(34665, 34853, 40965),  # the directories of EXIF, GPS and interoperability
        *(33434, 33437, 34850, 34855, 36867, 36868, *range(37377, 37387)),  # TIFF/EP: exposure and dates
        *(18246, 18249, *range(40091, 40096)),  # of Windows: rating, title, comment, author, keywords...
    }
)
"""Tags of TIFF's IFD 0 that say something about the photograph. Others describe the layout and the colours of
the pixels in the file (orientation, 274, is applied when reading), or are containers of other metadata."""
_LAYOUT_DESCRIPTIONS = re.compile(
    r"\s*(ImageJ=|SCIFIO=|Aperio |\{\s*\"(shape|axes)\"|<\?xml[^>]*>\s*(<!--.*?-->\s*)?<OME|<OME)",
    re.IGNORECASE | re.DOTALL,
)
"""How descriptions (270) begin that tell microscopes' programs of axes, planes and sizes."""
_LAYOUT_KEYWORDS = re.compile(r"tiff:|png:|exif:(Pixel|Orientation|ExifImage)", re.IGNORECASE)
_PLACES = (0x9214, 0xA214)
"""SubjectArea and SubjectLocation, which count in old pixels."""


@dataclass(frozen=True)
class Metadata:
    """Metadata of an image that upscaling does not change, or only where it counts pixels."""

    profile: bytes | None = None
    """The ICC profile of the pixels."""
    exif: bytes | None = None
    """EXIF as a small TIFF file, without orientation and other tags on the layout of the pixels."""
    dpi: tuple[float, float] | None = None
    """Dots per inch (x, y); they stay, so that a larger image is printed larger."""
    xmp: bytes | None = None
    """The XMP packet."""
    iptc: bytes | None = None
    """IPTC-IIM records."""
    texts: tuple[tuple[str, str], ...] = ()
    """Keywords and texts, as of PNG; a comment of JPEG has the keyword Comment."""
    geo: GeoReference | None = None
    """Where on the earth the pixels lie."""
    encoding: Encoding = SRGB
    """How values become colours where there is no profile."""

    def sized_exif(self, width: int, height: int) -> Image.Exif | None:
        """The EXIF for an image of a new size; None if there is no EXIF."""
        if self.exif is None:
            return None
        exif = loaded_exif(self.exif)
        details = exif.get_ifd(ExifTags.IFD.Exif)
        for tag, extent in (
            (ExifTags.Base.ExifImageWidth, width),
            (ExifTags.Base.ExifImageHeight, height),
        ):
            if tag in details:
                details[tag] = extent
        for place in _PLACES:
            details.pop(place, None)
        return exif

    def sized_xmp(self, width: int, height: int) -> bytes | None:
        """The XMP packet for an image of a new size; None if there is none or it is damaged."""
        return None if self.xmp is None else resized_xmp(self.xmp, width, height)

    def of_part(self, origin: tuple[float, float], factors: tuple[float, float]) -> Metadata:
        """The metadata of a part of the image, from `origin` (x, y) on, scaled by `factors` (x, y)."""
        return self if self.geo is None else replace(self, geo=moved(self.geo, origin, factors))

    def in_srgb(self) -> Metadata:
        """The metadata after the colours were converted to sRGB."""
        exif = self.exif
        if exif is not None:
            loaded = loaded_exif(exif)
            details = loaded.get_ifd(ExifTags.IFD.Exif)
            details.pop(ExifTags.IFD.Interop, None)  # R03 in it says Adobe RGB
            if ExifTags.Base.ColorSpace in details:
                details[ExifTags.Base.ColorSpace] = 1
            exif = loaded.tobytes().removeprefix(b"Exif\0\0")
        xmp = self.xmp and resized_xmp(self.xmp, None, None, to_srgb=True)
        return replace(self, profile=None, encoding=SRGB, exif=exif, xmp=xmp)


def loaded_exif(content: bytes) -> Image.Exif:
    """EXIF from the bytes of a small TIFF file. Raises all kinds of errors if it is damaged."""
    exif = Image.Exif()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow warns of a missing offset that nothing needs
        exif.load(content)
        for directory in (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo):
            if directory in exif:
                exif.get_ifd(directory)
        if ExifTags.IFD.Interop in exif.get_ifd(ExifTags.IFD.Exif):
            exif.get_ifd(ExifTags.IFD.Interop)
    return exif


def portable_exif(exif: Image.Exif) -> bytes | None:
    """An image's EXIF without what it says on the layout of its pixels; None if nothing is left.

    Raises all kinds of errors if it is damaged.
    """
    for tag in set(exif) - _KEPT:
        del exif[tag]
    if describes_layout(exif.get(ExifTags.Base.ImageDescription)):
        del exif[ExifTags.Base.ImageDescription]
    if not len(exif):
        return None
    content = exif.tobytes().removeprefix(b"Exif\0\0")
    loaded_exif(content).tobytes()  # as will be done to write it
    return content


def portable_texts(texts: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """Texts without those in which ImageMagick repeats the size and layout of the file.

    >>> portable_texts([("Title", "Owl"), ("exif:PixelXDimension", "40"), ("tiff:alpha", "none")])
    (('Title', 'Owl'),)
    """
    return tuple((keyword, text) for keyword, text in texts if not _LAYOUT_KEYWORDS.match(keyword))


def describes_layout(description: object) -> bool:
    """Whether the ImageDescription of a TIFF file is a program's, on axes, planes and sizes.

    Such a description must not be passed on.

    >>> describes_layout("ImageJ=1.53\\nslices=7"), describes_layout("ImageJ was used")
    (True, False)
    """
    return isinstance(description, str) and _LAYOUT_DESCRIPTIONS.match(description) is not None


def profile_fits(profile: bytes, channels: int) -> bool:
    """Whether an ICC profile is for grey (channels = 1) or RGB (3) pixels; alpha is not counted."""
    return _PROFILE_SPACES.get(profile[16:20]) == channels


def directory_bytes(directory: Mapping[int, Any], offset: int, *, big: bool) -> bytes:
    """The bytes of a sub-directory of EXIF for a (Big)TIFF file, to be written at `offset`."""
    ifd = TiffImagePlugin.ImageFileDirectory_v2(_BIGTIFF_HEADER if big else _TIFF_HEADER)
    for tag, value in directory.items():
        ifd[tag] = value
    return ifd.tobytes(offset)
