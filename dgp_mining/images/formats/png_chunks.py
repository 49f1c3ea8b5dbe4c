"""The chunks of a PNG file (PNG specification, third edition, 5), read without its pixels."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from ..attachments import Attachments, exif_attachments, iptc_records
from ..limits import MOST_DEFLATED, ImageError

_SIGNATURE = 8
_DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
"""Bit depths of each colour type (table 9)."""

CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
"""Samples of a pixel for each colour type (11.2.1)."""

COLOURS = (b"cICP", b"iCCP", b"sRGB", b"gAMA", b"cHRM")
"""Chunks that say what the values are, those that count more first (11.3.2)."""

_KEPT = frozenset({*COLOURS, b"tRNS", b"sBIT", b"acTL", b"pHYs", b"eXIf"})
_TEXTS = frozenset({b"tEXt", b"zTXt", b"iTXt"})
_MAX_CHUNKS = 2_000_000
_MAX_CONTENT = 1 << 26  # bytes of a chunk, and of what it inflates to
_RAW = b"Raw profile type "  # ImageMagick's keywords, each with a name
_RAW_NAMES = ("exif", "iptc", "8bim", "xmp")


@dataclass(frozen=True)
class Chunks:
    """What a PNG file says beyond its pixels."""

    width: int
    height: int
    depth: int
    """Bits of a sample, or of an index of the palette."""
    kind: int
    """Colour type: 1 palette, 2 colour, 4 alpha, added up."""
    contents: dict[bytes, bytes]
    """Content of the first chunk of each kind in _KEPT."""
    behind: frozenset[bytes]
    """Which of them lie behind the first pixels."""
    animated: bool
    """Whether the pixels of IDAT are the first frame of an animation."""
    texts: tuple[tuple[bytes, int, int], ...]
    """Kind, offset and length of each text chunk."""
    empty: bool
    """Whether it comes to its end without a chunk of pixels."""

    @property
    def least_bytes(self) -> int:
        """Bytes that the pixels take at least, whatever they are."""
        bits = self.width * self.height * self.depth * CHANNELS[self.kind]
        return bits // 8 // MOST_DEFLATED


def read_chunks(path: Path) -> Chunks:
    """Read the chunks of a PNG file, passing over its pixels.

    A file that ends too early is read as far as it goes. Raises ImageError if its header is damaged, or the
    checksum of a chunk that is used.
    """
    contents: dict[bytes, bytes] = {}
    behind: set[bytes] = set()
    texts: list[tuple[bytes, int, int]] = []
    header, pixels, animated, empty = b"", False, False, False
    with path.open("rb", buffering=0) as file:
        for kind, offset, length in chunks_of(file):
            if not header:
                if kind == b"CgBI":
                    raise ImageError(f"{path} is a PNG of Apple's own kind (CgBI): convert it to a true one.")
                header = _content(path, file, kind, offset, length) if kind == b"IHDR" else b""
                if len(header) != 13:
                    break
            elif kind == b"IDAT":
                pixels = True
            elif kind == b"fcTL":
                animated |= not pixels
            elif kind in _TEXTS:
                texts.append((kind, offset, length))
            elif kind in _KEPT and kind not in contents:
                contents[kind] = _content(path, file, kind, offset, length)
                if pixels:
                    behind.add(kind)
            elif kind == b"IEND":
                empty = not pixels
                break
    if len(header) != 13:
        raise ImageError(f"{path} is a damaged PNG: replace or remove it.")
    width, height, depth, colour = struct.unpack(">IIBB", header[:10])
    if depth not in _DEPTHS.get(colour, ()):
        raise ImageError(f"{path} is a damaged PNG: replace or remove it.")
    return Chunks(width, height, depth, colour, contents, frozenset(behind), animated, tuple(texts), empty)


def chunks_of(file: IO[bytes]) -> Iterator[tuple[bytes, int, int]]:
    """Kind, offset and length of the content of each chunk."""
    at, size = _SIGNATURE, file.seek(0, io.SEEK_END)
    for _ in range(_MAX_CHUNKS):
        file.seek(at)
        head = file.read(8)
        length = int.from_bytes(head[:4])
        if len(head) < 8 or at + 8 + length > size:
            return
        yield head[4:], at + 8, length
        at += 12 + length


def without_animation(content: bytes) -> bytes:
    """Return a PNG file without the chunks of APNG, whose faults do not touch its still image."""
    kept, end = [content[:_SIGNATURE]], _SIGNATURE
    for kind, offset, length in chunks_of(io.BytesIO(content)):
        end = offset + length + 4
        if kind not in (b"acTL", b"fcTL", b"fdAT"):
            kept.append(content[offset - 8 : end])
    return b"".join([*kept, content[end:]])


def _content(path: Path, file: IO[bytes], kind: bytes, offset: int, length: int) -> bytes:
    """The content of a chunk. Raises ImageError if its checksum is wrong."""
    if length > _MAX_CONTENT:
        raise ImageError(f"{path} has {length:,} bytes in a {kind.decode()} chunk: remove the chunk.")
    file.seek(offset)
    content = file.read(length + 4)
    if int.from_bytes(content[length:]) != zlib.crc32(kind + content[:length]):
        raise ImageError(f"{path} is a damaged PNG (checksum of {kind.decode()}): replace or remove it.")
    return content[:length]


def inflate(content: bytes) -> bytes:
    """Inflate the content of a chunk. Raises ValueError if it is damaged, or larger than any honest one."""
    try:
        inflater = zlib.decompressobj()
        inflated = inflater.decompress(content, _MAX_CONTENT)
    except zlib.error as error:
        raise ValueError(str(error)) from error
    if not inflater.eof:
        raise ValueError("it ends too early or is too large")
    return inflated


def exif_of(path: Path, chunks: Chunks) -> bytes | None:
    """EXIF of the eXIf chunk, or else of ImageMagick's text "Raw profile type exif"; None without either."""
    exif = chunks.contents.get(b"eXIf")
    if exif is None and chunks.texts:
        exif = _raw_profiles(path, chunks).get("exif")
    return exif.removeprefix(b"Exif\0\0") if exif else None


