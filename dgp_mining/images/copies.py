"""Which images of a folder are copies of others, found with hardly more than a look into each.

These are copies: files with the same bytes; PNG, JPEG and WebP files with the same compressed pixels,
whatever else they say; and files that are decoded to the same pixels, if both are PNG, or if they have one
name and at least one format is without loss. Not found are conversions under another name, pixels compressed
anew in another format than PNG, and such PNG files whose first rows have one colour.
"""

from __future__ import annotations

import hashlib
import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np

from ..machine import available_cores
from ..retry import retry
from .file_content import pixels_of, sha256_of
from .formats.pixel_data import pixel_data
from .formats.png_row import first_row
from .formats.table import FORMATS, suffix_of
from .many import READERS, in_threads
from .reader import decode_image
from .reading import AS_STORED, Reading

PEEK = 4096
"""Bytes at the start, the middle and the end of files of one size that are compared first."""

DECODERS = 4
"""Threads that decode pixels, at most; each holds a whole image."""

_WITHOUT_LOSS = frozenset(
    {"PNG", "WebP", "TIFF", "BMP", "QOI", "Netpbm", "TGA", "GIF", "JPEG 2000", "JPEG XL"}
)
"""Formats into which pixels are converted without a change."""

_CONVERTED = _WITHOUT_LOSS | {"JPEG", "AVIF"}
"""Formats of which there may be such a conversion; those of cameras are not worth their slow decoding."""

_FORMAT_OF = {suffix: form.name for form in FORMATS for suffix in form.suffixes if form.name in _CONVERTED}

Key = TypeVar("Key")


def copies(
    paths: Sequence[Path],
    nbytes: Sequence[int],
    sizes: Iterable[tuple[int, int]],
    reading: Reading = AS_STORED,
) -> dict[int, int]:
    """Find copies: the index of each -> the index of its original.

    The original is the file with the shortest path, since "a.png" comes before "a copy.png", "a (1).png" and
    "backup/a.png"; of equally long ones it is the first in alphabetical order. `sizes` are (height, width) of
    the upright images, `nbytes` those of the files.

    What is no regular file and may block must not be among `paths`; folders, and files that cannot be read,
    are no copies.
    """
    shapes = [(min(size), max(size)) for size in sizes]  # whichever way they are turned
    original = list(range(len(paths)))

    def unite(groups: Iterable[Iterable[int]]) -> list[int]:
        """Give each group one original; return those of all images."""
        for group in groups:
            firsts = {_root(original, i) for i in group}
            first = min(firsts, key=lambda i: (len(str(paths[i])), str(paths[i])))
            for i in firsts:
                original[i] = first
        return [_root(original, i) for i in range(len(paths))]

    roots = unite(_same(paths, _split([range(len(paths))], nbytes.__getitem__), (_glimpse, sha256_of)))
    alike = _split([set(roots)], shapes.__getitem__)
    roots = unite(_same(paths, alike, (_first_pixels, _all_pixels)))
    alike = _split([set(roots)], shapes.__getitem__)
    roots = unite(_same(paths, alike, (_first_row, _decoded(reading)), decoders()))
    roots = unite(_same(paths, _conversions(paths, shapes, roots), (_decoded(reading),), decoders()))
    return {i: first for i, first in enumerate(roots) if i != first}


def decoders() -> int:
    """Return the number of threads that decode pixels: DECODERS, or one for each core if these are fewer."""
    return min(DECODERS, available_cores())


def _root(original: Sequence[int], i: int) -> int:
    while original[i] != i:
        i = original[i]
    return i


def _same(
    paths: Sequence[Path],
    groups: list[list[int]],
    contents: Sequence[Callable[[Path], bytes]],
    threads: int = READERS,
) -> list[list[int]]:
    """Split groups by what each of the functions reads, the later ones only of files that agree so far."""
    for content in contents:
        wanted = [i for group in groups for i in group]
        read = in_threads(_tried(content), [paths[i] for i in wanted], threads)
        found = dict(zip(wanted, read, strict=True))
        groups = _split([[i for i in group if found[i]] for group in groups], found.__getitem__)
    return groups


def _conversions(
    paths: Sequence[Path], shapes: Sequence[tuple[int, int]], roots: Sequence[int]
) -> list[list[int]]:
    """Return groups of images that may be conversions of each other, by their names and sizes.

    Of those that are known to be the same, whose originals are `roots`, only the original is returned.
    """
    formats = [_FORMAT_OF.get(suffix_of(path.name), "") for path in paths]
    known = [i for i, form in enumerate(formats) if form]
    candidates = []
    for group in _split([known], lambda i: (paths[i].stem.lower(), shapes[i])):
        of, firsts = {formats[i] for i in group}, {roots[i] for i in group}
        if len(firsts) > 1 and len(of) > 1 and of & _WITHOUT_LOSS:
            candidates.append(sorted(firsts))
    return candidates


def _split(groups: Sequence[Iterable[int]], key: Callable[[int], Key]) -> list[list[int]]:
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
        except Exception:  # of damage anywhere in the file; an image that cannot be read is no copy
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


def _first_pixels(path: Path) -> bytes:
    """Return the first compressed pixels; nothing for other formats than those of `pixel_data`."""
    read = b""
    for block in pixel_data(path) if path.is_file() else ():
        read += block
        if len(read) >= PEEK:
            break
    return read[:PEEK]


def _first_row(path: Path) -> bytes:
    return first_row(path) if path.is_file() else b""


def _all_pixels(path: Path) -> bytes:
    digest = hashlib.sha256()
    for block in pixel_data(path):
        digest.update(block)
    return digest.digest()


def _decoded(reading: Reading) -> Callable[[Path], bytes]:
    def read(path: Path) -> bytes:
        pixels = decode_image(path, reading).pixels
        return hashlib.sha256(f"{pixels.shape}".encode() + np.ascontiguousarray(pixels).tobytes()).digest()

    return read
