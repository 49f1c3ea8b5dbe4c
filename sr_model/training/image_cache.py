"""A cache of decoded images: decoded once, then memory-mapped by every run and process.

The cache folder holds one file per list of images: their pixels as 8-bit RGB, one image after another, then
an index. The file is named after the images' paths, sizes and modification times, so a change of any of them
makes a new file. The operating system keeps in memory what fits, so DIV2K (6.6 GB) trains on a small machine,
too.

The user's own cache is theirs alone (`splat2d.private_cache`). A folder that they name may be shared with a
group, whose members can then change what the others train on, as they can where a group shares the images.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from types import ModuleType
from typing import IO, BinaryIO

import msgspec
import numpy as np

from dgp_mining.images.reader import ImageError, image_size
from dgp_mining.machine import amount, available_cores
from dgp_mining.terminal import count
from splat2d.atomic_write import SUFFIX, atomic_write, make_folder
from splat2d.private_cache import IMAGES, NotPrivate, cache_path, open_own, open_shared, private_folder

from ..image_io.reader import read_eight_bits
from ..memory import free_memory
from .errors import TrainingError

fcntl: ModuleType | None
try:
    import fcntl
except ImportError:  # Windows: two processes that start at once decode the same images twice
    fcntl = None

log = logging.getLogger(__name__)

KEPT_BYTES = 100 * 10**9
"""Size of the cache above which the least recently used files are removed."""
DECODING_BYTES = 40
"""Memory per pixel while an image is decoded: 16-bit channels and floats, each twice."""
AT_ONCE = 16
"""Images decoded at a time, at most."""
REPORT_SECONDS = 10
"""Seconds between logged lines."""
MAGIC = b"sr_model-images/1"


@dataclass(frozen=True)
class DecodedImages:
    """The readable images of a list of files."""

    paths: list[Path]
    """The files that could be decoded."""
    images: list[np.ndarray]
    """Their pixels, [H, W, 3] uint8 each: views of the memory-mapped file."""
    refused: list[str]
    """One sentence for each of the other files, naming it."""


def default_cache() -> Path:
    """The user's cache folder: `$XDG_CACHE_HOME/dgp-mining/images`, by default under `~/.cache`.

    Raises TrainingError if the user has no home.
    """
    try:
        return cache_path(IMAGES)
    except NotPrivate as error:
        reason = f"Decoded images have no folder, since {error.strerror}: name one with cache=."
        raise TrainingError(reason) from error


def _is_own(folder: Path) -> bool:
    """Whether it is the user's cache folder."""
    with contextlib.suppress(NotPrivate):
        return folder == cache_path(IMAGES)
    return False


def decoded_images(paths: Sequence[Path], folder: Path) -> DecodedImages:
    """Read the images at `paths` from the cache in `folder`, decoding them into it first if they are missing.

    Safe for any number of processes at once: one decodes, the others wait for it. Raises TrainingError if the
    folder cannot be written or has too little space, or if it is in the user's cache, but not theirs alone.
    """
    own = _is_own(folder)
    path = folder / f"{_digest(paths)}.images"
    try:
        if own:
            private_folder(IMAGES)
        make_folder(folder)
        with _locked(folder):
            if (cached := _read(path, paths, own)) is not None:
                return cached
            _write(path, paths)
            if own:
                path.chmod(0o600)  # whatever the umask: `open_own` takes no file that a group can write
            written = _read(path, paths, own)
    except NotPrivate as error:
        raise TrainingError(
            f"Decoded images cannot be kept in {folder}, since {error.filename} is not the user's alone "
            f"({error.strerror}): name another folder with cache=."
        ) from error
    except OSError as error:
        raise TrainingError(
            f"Decoded images cannot be kept in {folder} ({error.strerror or error}): "
            "name another folder with cache=."
        ) from error
    if written is None:
        raise TrainingError(f"{path} was damaged as soon as it was written: name another folder with cache=.")
    return written


def _digest(paths: Sequence[Path]) -> str:
    described = []
    for path in paths:
        try:
            about = path.stat()
            described.append([str(path.resolve()), about.st_size, about.st_mtime_ns])
        except OSError:  # a broken link, which decoding will report
            described.append([str(path), None, None])
    return hashlib.sha256(json.dumps(described).encode()).hexdigest()[:32]


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold the folder's lock, which a process that dies releases."""
    path = folder / "lock"
    try:
        file: IO[bytes] = path.open("ab")
    except PermissionError:  # another member of a group has made it
        file = open_shared(path)
    with file:
        if fcntl:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                log.info("waiting for another process to decode images into %s", folder)
                fcntl.flock(file, fcntl.LOCK_EX)
        yield


@dataclass(frozen=True)
class _Index:
    """What stands behind the pixels of a file."""

    images: list[tuple[str, int, int]]
    """Absolute path without links, height and width of each image."""
    refused: list[str]


