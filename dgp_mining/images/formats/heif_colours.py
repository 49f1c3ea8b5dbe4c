"""What AVIF and HEIF files say about colours and beyond the pixels, in the terms of all formats."""

from __future__ import annotations

from pathlib import Path

from ..attachments import Attachments
from ..encoding import SRGB, Encoding
from ..h273 import encoding_of, is_known
from ..limits import ImageError
from .heif_items import Picture, exif_of, read_parts


def encoding(path: Path, picture: Picture) -> Encoding:
    """How values become colours. Raises ImageError if they do in a way that is not read."""
    if picture.profile is not None:
        return Encoding(picture.profile, said_by="its ICC profile")
    if picture.codes is None:
        return SRGB
    if not is_known(picture.codes):
        raise ImageError(
            f"{path} has colours of kind {picture.codes[0]}/{picture.codes[1]} (ITU-T H.273), which are not "
            "read: convert it to sRGB."
        )
    return encoding_of(picture.codes, "its nclx box") or SRGB


def notes(picture: Picture) -> tuple[str, ...]:
    """What is left out, for the user."""
    said = []
    if picture.pictures > 1:
        said.append(f"the primary of its {picture.pictures} pictures is read")
    if picture.gain_map:
        said.append("its gain map is left out")
    return tuple(said)


def attachments(path: Path, picture: Picture) -> Attachments:
    """What the file holds beyond the pixels; its EXIF orientation is for information only (annex A.2.1)."""
    exif = exif_of(read_parts(path, picture.exif)) if picture.exif else None
    return Attachments(exif=exif, xmp=read_parts(path, picture.xmp) or None)
