"""The header of an OpenEXR file ("OpenEXR File Layout", "Technical Introduction to OpenEXR")."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from ..limits import MOST_DEFLATED

_DEEP, _MULTIPART = 0x800, 0x1000  # bits of the version field
_NONE, _RLE, _ZIPS, _ZIP, _PXR24 = 0, 1, 2, 3, 5  # ways of compression
_LARGEST_RATIO = {_NONE: 1, _RLE: 64, _ZIPS: MOST_DEFLATED, _ZIP: MOST_DEFLATED, _PXR24: MOST_DEFLATED}
"""How many times smaller pixels become at most; runs take two bytes for up to 128. Others have no such limit,
or one that nobody states."""
_MAX_NAME = 255
_MAX_PARTS = 4096
_MAX_ATTRIBUTE = 1 << 20  # larger ones, such as previews, are passed over


@dataclass(frozen=True)
class Channel:
    """A channel of the list."""

    kind: int
    """0: uint32, 1: half, 2: float."""
    sampling: tuple[int, int]
    """Every how many pixels it has one, in x and y."""


@dataclass(frozen=True)
class Part:
    """A part of the file, i.e. an image."""

    channels: dict[str, Channel]
    data: tuple[int, int, int, int]
    """The data window, in which pixels are stored: least x and y, greatest x and y."""
    display: tuple[int, int, int, int]
    """The display window, which is the image."""
    deep: bool
    """Whether it has several samples at each pixel."""
    attributes: dict[str, bytes] = field(default_factory=dict)
    """The other attributes as they are stored."""

    @property
    def least_bytes(self) -> int:
        """Bytes that the pixels take at least, whatever they are; 0 if nothing is known."""
        way = int.from_bytes(self.attributes.get("compression", b"\xff"), "little")
        left, top, right, bottom = self.data
        nbytes = 0
        for channel in self.channels.values():
            of_one = 2 if channel.kind == 1 else 3 if way == _PXR24 else 4  # which drops bits of floats
            across, down = (max(step, 1) for step in channel.sampling)
            nbytes += of_one * (max(right - left + 1, 0) // across) * (max(bottom - top + 1, 0) // down)
        return nbytes // _LARGEST_RATIO[way] if way in _LARGEST_RATIO else 0


def read_parts(path: Path) -> list[Part]:
    """Read the headers of all parts. Raises ValueError."""
    size = path.stat().st_size
    with path.open("rb") as file:
        _, version = struct.unpack("<II", _exactly(file, 8))
        if version & 255 != 2:
            raise ValueError(f"it has version {version & 255} of its format")
        parts = []
        while attributes := _attributes(file, size):
            several = bool(version & _MULTIPART)
            # In a file of one part, the version alone says so; its type attribute may be wrong.
            deep = attributes.get("type", b"").startswith(b"deep") if several else bool(version & _DEEP)
            parts.append(_part(attributes, deep))
            if not several or len(parts) == _MAX_PARTS:
                break
    if not parts:
        raise ValueError("its header is empty")
    return parts


def _attributes(file: BinaryIO, size: int) -> dict[str, bytes]:
    """Read attributes up to the empty name that ends a header."""
    attributes = {}
    while name := _name(file):
        _name(file)  # the type
        length = int.from_bytes(_exactly(file, 4), "little")
        if length > size:
            raise ValueError(f"its attribute {name!r} is longer than the file")
        if length > _MAX_ATTRIBUTE:
            file.seek(length, 1)
        else:
            attributes[name] = _exactly(file, length)
    return attributes


def _part(attributes: dict[str, bytes], deep: bool) -> Part:
    for name in ("channels", "dataWindow", "displayWindow"):
        if name not in attributes:
            raise ValueError(f"its header lacks {name}")
    left, top, right, bottom = struct.unpack("<4i", attributes["dataWindow"])
    return Part(
        channels=_channels(attributes["channels"]),
        data=(left, top, right, bottom),
        display=struct.unpack("<4i", attributes["displayWindow"]),
        deep=deep,
        attributes=attributes,
    )


def _channels(content: bytes) -> dict[str, Channel]:
    channels = {}
    at = 0
    while at < len(content) and content[at]:
        end = content.index(b"\0", at)
        kind, _, x, y = struct.unpack_from("<iIii", content, end + 1)
        channels[content[at:end].decode("utf-8", "replace")] = Channel(kind, (x, y))
        at = end + 17
    return channels


def _name(file: BinaryIO) -> str:
    name = b""
    while (byte := _exactly(file, 1)) != b"\0":
        name += byte
        if len(name) > _MAX_NAME:
            raise ValueError("its header is damaged")
    return name.decode("utf-8", "replace")


def _exactly(file: BinaryIO, count: int) -> bytes:
    content = file.read(count)
    if len(content) < count:
        raise ValueError("its header does not end")
    return content
