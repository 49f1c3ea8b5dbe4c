"""The markers of a JPEG file before its pixels (ITU-T T.81, annex B; JPEG-LS: T.87, annex C)."""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from ..attachments import Attachments, exif_attachments, iptc_records
from ..limits import ImageError

_SOI, _EOI, SOS = 0xD8, 0xD9, 0xDA
_COM, _DNL = 0xFE, 0xDC
_ALONE = frozenset({0x01, _SOI, *range(0xD0, 0xD8)})
"""Markers without a segment: TEM, SOI and RST0 to RST7."""
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC} | {0xF7}
"""SOF0 to SOF15, and SOF55 of JPEG-LS."""
_APP0, _APP1, _APP2, _APP13, _APP14 = 0xE0, 0xE1, 0xE2, 0xED, 0xEE
_IN_SCAN = re.compile(rb"\xff+[\x01-\xcf\xd8-\xfe]")
"""A marker that ends entropy-coded data: no stuffed zero, no restart."""
_JFIF, _ADOBE, _ICC, _EXIF, _PHOTOSHOP = (
    b"JFIF\0",
    b"Adobe",
    b"ICC_PROFILE\0",
    b"Exif\0\0",
    b"Photoshop 3.0\0",
)
_XMP = b"http://ns.adobe.com/xap/1.0/\0"
_KEPT = {
    _APP0: (_JFIF,),
    _APP1: (_EXIF, _XMP),
    _APP2: (_ICC,),
    _APP13: (_PHOTOSHOP,),
    _APP14: (_ADOBE,),
    _COM: (b"",),
}
"""Starts of the segments that are read."""
_MAX_SEGMENTS = 10_000
_MAX_GARBAGE = 1 << 16  # bytes between segments, which decoders pass over


@dataclass(frozen=True)
class Header:
    """What a JPEG file says before its pixels."""

    frame: int
    """The marker SOFn: 0xC0 + n, or 0xF7 for JPEG-LS."""
    bits: int
    height: int
    """0 if it is said behind the first scan (DNL)."""
    width: int
    components: bytes
    """Identifier of each component."""
    sampling: bytes
    """Sampling factors of each component, horizontal in the upper four bits and vertical in the lower."""
    start: int
    """Offset of the first scan."""
    adobe: int | None
    """The colour transform of Adobe's APP14 segment; None without one."""
    density: tuple[int, int, int] | None
    """Unit (1: inch, 2: centimetre), x and y of the JFIF segment."""
    exif: bytes | None
    """EXIF without "Exif\\0\\0"."""
    profile: bytes | None
    """The ICC profile."""
    broken_profile: bool
    """Whether there are pieces of a profile, but not all."""
    xmp: bytes | None
    iptc: bytes | None
    comments: tuple[str, ...]

    @property
    def subsampled(self) -> bool:
        """Whether the components have different sampling factors."""
        return len(set(self.sampling)) > 1

    @property
    def least_bits(self) -> int:
        """Bits that the pixels take at least, whatever they are.

        With Huffman's codes, of a bit or more each, every block of 8x8 has one for its DC coefficient, which
        only lossless JPEG has for every pixel (T.81, F.1.2, G.1.2 and H.1.2). Arithmetic coding and the runs
        of JPEG-LS have no such limit.
        """
        if self.frame not in (0xC0, 0xC1, 0xC2, 0xC3):
            return 0
        side = 1 if self.frame == 0xC3 else 8
        factors = [(byte >> 4 or 1, byte & 15 or 1) for byte in self.sampling]
        across, down = max(x for x, _ in factors), max(y for _, y in factors)
        return sum(
            math.ceil(self.width * x / across / side) * math.ceil(self.height * y / down / side)
            for x, y in factors
        )

    def attachments(self) -> Attachments:
        """Return EXIF, XMP, IPTC, comments and resolution."""
        dpi = None
        if self.density and self.density[0] in (1, 2):
            scale = 1.0 if self.density[0] == 1 else 2.54
            dpi = (self.density[1] * scale, self.density[2] * scale)
        texts = tuple(("Comment", text) for text in self.comments)
        return exif_attachments(self.exif, dpi, xmp=self.xmp, iptc=self.iptc, texts=texts)


