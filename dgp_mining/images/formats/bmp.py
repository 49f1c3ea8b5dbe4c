"""BMP and DIB of Windows and OS/2: what the header says.

Sources: [MS-WMF] 2.2.2 (headers), "Bitmap Header Types" and BITMAPV5HEADER of the Windows API, "Bitmap File
Format" of OS/2's toolkit. `bmp_pixels` decodes.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO

import numpy as np

from ..attachments import Attachments
from ..encoding import SRGB, SRGB_CHROMATICITIES, Chromaticities, Encoding
from ..image_file import Alpha, ImageFile, Levels, Model
from ..limits import ImageError, check_size
from ..reading import Reading
from .bmp_pixels import Layout, decode

_WINDOWS_HEADERS = (40, 52, 56, 108, 124)
_OS2_HEADERS = range(16, 65)  # version 2 may be cut after any field
_DEFAULT_MASKS = {16: (0x7C00, 0x3E0, 0x1F), 24: (0xFF0000, 0xFF00, 0xFF), 32: (0xFF0000, 0xFF00, 0xFF)}
_RGB, _RLE8, _RLE4, _FIELDS, _ALPHA_FIELDS = 0, 1, 2, 3, 6
_RLE24_OF_OS2 = 4
_REFUSED = {
    4: "a JPEG image",
    5: "a PNG image",
    11: "CMYK inks",
    12: "CMYK inks",
    13: "CMYK inks",
}
"""Compressions of Windows whose content is something else."""
_INCH = 0.0254


@dataclass(frozen=True)
class _Header:
    """The fields of every version; absent ones are 0."""

    size: int
    width: int
    height: int  # negative: rows from the top
    bits: int
    compression: int = 0
    per_metre: tuple[int, int] = (0, 0)
    colours: int = 0
    rest: bytes = b""  # what follows the first 40 bytes

    @property
    def windows(self) -> bool:
        return self.size in _WINDOWS_HEADERS


def open_file(path: Path, reading: Reading) -> ImageFile:
    """Describe a BMP or DIB file. Raises ImageError."""
    with path.open("rb") as file:
        start = 0
        offset = 0
        if (head := file.read(14))[:2] == b"BM":
            start, offset = 14, int.from_bytes(head[10:14], "little")
        file.seek(start)
        header = _header(path, file)
        height = abs(header.height)
        check_size(path, height, header.width)
        return _describe(path, file, header, start, offset)


def _header(path: Path, file: BinaryIO) -> _Header:
    size = int.from_bytes(file.read(4), "little")
    if size != 12 and size not in _OS2_HEADERS and size not in _WINDOWS_HEADERS:
        raise ValueError(f"its header has {size} bytes, which no version has")
    content = file.read(size - 4)
    if len(content) < size - 4:
        raise ValueError("its header does not end")
    if size == 12:
        width, height, _, bits = struct.unpack("<HHHH", content)
        return _Header(size, width, height, bits)
    width, height, _, bits, compression, _, x, y, colours, _ = struct.unpack(
        "<iiHHIIiiII", content[:36].ljust(36, b"\0")
    )
    return _Header(size, width, height, bits, compression, (x, y), colours, content[36:])


def _describe(path: Path, file: BinaryIO, header: _Header, start: int, offset: int) -> ImageFile:
    kind = _kind(path, header)
    palette: np.ndarray | None = None
    masks: tuple[int, ...] = ()
    if header.bits <= 8:
        palette = _palette(file, header, offset)
    elif kind == "raw":
        masks = _masks(file, header)
    layout = Layout(
        height=abs(header.height),
        width=header.width,
        bits=header.bits,
        kind=kind,
        top_down=header.height < 0,
        offset=max(offset, file.tell()),  # never within the header or the palette
        palette=palette,
        masks=masks,
    )
    widths = [mask.bit_count() for mask in masks]
    whites = tuple(float(max(2**width - 1, 1)) for width in widths) or (255.0,)
    levels = Levels(0, whites[0] if len(set(whites)) == 1 else whites)
    grey = palette is not None and palette.shape[1] == 1
    encoding, notes = _encoding(path, file, header, start)
    return ImageFile(
        path=path,
        format="BMP",
        height=layout.height,
        width=layout.width,
        model=Model.GREY if grey else Model.RGB,
        channels=1 if grey else 3,
        alpha=Alpha.STRAIGHT if len(masks) == 4 else Alpha.NONE,
        bits=max(widths) if widths else header.bits if grey and header.bits == 1 else 8,
        levels=levels,
        encoding=encoding,
        notes=notes,
        decode=partial(decode, path, layout),
        attachments=lambda: Attachments(dpi=_dpi(header)),
    )


def _kind(path: Path, header: _Header) -> str:
    """How the pixels are stored, one of `bmp_pixels.Layout.kind`. Raises ImageError."""
    compression, bits = header.compression, header.bits
    if header.windows and compression in _REFUSED:
        raise ImageError(
            f"{path} is a BMP that holds {_REFUSED[compression]}, which is not read: convert it."
        )
    if bits not in (1, 2, 4, 8, 16, 24, 32):
        raise ImageError(f"{path} is a BMP of {bits} bits per pixel, which is not read: convert it.")
    if compression == _RGB or (compression in (_FIELDS, _ALPHA_FIELDS) and header.windows and bits >= 16):
        return "raw"
    if (compression, bits) in ((_RLE8, 8), (_RLE4, 4)):
        return "rle"
    if (compression, bits) == (_RLE24_OF_OS2, 24) and not header.windows:
        return "rle"
    raise ImageError(f"{path} is a BMP with the compression {compression}, which is not read: convert it.")


def _palette(file: BinaryIO, header: _Header, offset: int) -> np.ndarray:  # [N, 1 or 3] uint8
    entry = 3 if header.size == 12 else 4
    count = min(header.colours or 1 << header.bits, 1 << 16)
    if offset > file.tell():
        count = min(count, (offset - file.tell()) // entry)
    content = file.read(count * entry)
    table = np.frombuffer(content[: len(content) // entry * entry], np.uint8).reshape(-1, entry)
    if not len(table):
        raise ValueError("its palette is missing")
    colours = table[: 1 << header.bits, 2::-1]
    return colours[:, :1] if (colours == colours[:, :1]).all() else colours


def _masks(file: BinaryIO, header: _Header) -> tuple[int, ...]:
    """The bits of red, green, blue and, if there is any, alpha."""
    if header.compression == _RGB:
        return _DEFAULT_MASKS[header.bits]
    count = 4 if header.compression == _ALPHA_FIELDS or header.size >= 56 else 3
    content = header.rest[: count * 4] if header.size >= 52 else file.read(count * 4)
    masks = struct.unpack(f"<{len(content) // 4}I", content[: len(content) // 4 * 4])
    if not any(masks):  # some writers leave them empty
        return _DEFAULT_MASKS[header.bits]
    for mask in masks:
        low = mask & -mask
        if mask and (mask // low) & (mask // low + 1):
            raise ValueError(f"the bits of its mask {mask:#x} are not next to each other")
    return masks[:3] if masks[3:] == (0,) else masks


def _encoding(path: Path, file: BinaryIO, header: _Header, start: int) -> tuple[Encoding, tuple[str, ...]]:
    """The encoding, and notes, of the headers with 108 and 124 bytes (BITMAPV4HEADER, BITMAPV5HEADER)."""
    if header.size < 108:
        return SRGB, ()
    kind = header.rest[16:20][::-1]
    if kind == b"LINK":
        return SRGB, ("its colour profile is in another file and is not read",)
    if kind == b"MBED" and header.size == 124:
        position, size = struct.unpack_from("<II", header.rest, 72)
        file.seek(start + position)
        profile = file.read(min(size, path.stat().st_size))
        return Encoding(profile) if len(profile) == size else SRGB, ()
    if kind != b"\0\0\0\0":  # "sRGB", "Win "
        return SRGB, ()
    return _calibrated(header.rest[20:68])


def _calibrated(fields: bytes) -> tuple[Encoding, tuple[str, ...]]:
    """The encoding that the end points and gammas of LCS_CALIBRATED_RGB say; nothing if they are empty."""
    points = np.array(struct.unpack_from("<9i", fields), np.float64).reshape(3, 3) / 2**30
    # Writers give either the exponent or its inverse.
    gammas = [max(n / 2**16, 2**16 / n) if n else 0 for n in struct.unpack_from("<3I", fields, 36)]
    primaries: Chromaticities = SRGB_CHROMATICITIES
    sums = points.sum(1)
    if (sums > 0).all() and (points >= 0).all() and abs(np.linalg.det(points)) > 1e-6:
        # Chromaticities, and then white is not said, or colours that add up to white.
        white = points.sum(0) / sums.sum()
        said = SRGB_CHROMATICITIES[:2] if np.abs(sums - 1).max() < 0.01 else (white[0], white[1])
        red, green, blue = points[:, :2] / sums[:, None]
        primaries = (*map(float, said), *map(float, red), *map(float, green), *map(float, blue))  # type: ignore[assignment]
    if not all(0.1 <= gamma <= 10 for gamma in gammas):
        gammas = []
    if not gammas and primaries == SRGB_CHROMATICITIES:
        return SRGB, ()
    if gammas and max(gammas) - min(gammas) > 0.01:
        return SRGB, ("its gammas differ between the channels and are ignored",)
    transfer: str | float = float(gammas[0]) if gammas else "srgb"
    return Encoding(transfer=transfer, primaries=primaries, said_by="its header"), ()


def _dpi(header: _Header) -> tuple[float, float] | None:
    x, y = (dots * _INCH for dots in header.per_metre)
    return (x, y) if 0 < min(x, y) <= max(x, y) < 1e6 else None
