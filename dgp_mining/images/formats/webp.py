"""WebP (RFC 9649). Its header is read here, as Pillow reads the whole file to open it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import BinaryIO

import numpy as np

from ..attachments import exif_attachments, exif_orientation
from ..encoding import Encoding
from ..image_file import Alpha, ImageFile, Model, Samples, full_range
from ..limits import check_size
from ..reading import Reading, no_such_slice
from .jpeg import says_adobe_rgb
from .pillow_file import frame_note, open_pillow

_ALPHA = 0x10  # a flag of VP8X
_KEPT = ("ICCP", "EXIF", "XMP ")


@dataclass
class _Header:
    width: int = 0
    height: int = 0
    alpha: bool = False
    frames: int = 0  # of an animation
    chunks: dict[str, bytes] = field(default_factory=dict)


def open_file(path: Path, reading: Reading) -> ImageFile:
    """Describe a WebP file. Raises ImageError."""
    with path.open("rb") as file:
        header = _header(file, path.stat().st_size)
    check_size(path, header.height, header.width)
    frame = reading.slice or 0
    if frame >= max(header.frames, 1):
        raise no_such_slice(path, max(header.frames, 1), "frames", frame)
    exif = header.chunks.get("EXIF", b"").removeprefix(b"Exif\0\0") or None
    profile = header.chunks.get("ICCP") or None
    notes = frame_note(frame, header.frames, "frames")
    if profile is None and says_adobe_rgb(exif):  # without a profile, it is sRGB (RFC 9649)
        notes = (*notes, "its EXIF says Adobe RGB, which does not count in WebP: it is taken for sRGB")
    return ImageFile(
        path=path,
        format="WebP",
        height=header.height,
        width=header.width,
        model=Model.RGB,
        channels=3,
        alpha=Alpha.STRAIGHT if header.alpha else Alpha.NONE,
        bits=8,
        levels=full_range(8),
        encoding=Encoding(profile),
        orientation=exif_orientation(exif),
        notes=notes,
        decode=partial(_decode, path, frame, header.alpha),
        attachments=partial(exif_attachments, exif, None, xmp=header.chunks.get("XMP ")),
    )


def _header(file: BinaryIO, size: int) -> _Header:
    header = _Header()
    for name, length in chunks_of(file, size):
        if name in _KEPT:
            header.chunks.setdefault(name, file.read(length))
        elif name == "ANMF":
            header.frames += 1
        elif name in ("VP8 ", "VP8L", "VP8X") and not header.width:
            _size(header, name, file.read(10))
            if name != "VP8X":
                break  # nothing counts behind the pixels of the simple format
    if not header.width:
        raise ValueError("its size is missing")
    return header


def _size(header: _Header, name: str, content: bytes) -> None:
    """Set size and alpha from the first bytes of the first chunk (RFC 9649, 2.5 to 2.7; RFC 6386, 9.1)."""
    content = content.ljust(10, b"\0")
    if name == "VP8X":
        header.alpha = bool(content[0] & _ALPHA)
        header.width = 1 + int.from_bytes(content[4:7], "little")
        header.height = 1 + int.from_bytes(content[7:10], "little")
    elif name == "VP8L":
        bits = int.from_bytes(content[1:5], "little")
        header.width, header.height = 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
        header.alpha = bool(bits >> 28 & 1)
    else:
        header.width = int.from_bytes(content[6:8], "little") & 0x3FFF
        header.height = int.from_bytes(content[8:10], "little") & 0x3FFF


def chunks_of(file: BinaryIO, size: int) -> Iterator[tuple[str, int]]:
    """The names and lengths of the chunks, each with the file at its content."""
    at = 12
    while at + 8 <= size:
        file.seek(at)
        head = file.read(8)
        length = int.from_bytes(head[4:], "little")
        yield head[:4].decode("latin-1"), length
        at += 8 + length + length % 2


def _decode(path: Path, frame: int, alpha: bool) -> Samples:
    with open_pillow(path, "WEBP") as image:
        if frame:
            image.seek(frame)
        return Samples(np.asarray(image.convert("RGBA" if alpha else "RGB")))
