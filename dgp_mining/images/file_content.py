"""The bytes of image files: their number and their digest.

An image that is a folder (OME-Zarr), or a header and its pixels (NIfTI), counts as all its files together.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path

_DESCRIBING = frozenset({"zarr.json", ".zattrs", ".zarray", ".zgroup", ".zmetadata"})
"""Names of the metadata of Zarr 3 and 2."""


def nbytes_of(path: Path) -> int:
    """Return the number of bytes of an image. Raises OSError if there is none."""
    about = path.stat()
    if not stat.S_ISDIR(about.st_mode) and pixels_of(path) is None:
        return about.st_size
    return sum(part.stat().st_size for part in _parts(path))


def sha256_of(path: Path) -> bytes:
    """Return the SHA-256 of an image file, 32 bytes; of a header and its pixels, that of both digests.

    Of a folder, of which a run reads only the chunks that it needs, it is that of the names and sizes of all
    files and the digests of those that describe it. Raises OSError if it cannot be read.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "a.png"
    >>> _ = path.write_bytes(b"abc")
    >>> sha256_of(path).hex()[:8]
    'ba7816bf'
    """
    folder = path.is_dir()
    if not folder and pixels_of(path) is None:
        return _digest(path)
    whole = hashlib.sha256()
    for part in _parts(path):
        name = part.relative_to(path).as_posix() if folder else part.suffix.lower()
        whole.update(f"{name}\0{part.stat().st_size}\0".encode("utf-8", "surrogateescape"))
        if not folder or part.name in _DESCRIBING:
            whole.update(_digest(part))
    return whole.digest()


def pixels_of(header: Path) -> Path | None:
    """Return the file with the pixels that a NIfTI header has by its side (NIfTI-1, "ni1"); None if none."""
    if header.suffix.lower() != ".hdr":
        return None
    names = (header.with_suffix(suffix) for suffix in (".img", ".IMG"))
    return next((path for path in names if path.is_file()), None)


def _parts(path: Path) -> Iterator[Path]:
    """Yield all files of an image that is a folder, or a header and its pixels."""
    if not path.is_dir():
        yield from filter(None, (path, pixels_of(path)))
    for below, folders, names in os.walk(path):
        folders.sort()
        yield from (Path(below, name) for name in sorted(names))


def _digest(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()