def read_header(path: Path) -> Header:
    """Read the markers up to the first scan. Raises ImageError if there is no frame or no scan."""
    frame, start = b"", 0
    parts: dict[int, list[bytes]] = {}
    with path.open("rb") as file:
        for marker, offset, length in segments_of(file):
            if marker in _FRAMES and not frame:
                frame = bytes([marker]) + file.read(length)
            elif marker in _KEPT:
                name = file.read(min(length, 32))
                if name.startswith(_KEPT[marker]):
                    parts.setdefault(marker, []).append(name + file.read(length - len(name)))
            elif marker == SOS:
                start = offset
    if not start or len(frame) < 7 or len(frame) < 7 + 3 * frame[6]:
        raise ImageError(f"{path} is a damaged JPEG: replace or remove it.")
    bits, height, width, count = struct.unpack(">BHHB", frame[1:7])
    profile, broken = _profile(parts.get(_APP2, []))
    return Header(
        frame=frame[0],
        bits=bits,
        height=height,
        width=width,
        components=frame[7 : 7 + 3 * count : 3],
        sampling=frame[8 : 7 + 3 * count : 3],
        start=start,
        adobe=next((part[11] for part in parts.get(_APP14, []) if len(part) > 11), None),
        density=next((struct.unpack(">BHH", p[7:12]) for p in parts.get(_APP0, []) if len(p) > 11), None),
        exif=_after(_EXIF, parts.get(_APP1, [])),
        profile=profile,
        broken_profile=broken,
        xmp=_after(_XMP, parts.get(_APP1, [])),
        iptc=iptc_records(b"".join(part.removeprefix(_PHOTOSHOP) for part in parts.get(_APP13, []))),
        comments=tuple(p.decode("latin-1").rstrip("\0") for p in parts.get(_COM, [])),
    )


def segments_of(file: IO[bytes]) -> Iterator[tuple[int, int, int]]:
    """Marker, offset and length of the content of each segment, up to the first scan.

    `file` is at the content when a segment is returned.
    """
    at = garbage = segments = 0
    while garbage < _MAX_GARBAGE and segments < _MAX_SEGMENTS:
        file.seek(at)
        code = file.read(2)
        if len(code) < 2:
            return
        if code[0] != 0xFF or code[1] in (0x00, 0xFF):  # fill bytes, or damage that decoders pass over
            at, garbage = at + 1, garbage + 1
            continue
        at += 2
        if code[1] in _ALONE:
            continue
        length = int.from_bytes(file.read(2))
        if code[1] == _EOI or length < 2:
            return
        segments += 1
        yield code[1], at + 2, length - 2
        if code[1] == SOS:
            return
        at += length


def _after(name: bytes, parts: list[bytes]) -> bytes | None:
    return next((part.removeprefix(name) for part in parts if part.startswith(name)), None)


def _profile(parts: list[bytes]) -> tuple[bytes | None, bool]:
    """Put together an ICC profile from its pieces in any order (ICC.1, B.4), and say whether some lack."""
    pieces: dict[int, bytes] = {}
    count = 0
    for part in parts:
        if len(part) > len(_ICC) + 2:
            number, count = part[len(_ICC)], part[len(_ICC) + 1]
            pieces.setdefault(number, part[len(_ICC) + 2 :])
    if not pieces:
        return None, False
    if sorted(pieces) != list(range(1, count + 1)):
        return None, True
    return b"".join(pieces[number] for number in sorted(pieces)), False


def is_whole(content: bytes, header: Header) -> bool:
    """Whether the scans of a JPEG file end with its marker EOI; decoders fill what is missing with grey."""
    at = header.start
    while found := _IN_SCAN.search(content, at):
        marker = content[found.end() - 1]
        if marker == _EOI:
            return True
        at = found.end() + (
            0 if marker in _ALONE else max(2, int.from_bytes(content[found.end() : found.end() + 2]))
        )
    return False
