"""The units (HDUs) of a FITS file, by their headers alone (IAU FITS Standard 4.0, 3.1 and 4.4.1).

astropy takes whatever follows a unit for a header until it finds its end, and of a file that gzip has
compressed it unpacks all to know its size. Here headers have a limit, and what stands behind the first image
is only counted.
"""

from __future__ import annotations

import contextlib
import gzip
import io
import math
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from ..limits import MOST_DEFLATED, ImageError, ends_early
from .packed import is_gzipped, unpacked

_BLOCK, _CARD = 2880, 80
_MOST_HEADER = 4000 * _BLOCK
"""Bytes of the longest header that is read, of 144,000 cards."""

_MOST_PASSED = 1 << 30
"""Bytes behind the first image in which further ones are counted."""

_DAMAGED_HEADER = (ValueError, KeyError)
_DAMAGED_STREAM = (EOFError, gzip.BadGzipFile, zlib.error)


@contextlib.contextmanager
def opened(path: Path) -> Iterator[Any]:
    """Open a file with astropy; one that gzip has compressed ends for it where its first image does.

    Raises ImageError if there is no image, or its header is damaged.
    """
    from astropy.io import fits

    end = _end_of_first(path)
    if not is_gzipped(path):
        # Sections of an array are read from the disk; of compressed images, only the tiles that they meet.
        with fits.open(path, memmap=True, do_not_scale_image_data=True) as file:
            yield file
        return
    try:
        with (
            unpacked(path) as whole,
            io.BufferedReader(_Beginning(whole, end)) as beginning,
            fits.open(beginning, do_not_scale_image_data=True) as file,
        ):
            yield file
    except EOFError as error:
        raise ends_early(path) from error


def count_images(path: Path) -> int:
    """The number of images in a file; those far behind the first, and behind damage, do not count."""
    images = end = 0
    with unpacked(path) as file, contextlib.suppress(*_DAMAGED_HEADER, *_DAMAGED_STREAM):
        for is_image, until in _units(file):
            images += is_image
            end = end or until * is_image
            if end and until > end + _MOST_PASSED:
                break
    return images


def _end_of_first(path: Path) -> int:
    """Where the first image ends, in bytes, unpacked. Raises ImageError without an image."""
    try:
        with unpacked(path) as file:
            end = next((until for is_image, until in _units(file) if is_image), None)
    except _DAMAGED_HEADER as error:
        raise ImageError(f"{path} has a damaged header ({error}): replace or remove it.") from error
    except EOFError as error:
        raise ends_early(path) from error
    if end is None:
        raise ImageError(
            f"{path} is FITS without an image (tables, spectra or groups of visibilities alone): remove it."
        )
    if is_gzipped(path) and end - _BLOCK > MOST_DEFLATED * path.stat().st_size:  # the last block may lack
        raise ends_early(path)
    return end


class _Beginning(io.RawIOBase):
    """The first bytes of a file that can be sought, as if there were no others."""

    def __init__(self, file: IO[bytes], end: int) -> None:
        self._file, self._end, self._at = file, end, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._end}[whence]
        self._at = start + offset
        return self._at

    def readinto(self, buffer: Any) -> int:
        self._file.seek(self._at)
        content = self._file.read(max(0, min(len(buffer), self._end - self._at)))
        buffer[: len(content)] = content
        self._at += len(content)
        return len(content)


def _units(file: IO[bytes]) -> Iterator[tuple[bool, int]]:
    """Yield whether each unit is an image of two axes or more, and where it ends. Raises _DAMAGED_HEADER."""
    from astropy.io import fits

    at = 0
    while text := _header(file):
        header = fits.Header.fromstring(text)
        shape = _axes(header, "NAXIS")
        groups = bool(header.get("GROUPS")) and shape[:1] == [0]
        count = 0
        if shape:  # without an axis there are no data, whatever the counts say (4.4.1.1)
            count = _whole(header, "GCOUNT", 1) * (_whole(header, "PCOUNT", 0) + math.prod(shape[groups:]))
        nbytes = abs(_whole(header, "BITPIX")) // 8 * max(count, 0)
        at += len(text) + -(-nbytes // _BLOCK) * _BLOCK
        kind = str(header.get("XTENSION", "IMAGE")).strip()
        if kind == "BINTABLE" and header.get("ZIMAGE") is True:
            kind, shape = "IMAGE", _axes(header, "ZNAXIS")
        yield kind == "IMAGE" and not header.get("GROUPS") and len(shape) > 1 and min(shape) > 0, at
        file.seek(at)


def _header(file: IO[bytes]) -> bytes:
    """The next header; empty if none follows. Raises ValueError if it is too long or does not end."""
    text = bytearray(file.read(_BLOCK))
    if not text.startswith((b"SIMPLE  =", b"XTENSION=")):
        return b""
    while not any(_is_end(text[at : at + _CARD]) for at in range(len(text) - _BLOCK, len(text), _CARD)):
        block = file.read(_BLOCK)
        if len(block) < _BLOCK or len(text) >= _MOST_HEADER:
            raise ValueError("it does not end")
        text += block
    return bytes(text)


def _is_end(card: bytearray) -> bool:
    return card[:3] == b"END" and not card[3:8].strip(b" \0")


def _axes(header: Any, name: str) -> list[int]:
    return [_whole(header, f"{name}{number + 1}") for number in range(_whole(header, name))]


def _whole(header: Any, name: str, default: int | None = None) -> int:
    """The whole number of a card. Raises ValueError for another value, and KeyError without such a card."""
    from astropy.io import fits

    try:
        value = header[name] if default is None else header.get(name, default)
    except fits.VerifyError as error:
        raise ValueError(f"{name} cannot be read") from error
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value // 1:
        raise ValueError(f"{name} is not a whole number")
    return int(value)
