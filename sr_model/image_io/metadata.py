"""What travels with an image's pixels from one file to another: colour profile, EXIF, resolution."""

from __future__ import annotations

from dataclasses import dataclass

import tifffile
from PIL import ExifTags, Image, TiffImagePlugin

_TIFF_HEADER = b"II*\0\x08\0\0\0"
_BIGTIFF_HEADER = b"II+\0\x08\0\0\0" + (16).to_bytes(8, "little")
_MOST_DPI = 1e6  # more is damage
_INCH, _CENTIMETRE = 2, 3  # EXIF ResolutionUnit
_PROFILE_SPACES = {b"GRAY": 1, b"RGB ": 3}
_LAYOUT = frozenset(
    {
        *(254, 255, 256, 257, 258, 259, 262, 266, 273, 274, 277, 278, 279, 284, 317, 320, 322, 323, 324, 325),
        *(330, 338, 339, 347, 512, 513, 514, 529, 530, 531, 532, 700, 34377, 34675),
    }
)
"""Tags of TIFF's IFD 0 on how the pixels lay in the old file (orientation, 274, has been applied), and the
containers XMP, Photoshop and ICC."""


@dataclass(frozen=True)
class Metadata:
    """Facts about an image that enlarging it does not change."""

    profile: bytes | None = None
    """ICC profile of the pixels as they are."""
    exif: bytes | None = None
    """EXIF as a little TIFF file, without orientation and whatever else described the old pixels' layout."""
    dpi: tuple[float, float] | None = None
    """Dots per inch (x, y)."""

    def sized_exif(self, width: int, height: int) -> Image.Exif | None:
        """The EXIF with the size of a new image in place of the old one's."""
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


def kept_exif(exif: Image.Exif) -> bytes | None:
    """An image's EXIF without what describes the layout of its old pixels; None where nothing is left."""
    for tag in _LAYOUT & set(exif):
        del exif[tag]
    if not len(exif):
        return None
    return exif.tobytes().removeprefix(b"Exif\0\0")


def tiff_exif(tiff: tifffile.TiffFile) -> Image.Exif:
    """The EXIF of a TIFF or BigTIFF file, which is its first page's tags; usable when the file is closed."""
    exif = Image.Exif()
    exif.bigtiff, exif.endian = tiff.is_bigtiff, tiff.byteorder
    exif.load_from_fp(tiff.filehandle, tiff.pages.first.offset)
    dict(exif.items())  # which reads them
    for directory in (ExifTags.IFD.Exif, ExifTags.IFD.Interop, ExifTags.IFD.GPSInfo):
        exif.get_ifd(directory)
    exif.bigtiff = False  # as it is written
    return exif


def resolution(info: dict, exif: Image.Exif) -> tuple[float, float] | None:
    """Dots per inch (x, y), as Pillow found them or else by the EXIF."""
    unit = {_INCH: 1.0, _CENTIMETRE: 2.54}.get(exif.get(ExifTags.Base.ResolutionUnit))
    x, y = exif.get(ExifTags.Base.XResolution), exif.get(ExifTags.Base.YResolution)
    dpi = info.get("dpi") or ((float(x) * unit, float(y) * unit) if unit and x and y else None)
    return (float(dpi[0]), float(dpi[1])) if dpi and 0 < min(dpi) <= max(dpi) < _MOST_DPI else None


def profile_fits(profile: bytes, channels: int) -> bool:
    """Whether an ICC profile is of grey (1) or RGB (3) pixels, alpha not counted."""
    return _PROFILE_SPACES.get(profile[16:20]) == channels


def directory_bytes(directory: dict, offset: int, *, big: bool) -> bytes:
    """A sub-directory of EXIF as it stands in a (Big)TIFF file at `offset`."""
    ifd = TiffImagePlugin.ImageFileDirectory_v2(_BIGTIFF_HEADER if big else _TIFF_HEADER)
    for tag, value in directory.items():
        ifd[tag] = value
    return ifd.tobytes(offset)
