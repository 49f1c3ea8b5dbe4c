"""Files that are packed as a whole: unpacking them as far as is asked for."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path
from typing import IO, cast

from ..limits import check_unpacked

GZIP = b"\x1f\x8b"
"""Start of a file that gzip has compressed (RFC 1952)."""

_PIECE = 1 << 20


def is_gzipped(path: Path) -> bool:
    """Whether gzip has compressed a file."""
    with path.open("rb") as file:
        return file.read(2) == GZIP


def unpacked(path: Path) -> IO[bytes]:
    """Open a file, which gzip may have compressed, as what is in it."""
    return cast(IO[bytes], gzip.open(path)) if is_gzipped(path) else path.open("rb")


def check_deflated(path: Path, start: int) -> None:
    """Raise ImageError if the stream of Deflate from `start` to a file's end does not fit into memory.

    It is unpacked a piece at a time, and nothing of it is kept. Raises zlib.error if it is damaged.
    """
    stream, nbytes = zlib.decompressobj(-zlib.MAX_WBITS), 0
    with path.open("rb") as file:
        file.seek(start)
        while not stream.eof and (content := stream.unconsumed_tail or file.read(_PIECE)):
            nbytes += len(stream.decompress(content, _PIECE))
            check_unpacked(path, "a data set", nbytes)
