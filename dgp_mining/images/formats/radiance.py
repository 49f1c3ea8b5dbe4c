"""Radiance HDR, i.e. RGBE and XYZE pictures (Ward, "The RADIANCE Picture File Format").

The number m of a colour and the common exponent e stand for m / 256 * 2^(e - 128), as in Ward's "Real Pixels"
(Graphics Gems II) and all image libraries; Radiance itself adds half a step to m.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import BinaryIO

import imagecodecs
import numpy as np

from ..encoding import LINEAR, Chromaticities, Encoding
from ..image_file import ImageFile, Levels, Model, Samples
from ..limits import ImageError, check_size, ends_early
from ..reading import Reading

_MAX_LINE = 1 << 14
_MAX_HEADER = 1 << 20  # bytes; a line for each program that has changed the picture
_ORIENTATIONS = {
    "-Y+X": 1,
    "-Y-X": 2,
    "+Y-X": 3,
    "+Y+X": 4,
    "+X-Y": 5,
    "-X-Y": 6,
    "-X+Y": 7,
    "+X+Y": 8,
}
"""The order of rows, then of pixels in a row, and the EXIF orientation that puts it upright."""
_RGB_OF_XYZ = np.linalg.inv([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
"""CIE XYZ, white D65 at Y = 1, to linear sRGB (IEC 61966-2-1, 5.2)."""


@dataclass(frozen=True)
class _Header:
    height: int  # of the file's rows
    width: int
    orientation: int
    start: int  # offset of the pixels
    xyz: bool
    factors: tuple[float, float, float]  # by which the radiance was multiplied
    primaries: Chromaticities | None
    notes: tuple[str, ...]


def open_file(path: Path, reading: Reading) -> ImageFile:
    """Describe a Radiance picture. Raises ImageError."""
    with path.open("rb") as file:
        header = _header(path, file)
    check_size(path, header.height, header.width)
    notes = list(header.notes)
    if header.factors != (1.0, 1.0, 1.0):
        factors = sorted({f"{factor:g}" for factor in header.factors})
        notes.append(f"its values are divided by its exposure of {', '.join(factors)}")
    encoding: Encoding = LINEAR
    if header.primaries and not header.xyz:
        encoding = replace(LINEAR, primaries=header.primaries, said_by="its PRIMARIES")
    return ImageFile(
        path=path,
        format="Radiance HDR",
        height=header.height,
        width=header.width,
        model=Model.RGB,
        channels=3,
        bits=32,
        floating=True,
        levels=Levels(0, 1, beyond="tone"),
        encoding=encoding,
        orientation=header.orientation,
        notes=tuple(notes),
        decode=partial(_decode, path, header),
    )


def _header(path: Path, file: BinaryIO) -> _Header:
    xyz, factors, notes = False, np.ones(3), []
    primaries: Chromaticities | None = None
    file.readline(_MAX_LINE)
    while True:
        line = file.readline(_MAX_LINE).decode("latin-1")
        if not line.endswith("\n") or file.tell() > _MAX_HEADER:
            raise ValueError("its header does not end")
        if not line.strip():
            break
        name, _, value = (part.strip() for part in line.partition("="))
        match name:
            case "FORMAT":
                if value not in ("32-bit_rle_rgbe", "32-bit_rle_xyze"):
                    raise ImageError(f"{path} has the format {value!r}, which is not read: convert it.")
                xyz = value.endswith("xyze")
            case "EXPOSURE" | "COLORCORR":  # of several, the product counts
                factors = factors * [float(number) for number in value.split()]
            case "PRIMARIES":
                red_x, red_y, green_x, green_y, blue_x, blue_y, x, y = map(float, value.split())
                primaries = (x, y, red_x, red_y, green_x, green_y, blue_x, blue_y)
            case "GAMMA" if float(value) != 1:
                notes.append(f"its GAMMA of {float(value):g} is not applied")
            case "PIXASPECT" if float(value) != 1:
                notes.append("its pixels are not square, which is not undone")
    if not (np.isfinite(factors).all() and (factors > 0).all()):
        raise ValueError("its exposure is not a number above 0")
    line = file.readline(_MAX_LINE).decode("latin-1")
    found = re.fullmatch(r"([-+][XY])\s+(\d{1,9})\s+([-+][XY])\s+(\d{1,9})\s*", line)
    if not found or not (orientation := _ORIENTATIONS.get(found[1] + found[3])):
        raise ValueError("the line with its size is damaged")
    exposure = (float(factors[0]), float(factors[1]), float(factors[2]))
    start = file.tell()
    return _Header(int(found[2]), int(found[4]), orientation, start, xyz, exposure, primaries, tuple(notes))


def _decode(path: Path, header: _Header) -> Samples:
    with path.open("rb") as file:
        file.seek(header.start)
        content = file.read()
    marker = bytes([2, 2, header.width >> 8 & 255, header.width & 255])
    if content.startswith(marker) and 8 <= header.width < 1 << 15:
        # The decoder takes only this order of rows and pixels.
        plain = f"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y {header.height} +X {header.width}\n"
        pixels = np.asarray(imagecodecs.rgbe_decode(plain.encode() + content))
    else:
        pixels = _colours(_old_run_lengths(path, header, content))
    pixels = pixels / np.array(header.factors, np.float32)
    if header.xyz:
        pixels = pixels @ _RGB_OF_XYZ.T.astype(np.float32)
    return Samples(pixels.astype(np.float32, copy=False))


def _old_run_lengths(path: Path, header: _Header, content: bytes) -> np.ndarray:  # [H, W, 4] uint8
    """Decode pixels of 4 bytes; those with three ones repeat the pixel before them.

    The fourth byte counts, and in several of them one after the other, each counts 256 times as much.
    """
    total = header.height * header.width
    pixels = np.frombuffer(content[: len(content) // 4 * 4], np.uint8).reshape(-1, 4)[:total]
    repeats = (pixels[:, :3] == 1).all(1)
    if not repeats.any():
        counts = np.ones(len(pixels), np.int64)
    else:
        at = np.arange(len(pixels))
        place = at - np.maximum.accumulate(np.where(repeats, -1, at)) - 1  # 0 for the first of several
        if (place[repeats] > 3).any() or repeats[0]:
            raise ValueError("its run lengths are damaged")
        counts = np.where(repeats, pixels[:, 3].astype(np.int64) << (8 * place.clip(0)), 1)
        pixels = pixels[np.maximum.accumulate(np.where(repeats, 0, at))]
    ends = counts.cumsum()
    if not len(ends) or ends[-1] < total:
        raise ends_early(path)
    last = int(np.searchsorted(ends, total))
    counts = counts[: last + 1]
    counts[-1] -= ends[last] - total
    return pixels[: last + 1].repeat(counts, axis=0).reshape(header.height, header.width, 4)


def _colours(rgbe: np.ndarray) -> np.ndarray:  # [H, W, 4] uint8 -> [H, W, 3] float32
    exponents = rgbe[..., 3:].astype(np.int32) - (128 + 8)
    return np.where(rgbe[..., 3:] > 0, np.ldexp(rgbe[..., :3].astype(np.float32), exponents), 0)