def attachments(path: Path, chunks: Chunks) -> Attachments:
    """Return EXIF, XMP, IPTC, texts and resolution of a PNG file."""
    dpi = None
    physical = chunks.contents.get(b"pHYs", b"")
    if len(physical) == 9 and physical[8] == 1:  # pixels per metre
        x, y = struct.unpack(">II", physical[:8])
        dpi = (x * 0.0254, y * 0.0254)
    raw = _raw_profiles(path, chunks)
    texts = [text for text in _texts(path, chunks) if not text[0].startswith(_RAW.decode())]
    xmp = raw.get("xmp") or next((text.encode() for key, text in texts if key == "XML:com.adobe.xmp"), None)
    return exif_attachments(
        exif_of(path, chunks),
        dpi,
        xmp=xmp,
        iptc=iptc_records(raw.get("iptc") or raw.get("8bim") or b""),
        texts=tuple(text for text in texts if text[0] != "XML:com.adobe.xmp"),
    )


def _texts(path: Path, chunks: Chunks) -> Iterator[tuple[str, str]]:
    """Keyword and text of each text chunk (11.3.3); damaged ones are passed over."""
    left = _MAX_CONTENT
    with path.open("rb", buffering=0) as file:
        for kind, offset, length in chunks.texts:
            if left <= 0:
                return
            try:
                key, _, content = _content(path, file, kind, offset, length).partition(b"\0")
                if kind == b"iTXt":
                    compressed, rest = content[:1] == b"\1", content[2:].split(b"\0", 2)[2]
                    text = (inflate(rest) if compressed else rest).decode()
                else:
                    text = (inflate(content[1:]) if kind == b"zTXt" else content).decode("latin-1")
            except (ImageError, ValueError, IndexError):
                left -= _MAX_CONTENT // 16  # so that not many are tried
                continue
            left -= len(text)
            yield key.decode("latin-1"), text


def _raw_profiles(path: Path, chunks: Chunks) -> dict[str, bytes]:
    """ImageMagick's texts "Raw profile type NAME": an empty line, the name, the size, hexadecimal digits."""
    profiles: dict[str, bytes] = {}
    with path.open("rb", buffering=0) as file:
        for kind, offset, length in chunks.texts:
            file.seek(offset)
            name = file.read(min(length, len(_RAW) + 5)).partition(b"\0")[0].decode("latin-1").lower()
            name = name.removeprefix(_RAW.decode().lower())
            if kind == b"iTXt" or name not in _RAW_NAMES or name in profiles:
                continue
            profiles[name] = b""
            try:
                content = _content(path, file, kind, offset, length).partition(b"\0")[2]
                lines = (inflate(content[1:]) if kind == b"zTXt" else content).split(b"\n", 3)
                profiles[name] = bytes.fromhex(lines[3].decode("ascii"))
            except (ImageError, ValueError, IndexError):
                continue
    return profiles
