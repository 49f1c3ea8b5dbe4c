"""Writing PNG row by row, so that an image need not fit into memory (PNG specification, third edition)."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator
from typing import BinaryIO

import numpy as np

from .colours import Statement
from .jpeg_segments import iptc_resource
from .metadata import Metadata

_COLOUR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}  # by channels: grey, grey + alpha, RGB, RGBA
_PAETH = 4
_METRES_PER_INCH = 0.0254
_CHUNK = 1 << 20
_COMPRESSED = 1 << 10  # bytes from which texts are compressed; 5.1.3 recommends it
_XMP = "XML:com.adobe.xmp"
_WRITTEN_ELSEWHERE = (_XMP, "Raw profile type ")


def write_png(
    file: BinaryIO,
    bands: Iterator[np.ndarray],  # each [rows, W, C]
    shape: tuple[int, int, int],
    dtype: np.dtype,
    metadata: Metadata,
    colours: Statement,
) -> None:
    """Write a PNG from bands of rows, uint8 or uint16, grey or RGB with or without alpha. Raises OSError.

    `colours` is what the file says of them; the profile of `metadata` is not looked at.
    """
    height, width, channels = shape
    depth = 8 * np.dtype(dtype).itemsize

    def chunk(name: bytes, content: bytes) -> None:
        check = zlib.crc32(name + content)
        file.write(struct.pack(">I", len(content)) + name + content + struct.pack(">I", check))

    file.write(b"\x89PNG\r\n\x1a\n")
    chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, _COLOUR_TYPES[channels], 0, 0, 0))
    for name, content in (*_of_colours(colours), *_about(metadata, width, height)):
        chunk(name, content)
    deflate = zlib.compressobj(6)
    above = np.zeros((1, width * channels * depth // 8), np.uint8)
    for band in bands:
        rows = np.ascontiguousarray(band, band.dtype.newbyteorder(">")).view(np.uint8).reshape(len(band), -1)
        content = deflate.compress(paeth_filter(rows, above, channels * depth // 8).tobytes())
        for start in range(0, len(content), _CHUNK):
            chunk(b"IDAT", content[start : start + _CHUNK])
        above = rows[-1:]
    chunk(b"IDAT", deflate.flush())
    chunk(b"IEND", b"")


def _of_colours(colours: Statement) -> Iterable[tuple[bytes, bytes]]:
    """The chunks of 11.3.2, which must come before the pixels."""
    if colours.cicp:
        yield b"cICP", bytes(colours.cicp)
    if colours.profile:
        yield b"iCCP", b"ICC profile\0\0" + zlib.compress(colours.profile)
    if colours.srgb:
        yield b"sRGB", b"\0"  # perceptual
    if colours.exponent:
        yield b"gAMA", struct.pack(">I", round(100_000 / colours.exponent))
    if colours.chromaticities:
        yield b"cHRM", struct.pack(">8I", *(round(100_000 * place) for place in colours.chromaticities))


def _about(metadata: Metadata, width: int, height: int) -> Iterable[tuple[bytes, bytes]]:
    if metadata.dpi:
        x, y = (round(dots / _METRES_PER_INCH) for dots in metadata.dpi)
        yield b"pHYs", struct.pack(">IIB", x, y, 1)
    if exif := metadata.sized_exif(width, height):
        yield b"eXIf", exif.tobytes().removeprefix(b"Exif\0\0")
    if xmp := metadata.sized_xmp(width, height):
        yield b"iTXt", _XMP.encode() + bytes(5) + xmp  # XMP part 3, 1.1.5: never compressed
    if metadata.iptc:
        yield b"zTXt", b"Raw profile type iptc\0\0" + zlib.compress(raw_profile("iptc", metadata.iptc))
    for keyword, text in metadata.texts:
        if not keyword.startswith(_WRITTEN_ELSEWHERE):
            yield text_chunk(keyword, text)


def raw_profile(name: str, records: bytes) -> bytes:
    """IPTC as ImageMagick writes it into PNG, which has no place of its own: a text of hexadecimal digits."""
    content = iptc_resource(records)
    digits = content.hex()
    lines = [digits[start : start + 72] for start in range(0, len(digits), 72)]
    return "\n".join(["", name, f"{len(content):8d}", *lines, ""]).encode()


def text_chunk(keyword: str, text: str) -> tuple[bytes, bytes]:
    """The name and content of a chunk of text (11.3.3): Latin-1 where that holds it, else UTF-8.

    Long texts are compressed.

    >>> text_chunk("Title", "Zoë")
    (b'tEXt', b'Title\\x00Zo\\xeb')
    """
    name = keyword.replace("\0", "").encode("latin-1", "replace")[:79] + b"\0"
    text = text.replace("\0", "")
    long = len(text) >= _COMPRESSED
    try:
        content = text.encode("latin-1")
    except UnicodeEncodeError:
        content = text.encode("utf-8", "replace")
        # Compression flag and method, an empty language, an empty translated keyword.
        return b"iTXt", name + bytes([long, 0, 0, 0]) + (zlib.compress(content) if long else content)
    return (b"zTXt", name + b"\0" + zlib.compress(content)) if long else (b"tEXt", name + content)


def paeth_filter(rows: np.ndarray, above: np.ndarray, step: int) -> np.ndarray:
    """Apply PNG's filter 4 (Paeth), the best one for photographs, to rows of bytes: [R, n] to [R, 1 + n].

    `above` is the row above the first, [1, n]; `step` is the number of bytes of a pixel.
    """
    up = np.concatenate([above, rows[:-1]]).astype(np.int16)
    left, corner = (np.pad(part[:, :-step], ((0, 0), (step, 0))).astype(np.int16) for part in (rows, up))
    to_left, to_up, to_corner = abs(up - corner), abs(left - corner), abs(left + up - 2 * corner)
    nearest_up = np.where(to_up <= to_corner, up, corner)
    predicted = np.where((to_left <= to_up) & (to_left <= to_corner), left, nearest_up)
    out = np.empty((len(rows), rows.shape[1] + 1), np.uint8)
    out[:, 0] = _PAETH
    out[:, 1:] = rows - predicted.astype(np.uint8)
    return out