def _read(path: Path, paths: Sequence[Path], own: bool) -> DecodedImages | None:
    """The images of a file that `_write` made of `paths`.

    None if it does not exist or is not such a file, whole, or if it may be a stranger's work. Images are
    called as in `paths`, whatever way leads to them: the file may be made of others, such as `../a.png`.
    """
    named = {os.path.realpath(name): name for name in paths}
    try:
        with open_own(path) if own else open_shared(path) as file:
            index = _read_index(file)
            if index is None or not {name for name, _, _ in index.images} <= named.keys():
                return None
            with contextlib.suppress(PermissionError):  # of another member of a group
                os.utime(file.fileno())  # used just now
            pixels = np.memmap(file, np.uint8, mode="r")
    except FileNotFoundError:
        return None
    except NotPrivate as error:
        log.warning("%s is not used, since %s: the images are decoded again", path, error.strerror)
        return None
    shapes = [(height, width, 3) for _, height, width in index.images]
    ends = np.cumsum([0, *(np.prod(shape) for shape in shapes)])
    return DecodedImages(
        [named[name] for name, _, _ in index.images],
        [pixels[a:b].reshape(s) for a, b, s in zip(ends[:-1], ends[1:], shapes, strict=True)],
        index.refused,
    )


def _read_index(file: BinaryIO) -> _Index | None:
    """The index of a file, if there is one that agrees with the file's size."""
    end = os.fstat(file.fileno()).st_size - len(MAGIC) - 8
    if end < 0:
        return None
    file.seek(end)
    tail = file.read()
    length = int.from_bytes(tail[:8], "little")
    if not tail.endswith(MAGIC) or length > end:
        return None
    file.seek(end - length)
    try:
        index = msgspec.convert(json.loads(file.read(length)), _Index)
    except (ValueError, RecursionError):
        return None
    sides = [side for _, *extent in index.images for side in extent]
    nbytes = sum(3 * height * width for _, height, width in index.images)
    return index if min(sides, default=1) > 0 and nbytes == end - length else None


def _write(path: Path, paths: Sequence[Path]) -> None:
    """Decode images into a file, atomically."""
    for left in path.parent.glob(f"*{SUFFIX}"):  # left by a process that was killed
        with contextlib.suppress(PermissionError):  # of another member of a group
            left.unlink()
    sizes = [_size(image) for image in paths]
    needed = sum(3 * height * width for height, width in sizes)
    _make_room(path.parent, needed)
    log.info("decoding %s once, into %s (%s)", count(len(paths), "image"), path.parent, amount(needed))
    images, refused = [], []
    with atomic_write(path, durable=False) as partial, partial.open("wb") as file:
        for name, result in _decode_all(paths, sizes):
            if isinstance(result, ImageError):
                refused.append(str(result))
                continue
            file.write(result.data)
            images.append([os.path.realpath(name), *result.shape[:2]])
        index = json.dumps({"images": images, "refused": refused}).encode()
        file.write(index + len(index).to_bytes(8, "little") + MAGIC)


def _make_room(folder: Path, needed: int) -> None:
    """Remove the least recently used files beyond KEPT_BYTES.

    Raises TrainingError if the disk has too little space.
    """
    used = sorted(((about := path.stat()).st_mtime, about.st_size, path) for path in folder.glob("*.images"))
    total = needed + sum(size for _, size, _ in used)
    for _, size, path in used:
        if total <= KEPT_BYTES:
            break
        log.info("removing the least recently used decoded images: %s (%s)", path, amount(size))
        with contextlib.suppress(PermissionError):  # of another member of a group
            path.unlink()
            total -= size
    if needed > (free := shutil.disk_usage(folder).free):
        raise TrainingError(
            f"Decoded, the images take {amount(needed)}, and in {folder} {amount(free)} are free: "
            "name another folder with cache=."
        )


def _size(path: Path) -> tuple[int, int]:
    try:
        return image_size(path)
    except ImageError:
        return 0, 0  # decoding reports the reason


def _decode_all(
    paths: Sequence[Path], sizes: Sequence[tuple[int, int]]
) -> Iterator[tuple[Path, np.ndarray | ImageError]]:
    """Decode images in order, several at a time, as long as they fit into half of the free memory."""
    reported = time.monotonic()
    with ThreadPoolExecutor(min(AT_ONCE, available_cores())) as pool:
        start = 0
        while start < len(paths):
            costs = [DECODING_BYTES * height * width for height, width in sizes[start : start + AT_ONCE]]
            fit = sum(total <= free_memory() / 2 for total in accumulate(costs))
            end = start + max(1, fit)
            some = paths[start:end]
            yield from zip(some, pool.map(_decode, some, sizes[start:end]), strict=True)
            start = end
            if time.monotonic() - reported > REPORT_SECONDS:
                reported = time.monotonic()
                log.info("decoded %d of %s", start, count(len(paths), "image"))


def _decode(path: Path, size: tuple[int, int]) -> np.ndarray | ImageError:  # [H, W, 3] uint8
    needed, free = DECODING_BYTES * size[0] * size[1], free_memory()
    if needed > free:
        return ImageError(
            f"{path} has {size[1]}x{size[0]} pixels, which take about {amount(needed)} to decode, "
            f"and {amount(free)} are free: cut it into smaller images."
        )
    try:
        return read_eight_bits(path)
    except ImageError as error:
        return error
