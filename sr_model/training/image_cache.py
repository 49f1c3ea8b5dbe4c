"""A cache of decoded images: decoded once, then memory-mapped by every run and process.

The cache folder holds one file per list of images: their pixels as 8-bit RGB, one image after another, then
an index. The file is named after the images' paths, sizes and modification times, so a change of any of them
makes a new file. The operating system keeps in memory what fits, so DIV2K (6.6 GB) trains on a small machine,
too.
"""

from __future__ import annotations

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

import numpy as np

from dgp_mining.images.reader import ImageError, image_size
from dgp_mining.machine import available_cores
from dgp_mining.terminal import count
from splat2d.atomic_write import SUFFIX, atomic_write

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
    """The user's cache folder: `$XDG_CACHE_HOME/dgp-mining/images`, by default under `~/.cache`."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "dgp-mining" / "images"


def decoded_images(paths: Sequence[Path], folder: Path) -> DecodedImages:
    """Read the images at `paths` from the cache in `folder`, decoding them into it first if they are missing.

    Safe for any number of processes at once: one decodes, the others wait for it. Raises TrainingError if the
    folder cannot be written or has too little space.
    """
    path = folder / f"{_digest(paths)}.images"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _locked(folder):
            if (cached := _read(path)) is not None:
                return cached
            _write(path, paths)
            written = _read(path)
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
    with (folder / "lock").open("ab") as file:
        if fcntl:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                log.info("waiting for another process to decode images into %s", folder)
                fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _read(path: Path) -> DecodedImages | None:
    """The images of a file that `_write` made; None if it does not exist or is incomplete."""
    try:
        with path.open("rb") as file:
            file.seek(-len(MAGIC) - 8, os.SEEK_END)
            tail = file.read()
            if not tail.endswith(MAGIC):
                return None
            length = int.from_bytes(tail[:8], "little")
            file.seek(-len(tail) - length, os.SEEK_END)
            index = json.loads(file.read(length))
    except (FileNotFoundError, ValueError):
        return None
    os.utime(path)  # used just now
    shapes = [(height, width, 3) for _, height, width in index["images"]]
    ends = np.cumsum([0, *(np.prod(shape) for shape in shapes)])
    pixels = np.memmap(path, np.uint8, mode="r")
    return DecodedImages(
        [Path(name) for name, _, _ in index["images"]],
        [pixels[a:b].reshape(s) for a, b, s in zip(ends[:-1], ends[1:], shapes, strict=True)],
        index["refused"],
    )


def _write(path: Path, paths: Sequence[Path]) -> None:
    """Decode images into a file, atomically."""
    for left in path.parent.glob(f"*{SUFFIX}"):  # left by a process that was killed
        left.unlink()
    sizes = [_size(image) for image in paths]
    needed = sum(3 * height * width for height, width in sizes)
    _make_room(path.parent, needed)
    log.info("decoding %s once, into %s (%.1f GB)", count(len(paths), "image"), path.parent, needed / 1e9)
    images, refused = [], []
    with atomic_write(path, durable=False) as partial, partial.open("wb") as file:
        for name, result in _decode_all(paths, sizes):
            if isinstance(result, ImageError):
                refused.append(str(result))
                continue
            file.write(result.data)
            images.append([str(name), *result.shape[:2]])
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
        log.info("removing the least recently used decoded images: %s (%.1f GB)", path, size / 1e9)
        path.unlink()
        total -= size
    if needed > (free := shutil.disk_usage(folder).free):
        raise TrainingError(
            f"Decoded, the images take {needed / 1e9:.1f} GB, and in {folder} {free / 1e9:.1f} GB are free: "
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
            f"{path} has {size[1]}x{size[0]} pixels, which take about {needed / 1e9:,.1f} GB to decode, "
            f"and {free / 1e9:,.1f} GB are free: cut it into smaller images."
        )
    try:
        return read_eight_bits(path)
    except ImageError as error:
        return error
