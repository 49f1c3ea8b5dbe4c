"""The photometric interpretations of TIFF that are not grey, RGB or inks: palettes, YCbCr, Lab, LogLuv."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import imagecodecs
import numpy as np
import tifffile

from ..image_file import Levels
from ..limits import ImageError

_COLOUR_MAP, _COEFFICIENTS, _REFERENCE = 320, 529, 532
_LUMA = (0.299, 0.587, 0.114)  # the default of YCbCrCoefficients (TIFF 6.0, section 21)
_NO_HEADROOM = (0.0, 255.0, 128.0, 255.0, 128.0, 255.0)  # what writers mean who give no ReferenceBlackWhite

_RGB_FROM_XYZ = np.array(
    [
        [3.2404542, -1.5371385, -0.4985314],
        [-0.969266, 1.8760108, 0.041556],
        [0.0556434, -0.2040259, 1.0572252],
    ]
)
"""Linear sRGB from CIE XYZ of D65 (IEC 61966-2-1)."""


@dataclass(frozen=True, eq=False)
class Palette:
    """The colours of a palette."""

    colours: np.ndarray
    """[n, 3] uint8 or uint16."""
    notes: tuple[str, ...] = ()
    """What is assumed of it, for the user."""

    @property
    def bits(self) -> int:
        """Bits of a colour's numbers: 8 or 16."""
        return self.colours.dtype.itemsize * 8


def palette_of(path: Path, page: tifffile.TiffPage) -> Palette:
    """Return the palette of a page (ColorMap; TIFF 6.0, section 5). Raises ImageError if it lacks colours.

    Entries have 16 bits. Those whose lower byte repeats the upper one, or is 0, come from 8 bits; those that
    are all below 256 are meant to be 8 bits, as libtiff's tools take them.
    """
    entries = np.asarray(page.tags.valueof(_COLOUR_MAP, ()), np.uint16).reshape(-1)
    count = 1 << page.bitspersample
    if page.bitspersample > 16 or entries.size < 3 * count:
        raise ImageError(
            f"{path} has a palette of {entries.size // 3} colours, but {count} indices: replace it."
        )
    colours = entries[: 3 * count].reshape(3, count).T
    if entries.max(initial=0) < 256:
        return Palette(colours.astype(np.uint8), ("its palette holds numbers of 8 bits, not 16",))
    upper, lower = colours >> 8, colours & 255
    if not lower.any() or (upper == lower).all():
        return Palette(upper.astype(np.uint8))
    return Palette(colours)


def lab_levels(photometric: int, bits: int, alpha: bool) -> Levels:
    """Return the levels of L*, a*, b* as `unsigned_lab` gives them, for the scale of `Model.LAB`.

    16-bit a* and b* have 1/256 for a unit; so has L* of ICCLab, in which 100 is 0xFF00 (ICC.1:2001-04, A.3;
    TIFF Technical Note "ICC L*a*b*").
    """
    if bits == 8:
        return Levels(0, 255)
    if bits == 32:  # floats: L* from 0 to 100, a* and b* as they are
        black, white = (0.0, -128.0, -128.0), (100.0, 127.0, 127.0)
        return Levels((*black, 0.0), (*white, 1.0), "clip") if alpha else Levels(black, white, "clip")
    lightness = 0xFF00 if photometric == tifffile.PHOTOMETRIC.ICCLAB else 0xFFFF
    whites = (lightness, 0xFF00, 0xFF00, *((0xFFFF,) if alpha else ()))
    return Levels((0,) * len(whites), whites, "clip")


def unsigned_lab(photometric: int, samples: np.ndarray) -> np.ndarray:
    """L*, a*, b* [..., 1 or 3] of 8 or 16 bits with -128 for the least a* and b* as 0; [..., 3] unsigned.

    CIELab stores a* and b* as signed numbers (TIFF 6.0, section 23), ICCLab already as these. An image of L*
    alone is neutral. Floats are returned as they are.
    """
    if samples.dtype.kind == "f":
        neutral = np.zeros((*samples.shape[:-1], 3 - samples.shape[-1]), samples.dtype)
        return np.concatenate([samples, neutral], axis=-1)
    samples = samples.view(f"u{samples.dtype.itemsize}")
    middle = samples.dtype.type(1 << (8 * samples.dtype.itemsize - 1))
    if samples.shape[-1] == 1:
        return np.concatenate([samples, *[np.full_like(samples, middle)] * 2], axis=-1)
    if photometric == tifffile.PHOTOMETRIC.ICCLAB:
        return samples
    return np.concatenate([samples[..., :1], samples[..., 1:] ^ middle], axis=-1)


