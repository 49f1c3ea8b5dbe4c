"""The boxes of JPEG 2000, JPEG XL, AVIF and HEIF files (ISO/IEC 14496-12, 4.2; ITU-T T.800, I.4)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

MAX_BOXES = 10_000
"""Most boxes in one file or box; more are damage, or never end."""
MAX_CONTENT = 1 << 26
"""Most bytes of a box that is read whole; pixels are not read so."""


@dataclass(frozen=True)
class Box:
    """Where the content of a box lies in its file."""

    kind: bytes
    """Four characters."""
    start: int
    """Offset of its first byte, after the box's header."""
    end: int
    """Offset after its last byte."""
    cut: bool = False
    """Whether what contains it ends first; `end` is that end."""


def boxes(file: BinaryIO, start: int, end: int) -> Iterator[Box]:
    """Yield the boxes between two offsets; only their headers are read.

    Bytes at the end that are too few for a box are ignored. Raises ValueError if there are too many boxes or
    one is shorter than its own header.

    >>> import io
    >>> [box.kind for box in boxes(io.BytesIO(b"\\0\\0\\0\\x09ftypx\\0\\0\\0\\x08free"), 0, 17)]
    [b'ftyp', b'free']
    """
    for _ in range(MAX_BOXES):
        if end - start < 8:
            return
        file.seek(start)
        head = file.read(16)
        length, content = int.from_bytes(head[:4]), start + 8
        if length == 1:
            length, content = int.from_bytes(head[8:16]), start + 16
        after = start + length if length else end
        if after < content:
            raise ValueError("a box is shorter than its header")
        yield Box(head[4:8], min(content, end), min(after, end), after > end)
        start = after
    raise ValueError("it has too many boxes")


def content(file: BinaryIO, box: Box) -> bytes:
    """Read the whole content of a box. Raises ValueError if it is cut or unreasonably long."""
    if box.cut:
        raise ValueError("it ends before its header does")
    if box.end - box.start > MAX_CONTENT:
        raise ValueError(f"a box of kind {box.kind.decode('latin-1')!r} is too long")
    file.seek(box.start)
    return file.read(box.end - box.start)


def file_end(file: BinaryIO) -> int:
    """The length of an open file."""
    return file.seek(0, 2)


def find(file: BinaryIO, *kinds: bytes) -> Box | None:
    """Return the first box of a kind that lies in the first of another kind, and so on; None if none does."""
    box: Box | None = Box(b"file", 0, file_end(file))
    for kind in kinds:
        if box is None:
            return None
        box = next((inner for inner in boxes(file, box.start, box.end) if inner.kind == kind), None)
    return box
