"""JPEG (ITU-T T.81), and JPEG-LS (T.87)."""

from __future__ import annotations

import functools
from pathlib import Path

import imagecodecs
import numpy as np
from PIL import ExifTags, Image

from ..attachments import exif_orientation
from ..encoding import SRGB, Encoding
from ..image_file import ImageFile, Levels, Model, Samples, full_range
from ..limits import ImageError, check_held, check_size, ends_early
from ..reading import Reading, no_such_slice
from .jpeg_header import Header, is_whole, read_header
from .pillow_file import open_pillow

ADOBE_RGB = Encoding(
    transfer=563 / 256,
    primaries=(0.3127, 0.3290, 0.64, 0.33, 0.21, 0.71, 0.15, 0.06),
    said_by="its EXIF (Adobe RGB)",
)
"""Adobe RGB (1998), 4.3; cameras say it by EXIF alone (DCF 2.0, 7.3.2: "R03")."""

_EOI = b"\xff\xd9"
_LOSSLESS, _JPEG_LS = 0xC3, 0xF7
_SEQUENTIAL = {0xC0, 0xC1, 0xC2, 0xC9, 0xCA}
"""Baseline, extended, progressive; the last two with arithmetic coding."""
_MODELS = {1: Model.GREY, 3: Model.RGB, 4: Model.CMYK}
_UNCALIBRATED, _ADOBE_RGB = 0xFFFF, 2  # ColorSpace; the second is not of the standard
_INTEROP_INDEX = 1


def open_file(path: Path, reading: Reading) -> ImageFile:
    """Describe a JPEG or JPEG-LS file. Raises ImageError.

    Of an MPO file, the other images are previews or the other eye, and of a photograph with a gain map, that
    map: the first image is read.
    """
    header = read_header(path)
    _check(path, header, reading)
    model = _MODELS[len(header.components)]
    levels = full_range(header.bits)
    notes: list[str] = []
    if model == Model.CMYK:
        # Adobe stores inks as the light that they leave; Pillow turns all round.
        levels = full_range(8) if header.bits == 8 else Levels(levels.white, levels.black)
        if header.adobe is None:
            notes.append(
                "it does not say how its inks are stored: 0 is taken for full ink, as Adobe stores them"
            )
    if header.frame == _LOSSLESS and model == Model.RGB and header.adobe is None and header.density:
        notes.append("its JFIF header says YCbCr, which lossless JPEG seldom holds: it is taken for RGB")
    return ImageFile(
        path=path,
        format="JPEG-LS" if header.frame == _JPEG_LS else "JPEG",
        height=header.height,
        width=header.width,
        model=model,
        channels=len(header.components),
        bits=header.bits,
        levels=levels,
        encoding=_encoding(header, notes),
        orientation=exif_orientation(header.exif),
        notes=tuple(notes),
        decode=functools.partial(_decode, path, header),
        attachments=header.attachments,
    )


def _check(path: Path, header: Header, reading: Reading) -> None:
    """Raise ImageError for what is not read."""
    if header.height == 0 and header.width > 0:
        raise ImageError(f"{path} is a JPEG that says its height only behind its pixels (DNL): convert it.")
    check_size(path, header.height, header.width)
    if reading.slice:
        raise no_such_slice(path, 1, "frames", reading.slice)
    if header.frame not in _SEQUENTIAL | {_LOSSLESS, _JPEG_LS}:
        kind = "lossless with arithmetic coding" if header.frame == 0xCB else "hierarchical"
        raise ImageError(
            f"{path} is a {kind} JPEG (SOF{header.frame - 0xC0}), which is not read: convert it."
        )
    if header.frame in _SEQUENTIAL and header.bits not in (8, 12):
        raise ImageError(f"{path} is a damaged JPEG ({header.bits} bits): replace or remove it.")
    if not 2 <= header.bits <= 16:
        raise ImageError(f"{path} is a damaged JPEG ({header.bits} bits): replace or remove it.")
    held = path.stat().st_size - header.start
    check_held(path, header.height, header.width, header.least_bits // 8, held)
    if header.frame == _JPEG_LS and header.subsampled:
        raise ImageError(f"{path} is JPEG-LS with subsampled components, which is not read: convert it.")
    count = len(header.components)
    if count not in _MODELS or (header.frame == _JPEG_LS and count == 4):
        raise ImageError(f"{path} is a JPEG of {count} components of unknown meaning: convert it.")


def _encoding(header: Header, notes: list[str]) -> Encoding:
    """The ICC profile, or else what EXIF says as cameras do."""
    if header.profile is not None:
        return Encoding(header.profile, said_by="its ICC profile")
    if header.broken_profile:
        notes.append("its colour profile is incomplete and is ignored")
    if len(header.components) < 4:
        if says_adobe_rgb(header.exif):
            return ADOBE_RGB
        if _colour_space(header.exif)[0] == _UNCALIBRATED:
            notes.append("its EXIF says that its colours are not calibrated: they are taken for sRGB")
    return SRGB


def says_adobe_rgb(exif: bytes | None) -> bool:
    """Whether an EXIF says Adobe RGB, as cameras do (DCF 2.0, 7.3.2).

    >>> says_adobe_rgb(None)
    False
    """
    space, index = _colour_space(exif)
    return space == _ADOBE_RGB or (space in (None, _UNCALIBRATED) and index == "R03")


def _colour_space(exif: bytes | None) -> tuple[int | None, str]:
    """ColorSpace and InteroperabilityIndex of an EXIF."""
    if not exif:
        return None, ""
    try:
        read = Image.Exif()
        read.load(exif)
        space = read.get_ifd(ExifTags.IFD.Exif).get(ExifTags.Base.ColorSpace)
        index = read.get_ifd(ExifTags.IFD.Interop).get(_INTEROP_INDEX, "")
    except Exception:  # Pillow raises all kinds of errors for a damaged EXIF
        return None, ""
    text = index.decode("latin-1") if isinstance(index, bytes) else str(index)
    return (space if isinstance(space, int) else None), text.strip("\0 ")


def _decode(path: Path, header: Header) -> Samples:
    if header.bits == 8 and header.frame in _SEQUENTIAL:
        with open_pillow(path, "JPEG") as image:
            pixels = np.asarray(image.convert({1: "L", 3: "RGB", 4: "CMYK"}[len(header.components)]))
        return Samples(pixels.reshape(*pixels.shape[:2], -1))
    content = path.read_bytes()
    if not (_EOI in content[header.start :] if header.frame == _JPEG_LS else is_whole(content, header)):
        raise ends_early(path)
    if header.frame == _JPEG_LS:
        pixels = np.asarray(imagecodecs.jpegls_decode(content))
    elif header.frame == _LOSSLESS and len(header.components) == 3 and header.adobe != 1:
        # RGB also behind a JFIF segment, for which libjpeg-turbo would refuse it: no other lossless exists.
        pixels = np.asarray(imagecodecs.jpeg8_decode(content, colorspace="rgb", outcolorspace="rgb"))
    else:
        pixels = np.asarray(imagecodecs.jpeg8_decode(content))
    return Samples(pixels.reshape(*pixels.shape[:2], -1))
