"""What a JPEG 2000 file holds beyond its pixels: EXIF, XMP, IPTC and GeoJP2, in UUID boxes."""

from __future__ import annotations

import io
from pathlib import Path

import tifffile
from PIL import ExifTags, Image

from ..attachments import Attachments, GeoReference
from .iso_boxes import content
from .jpeg2000_header import Header

_EXIF = b"JpgTiffExif->JP2"
_XMP = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
_IPTC = bytes.fromhex("33c7a4d2b81d4723a0baf1a3e097ad38")
_GEO = bytes.fromhex("b14bf8bd083d4b43a5ae8cd7d5a6ce03")


def attachments(path: Path, header: Header) -> Attachments:
    """Return what the file holds beyond its pixels. Raises ValueError and OSError."""
    boxes = _uuids(path, header, (_EXIF, _XMP, _IPTC, _GEO))
    geo, problem = None, ""
    if _GEO in boxes:
        try:
            geo = _geo_reference(boxes[_GEO])
        except Exception:  # a damaged TIFF raises all kinds of errors
            problem = "its georeference is damaged"
    return Attachments(
        exif=boxes[_EXIF].removeprefix(b"Exif\0\0") if _EXIF in boxes else None,
        xmp=boxes.get(_XMP) or _xmp_in_xml(path, header),
        iptc=boxes.get(_IPTC),
        dpi=header.dpi,
        geo=geo,
        problem=problem,
    )


def orientation(path: Path, header: Header) -> int:
    """The orientation in the EXIF, which no part of JPEG 2000 gives a meaning; 1 if there is none."""
    exif = _uuids(path, header, (_EXIF,)).get(_EXIF)
    if exif is None:
        return 1
    try:
        tags = Image.Exif()
        tags.load(exif)
        return int(tags.get(ExifTags.Base.Orientation, 1))
    except Exception:  # damaged EXIF raises all kinds of errors
        return 1


def _xmp_in_xml(path: Path, header: Header) -> bytes | None:
    """The first XML box that is an XMP packet, as some encoders write it."""
    with path.open("rb") as file:
        texts = (content(file, box) for box in header.texts)
        return next((text for text in texts if b"adobe:ns:meta/" in text[:1000]), None)


def _uuids(path: Path, header: Header, wanted: tuple[bytes, ...]) -> dict[bytes, bytes]:
    found: dict[bytes, bytes] = {}
    for identifier, box in header.uuids:
        if identifier in wanted and identifier not in found:
            with path.open("rb") as file:
                found[identifier] = content(file, box)
    return found


def _geo_reference(geotiff: bytes) -> GeoReference:
    """The tags of a one-pixel GeoTIFF (GeoJP2 1.0.3)."""
    with tifffile.TiffFile(io.BytesIO(geotiff)) as tiff:
        tags = tiff.pages.first.tags

        def floats(code: int) -> tuple[float, ...]:
            return tuple(map(float, tags.valueof(code, ())))

        return GeoReference(
            scale=floats(33550),
            tiepoints=floats(33922),
            transform=floats(34264),
            keys=tuple(map(int, tags.valueof(34735, ()))),
            doubles=floats(34736),
            ascii=str(tags.valueof(34737, "")),
        )
