"""The compressed pixels of a file, apart from what else it says: equal ones are the same picture.

Programs that edit titles, places or profiles, and those that strip them, leave the compressed pixels alone.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from . import jpeg_header, png_chunks, webp

_BLOCK = 1 << 16

_PIXELS = (b"IDAT", b"fdAT")
_PNG = (b"IHDR", b"PLTE", b"tRNS", *_PIXELS)
_WEBP = ("VP8 ", "VP8L", "ALPH", "ANMF")
_JPEG_METADATA = frozenset({*range(0xE0, 0xEE), 0xEF, 0xFE})
"""Markers of APP0 to APP15 and comments, without Adobe's APP14, which says what the channels are."""


def pixel_data(path: Path) -> Iterator[bytes]:
    """Yield, block by block, the compressed pixels of a PNG, JPEG or WebP file and what their decoding needs.

    Nothing for other formats. Raises OSError if it cannot be read.
    """
    with path.open("rb") as file:
        head = file.read(12)
        if head.startswith(b"\x89PNG"):
            yield from _of_png(file)
        elif head.startswith(b"\xff\xd8"):
            yield from _of_jpeg(file)
        elif head[:4] + head[8:] == b"RIFFWEBP":
            yield from _of_webp(file)


def _of_png(file: BinaryIO) -> Iterator[bytes]:
    head: list[bytes] = []  # without pixels it says nothing
    before = b""
    for kind, offset, length in png_chunks.chunks_of(file):
        if kind not in _PNG:
            continue
        file.seek(offset)
        if kind != before:  # how pixels are divided into chunks does not matter
            head.append(kind)
        if kind in _PIXELS:
            yield from head
            yield from _read(file, length)
            head = []
        else:
            head += _read(file, length)
        before = kind


def _of_jpeg(file: BinaryIO) -> Iterator[bytes]:
    head: list[bytes] = []
    for marker, offset, length in jpeg_header.segments_of(file):
        if marker not in _JPEG_METADATA:
            file.seek(offset)
            head += [bytes([marker]), *_read(file, length)]
        if marker == jpeg_header.SOS:
            yield from head
            yield from iter(lambda: file.read(_BLOCK), b"")


def _of_webp(file: BinaryIO) -> Iterator[bytes]:
    size = file.seek(0, io.SEEK_END)
    for name, length in webp.chunks_of(file, size):
        if name in _WEBP:
            yield name.encode()
            yield from _read(file, length)


def _read(file: BinaryIO, length: int) -> Iterator[bytes]:
    while length and (block := file.read(min(length, _BLOCK))):
        yield block
        length -= len(block)
