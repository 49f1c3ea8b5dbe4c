"""The metadata that an upscaled image keeps: colour profile, EXIF and resolution."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from PIL import ExifTags, Image, TiffImagePlugin

_TIFF_HEADER = b"II*\0\x08\0\0\0"
_BIGTIFF_HEADER = b"II+\0\x08\0\0\0" + (16).to_bytes(8, "little")
_PROFILE_SPACES = {b"GRAY": 1, b"RGB ": 3}
_LAYOUT = frozenset(
    {
        *(254, 255, 256, 257, 258, 259, 262, 266, 273, 274, 277, 278, 279, 284, 317, 320, 322, 323, 324, 325),
        *(330, 338, 339, 347, 512, 513, 514, 529, 530, 531, 532, 700, 34377, 34675),
    }
)
"""Tags of TIFF's IFD 0 that describe the layout of pixels in the file (orientation, 274, is applied when
reading), and the containers XMP, Photoshop and ICC."""


@dataclass(frozen=True)
class Metadata:
    """Metadata of an image that upscaling does not change."""

    profile: bytes | None = None
    """The ICC profile of the pixels."""
    exif: bytes | None = None
    """EXIF as a small TIFF file, without orientation and other tags on the layout of the pixels."""
    dpi: tuple[float, float] | None = None
    """Dots per inch (x, y)."""

    def sized_exif(self, width: int, height: int) -> Image.Exif | None:
        """The EXIF for an image of a new size; None if there is no EXIF."""
        if self.exif is None:
            return None
        exif = Image.Exif()
        exif.load(self.exif)
        details = exif.get_ifd(ExifTags.IFD.Exif)
        for tag, extent in (
            (ExifTags.Base.ExifImageWidth, width),
            (ExifTags.Base.ExifImageHeight, height),
        ):
            if tag in details:
                details[tag] = extent
        return exif


def portable_exif(exif: Image.Exif) -> bytes | None:
    """An image's EXIF without the tags on the layout of its pixels; None if nothing is left."""
    for tag in _LAYOUT & set(exif):
        del exif[tag]
    if not len(exif):
        return None
    return exif.tobytes().removeprefix(b"Exif\0\0")


def profile_fits(profile: bytes, channels: int) -> bool:
    """Whether an ICC profile is for grey (channels = 1) or RGB (3) pixels; alpha is not counted."""
    return _PROFILE_SPACES.get(profile[16:20]) == channels


def directory_bytes(directory: Mapping[int, Any], offset: int, *, big: bool) -> bytes:
    """The bytes of a sub-directory of EXIF for a (Big)TIFF file, to be written at `offset`."""
    ifd = TiffImagePlugin.ImageFileDirectory_v2(_BIGTIFF_HEADER if big else _TIFF_HEADER)
    for tag, value in directory.items():
        ifd[tag] = value
    return ifd.tobytes(offset)
