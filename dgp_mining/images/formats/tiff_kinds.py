"""The kinds of TIFF pages that are read, by photometric interpretation, depth and compression."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import cast

import tifffile
from tifffile import COMPRESSION, PHOTOMETRIC, SAMPLEFORMAT

from ..image_file import Model
from ..limits import MAX_CHANNELS, ImageError, check_size

_MAX_SAMPLES = 64
"""Upper limit of samples, colours and others, so that what is left out fits into memory, too."""

COLOURS: Mapping[int, tuple[Model, int]] = {
    PHOTOMETRIC.RGB: (Model.RGB, 3),
    PHOTOMETRIC.PALETTE: (Model.RGB, 1),
    PHOTOMETRIC.SEPARATED: (Model.CMYK, 4),
    PHOTOMETRIC.YCBCR: (Model.RGB, 3),
    PHOTOMETRIC.CIELAB: (Model.LAB, 3),
    PHOTOMETRIC.ICCLAB: (Model.LAB, 3),
    PHOTOMETRIC.LOGL: (Model.GREY, 1),
    PHOTOMETRIC.LOGLUV: (Model.RGB, 3),
}
"""The model that each photometric interpretation is decoded to, and its number of stored samples."""
_GREY = (PHOTOMETRIC.MINISBLACK, PHOTOMETRIC.MINISWHITE)
LAB = (PHOTOMETRIC.CIELAB, PHOTOMETRIC.ICCLAB)
"""Photometric interpretations that are L*, a*, b*."""
LIGHT = (PHOTOMETRIC.LOGL, PHOTOMETRIC.LOGLUV)
"""Photometric interpretations that are linear light."""
_RAW = (PHOTOMETRIC.CFA, PHOTOMETRIC.LINEAR_RAW)

# Values of Compression, whose names differ between versions of tifffile.
FAX = (2, 3, 4)
"""Modified Huffman, Group 3 and Group 4."""
OLD_JPEG = 6
"""JPEG as TIFF 6.0 has it."""
JPEG = (7, 33007, 34892)
"""JPEG as TIFF Technical Note 2 has it."""
APERIO_YCBCR = 33003
"""JPEG 2000 of YCbCr."""
_SGILOG = (34676, 34677)
RGB_OUT = frozenset({6, 7, 22610, 33007, 34892, 34927, 34933, 34934, 50001, 50002, 52546})
"""Compressions whose decoders convert YCbCr to RGB: JPEG, JPEG XR, WebP, PNG, JPEG XL."""


def check_kind(path: Path, page: tifffile.TiffPage, photometric: int) -> None:
    """Raise ImageError for pages that are not read."""
    depth = max(page.imagedepth, 1)
    check_size(path, page.imagelength * depth, page.imagewidth)
    if page.is_tiled:
        check_size(path, page.tilelength * max(page.tiledepth, 1), page.tilewidth)
    if photometric in _RAW:
        raise ImageError(
            f"{path} holds camera raw data ({photometric_name(photometric)}), not an image: develop it first."
        )
    if photometric not in COLOURS and photometric not in _GREY:
        raise ImageError(
            f"{path} has colours of the kind {photometric_name(photometric)}, which is not read: convert it."
        )
    if page.sampleformat in (SAMPLEFORMAT.COMPLEXINT, SAMPLEFORMAT.COMPLEXIEEEFP):
        raise ImageError(f"{path} holds complex numbers, which are no image: store their magnitude.")
    if isinstance(bits := cast(int | tuple[int, ...], page.bitspersample), tuple):
        listed = ", ".join(map(str, bits))
        raise ImageError(f"{path} stores its samples with different numbers of bits ({listed}): convert it.")
    if page.planarconfig not in (1, 2):
        raise ImageError(f"{path} has a damaged PlanarConfiguration tag: replace it.")
    if page.samplesperpixel > _MAX_SAMPLES:
        raise ImageError(
            f"{path} has {page.samplesperpixel} channels, but at most {MAX_CHANNELS} are read: split it."
        )
    if photometric in LIGHT:
        if page.compression not in _SGILOG:
            raise ImageError(
                f"{path} has LogLuv colours without SGI's compression, which is not read: convert it."
            )
        return
    if page.dtype is None:
        kind = f"SampleFormat {int(page.sampleformat)}, {page.bitspersample} bits"
        raise ImageError(f"{path} holds numbers of an unknown kind ({kind}): convert it.")
    floating, bits = page.dtype.kind == "f", page.bitspersample
    twelve = page.compression == 7 and page.samplesperpixel == 3 and page.planarconfig == 1
    read = {
        PHOTOMETRIC.PALETTE: bits <= 16 and not floating,
        PHOTOMETRIC.YCBCR: (bits == 8 or (bits == 12 and twelve)) and not floating,
        PHOTOMETRIC.CIELAB: bits == 32 if floating else bits in (8, 16),
        PHOTOMETRIC.ICCLAB: bits in (8, 16) and not floating,
    }
    if not read.get(PHOTOMETRIC(photometric), True):
        kind = "floats" if floating else "integers"
        raise ImageError(
            f"{path} has {photometric_name(photometric)} of {kind} of {bits} bits, which is not read: "
            "convert it."
        )
    if photometric == PHOTOMETRIC.YCBCR and page.is_subsampled and not _is_subsampling_read(page):
        name = enum_name(COMPRESSION, page.compression)
        raise ImageError(
            f"{path} has subsampled YCbCr compressed with {name}, which is not read: convert it."
        )
    if page.compression != 1:
        try:
            tifffile.TIFF.DECOMPRESSORS[page.compression]
        except (KeyError, ImportError) as error:
            name = enum_name(COMPRESSION, page.compression)
            raise ImageError(
                f"{path} is compressed with {name}, which no installed library reads: convert it."
            ) from error


def _is_subsampling_read(page: tifffile.TiffPage) -> bool:
    """Whether YCbCr with fewer pixels of Cb and Cr is decoded: by libjpeg, or of bytes in one plane."""
    if page.planarconfig != 1:
        return False
    return page.compression in RGB_OUT or page.compression not in tifffile.TIFF.IMAGE_COMPRESSIONS


def photometric_name(photometric: int) -> str:
    """Return the usual name of a photometric interpretation.

    >>> photometric_name(5), photometric_name(32803)
    ('CMYK', 'CFA')
    """
    names = {8: "CIELab", 9: "ICCLab", 10: "ITULab", 5: "CMYK", 6: "YCbCr", 3: "palette"}
    return names.get(photometric) or enum_name(PHOTOMETRIC, photometric)


def enum_name(kind: type[COMPRESSION] | type[PHOTOMETRIC], number: int) -> str:
    """Return the name of a tag's number.

    >>> enum_name(COMPRESSION, 5), enum_name(COMPRESSION, 9999)
    ('LZW', 'number 9999')
    """
    try:
        return kind(number).name
    except ValueError:
        return f"number {number}"