def rgb_from_ycbcr(page: tifffile.TiffPage, samples: np.ndarray) -> np.ndarray:
    """8-bit YCbCr [..., 3] -> RGB, as the page's tags say (TIFF 6.0, section 21)."""
    red, green, blue = _numbers(page, _COEFFICIENTS, _LUMA)
    reference = np.array(_numbers(page, _REFERENCE, _NO_HEADROOM)).reshape(3, 2)
    black, range_ = reference[:, 0], reference[:, 1] - reference[:, 0]
    if not range_.all() or not green:
        raise ValueError("its ReferenceBlackWhite or YCbCrCoefficients are damaged")
    y, cb, cr = np.moveaxis((samples - black) / range_ * (255, 127, 127), -1, 0)
    r = y + cr * (2 - 2 * red)
    b = y + cb * (2 - 2 * blue)
    g = (y - red * r - blue * b) / green
    rgb: np.ndarray = np.stack([r, g, b], -1).round().clip(0, 255).astype(np.uint8)
    return rgb


def subsampled_ycbcr(path: Path, page: tifffile.TiffPage) -> np.ndarray:
    """Decode 8-bit YCbCr whose Cb and Cr have fewer pixels, stored without JPEG: [H, W, 3], not converted.

    A unit holds h * v of Y, then one Cb and one Cr (TIFF 6.0, section 21). Raises ImageError if it is planar.
    """
    across, down = page.subsampling or (1, 1)
    if page.planarconfig != 1 or page.samplesperpixel != 3 or not {across, down} <= {1, 2, 4}:
        raise ImageError(f"{path} stores subsampled YCbCr in planes, which is not read: convert it.")
    height, width = page.imagelength, page.imagewidth
    rows, columns = (page.tilelength, page.tilewidth) if page.is_tiled else (page.rowsperstrip, width)
    wide = -(-columns // across)
    pixels = np.zeros((height, width, 3), np.uint8)
    for content, (top, left) in zip(_segments(page), _corners(page, rows, columns), strict=False):
        if content is None:
            continue
        high = -(-(rows if page.is_tiled else min(rows, height - top)) // down)
        units = np.frombuffer(content, np.uint8, high * wide * (across * down + 2)).reshape(high, wide, -1)
        luma = units[..., :-2].reshape(high, wide, down, across).swapaxes(1, 2)
        chroma = units[..., -2:].repeat(down, 0).repeat(across, 1)
        block = np.concatenate([luma.reshape(high * down, wide * across, 1), chroma], axis=2)
        block = block[: min(rows, height - top), : min(columns, width - left)]
        pixels[top : top + block.shape[0], left : left + block.shape[1]] = block
    return pixels


def _segments(page: tifffile.TiffPage) -> Iterator[bytes | None]:
    """The strips or tiles of a page, decompressed; None for one that is not stored."""
    decompress = None if page.compression == 1 else tifffile.TIFF.DECOMPRESSORS[page.compression]
    file, contents = page.parent.filehandle, (page.dataoffsets, page.databytecounts)
    for content, _ in cast(Iterator[tuple[bytes | None, int]], file.read_segments(*contents, sort=False)):
        if content is not None and page.fillorder == 2:
            content = bytes(imagecodecs.bitorder_decode(content))
        yield bytes(decompress(content)) if decompress and content is not None else content


def _corners(page: tifffile.TiffPage, rows: int, columns: int) -> Iterator[tuple[int, int]]:
    """The top left pixels of the strips or tiles of a page."""
    for top in range(0, page.imagelength, rows):
        for left in range(0, page.imagewidth, columns):
            yield top, left


def light_from_logluv(path: Path, index: int, channels: int) -> np.ndarray:
    """Decode LogL or LogLuv (Larson 1998) with libtiff: [H, W, 1 or 3] linear light, sRGB primaries."""
    decoded = np.asarray(imagecodecs.tiff_decode(path.read_bytes(), index=index))
    decoded = decoded.reshape(*decoded.shape[:2], -1)
    if decoded.shape[2] != channels:
        raise ValueError("libtiff does not decode its LogLuv")
    if channels == 1 and decoded.dtype.itemsize == 2:  # imagecodecs asks for floats of LogLuv only
        return _light_from_logl(decoded)
    if decoded.dtype.kind != "f":
        raise ValueError("libtiff does not decode its LogLuv")
    xyz = decoded.astype(np.float64)
    return (xyz if channels == 1 else xyz @ _RGB_FROM_XYZ.T).astype(np.float32)


def _light_from_logl(stored: np.ndarray) -> np.ndarray:
    """Light of 16-bit LogL: a sign, and 256 steps for each power of two from 2^-64 (Larson 1998, eq. 2)."""
    numbers = stored.view(np.uint16)
    logarithm = numbers & 0x7FFF
    light = np.where(logarithm > 0, np.exp2((logarithm + 0.5) / 256 - 64), 0)
    return np.where(numbers & 0x8000, -light, light).astype(np.float32)


def _numbers(page: tifffile.TiffPage, tag: int, default: tuple[float, ...]) -> tuple[float, ...]:
    """The rational numbers of a tag, which tifffile gives as numerators and denominators in turn."""
    value = page.tags.valueof(tag)
    if not isinstance(value, tuple) or len(value) not in (len(default), 2 * len(default)):
        return default
    if len(value) == len(default):
        return tuple(float(number) for number in value)
    if not all(value[1::2]):
        return default
    return tuple(above / below for above, below in zip(value[::2], value[1::2], strict=True))
