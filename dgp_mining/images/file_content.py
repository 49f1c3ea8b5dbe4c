"""The bytes of image files: their number, their digest, and which files are copies of others.

An image that is a folder (OME-Zarr), or a header and its pixels (NIfTI), counts as all its files together.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from ..retry import retry
from .many import in_threads

PEEK = 4096
"""Bytes at the start, the middle and the end of files of one size that are compared first."""

_DESCRIBING = frozenset({"zarr.json", ".zattrs", ".zarray", ".zgroup", ".zmetadata"})
"""Names of the metadata of Zarr 3 and 2."""

Key = TypeVar("Key")


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


def copies(paths: Sequence[Path], nbytes: Sequence[int]) -> dict[int, int]:
    """Find files with the same content: the index of each copy -> the index of the original.

    The original is the file with the shortest path, since "a.png" comes before "a copy.png", "a (1).png" and
    "backup/a.png"; of equally long ones it is the first in alphabetical order.

    Files of equal size are compared by a few of their bytes, and those that agree by their digests, so that
    hardly more than headers is read unless there are copies. What is no regular file and may block must not
    be among `paths`; folders, and files that cannot be read, are no copies.
    """
    alike = _split([range(len(paths))], nbytes.__getitem__)
    for content in (_glimpse, sha256_of):
        wanted = [i for group in alike for i in group]
        read = in_threads(_tried(content), [paths[i] for i in wanted])
        found = dict(zip(wanted, read, strict=True))
        alike = _split([[i for i in group if found[i]] for group in alike], found.__getitem__)
    originals = [min(group, key=lambda i: (len(str(paths[i])), str(paths[i]))) for group in alike]
    return {
        i: original for original, group in zip(originals, alike, strict=True) for i in group if i != original
    }


def _split(groups: Sequence[Sequence[int]], key: Callable[[int], Key]) -> list[list[int]]:
    """Split groups into those of equal keys; those of one member are left out."""
    divided: dict[tuple[int, Key], list[int]] = defaultdict(list)
    for number, group in enumerate(groups):
        for i in group:
            divided[number, key(i)].append(i)
    return [group for group in divided.values() if len(group) > 1]


def _tried(content: Callable[[Path], bytes]) -> Callable[[Path], bytes]:
    def read(path: Path) -> bytes:
        try:
            return retry(lambda: content(path))
        except OSError:
            return b""

    return read


def _glimpse(path: Path) -> bytes:
    """Return a digest of a few bytes of an image that is a file."""
    digest = hashlib.sha256()
    with (pixels_of(path) or path).open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        for start in (0, size // 2, max(0, size - PEEK)):
            file.seek(start)
            digest.update(file.read(PEEK))
    return digest.digest()
