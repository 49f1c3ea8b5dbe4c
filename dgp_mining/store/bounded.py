"""Reading files of a store that a stranger may have made: none is read or unpacked beyond what it can be.

A chunk of a kilobyte can say that it unpacks to gigabytes, a link can lead to a device without end, and
a list of empty lists takes twenty times its bytes.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path

from numcodecs.zstd import Zstd
from zarr.abc.store import ByteRequest
from zarr.abc.store import Store as ZarrStore
from zarr.core.buffer import Buffer, BufferPrototype
from zarr.storage import LocalStore, WrapperStore

MOST_METADATA = 64_000_000
"""Bytes of the longest metadata that are read; consolidated ones have 40,000 for each part of a store."""

MOST_VALUES = 1_500_000
"""Lists, tables and entries of metadata, each of which takes about a hundred bytes."""

FREE = 160_000_000
"""Bytes that may be claimed whatever the size of a file."""

FREE_WIDE = 1_000_000_000
"""The same of fields and snapshots, of which a dozen failed crops of 2048 pixels have 400 MB of zeros."""

RATIO = 300
"""Bytes beyond these that may be claimed for each byte of a file: fields and statistics have less than ten,
equal rows about a hundred, and those of failed crops, which are all zero, are smaller than FREE."""

_MAGIC = b"\x28\xb5\x2f\xfd"


@dataclass(frozen=True)
class ChunkSize:
    """What the chunks of an array unpack to."""

    nbytes: int
    """Their bytes; of texts, what they have at most."""
    texts: int | None = None
    """The number of texts; None for numbers."""
    free: int = FREE
    """Bytes to which a chunk may unpack however few it has."""

    def check(self, content: bytes) -> None:
        """Raise ValueError if a chunk, compressed and with its checksum, unpacks to something else."""
        claimed = unpacked_size(content)
        if claimed is None:
            raise ValueError("a chunk does not say its size, or is not compressed by zstd")
        if claimed > self.nbytes or (self.texts is None and claimed < self.nbytes):
            raise ValueError(f"a chunk says that it has {claimed} bytes, and not {self.nbytes}")
        if claimed > self.free + RATIO * len(content):
            raise ValueError(f"a chunk of {len(content)} bytes says that it has {claimed}")
        if self.texts is not None:
            number = int.from_bytes(bytes(Zstd().decode(content[:-4]))[:4], "little")
            if number != self.texts:
                raise ValueError(f"a chunk says that it has {number} texts, and not {self.texts}")


class Bounded(WrapperStore[ZarrStore]):
    """A store of Zarr that refuses files which are too large, or no files, with a ValueError."""

    def __init__(self, store: ZarrStore, chunk: ChunkSize | None = None) -> None:
        """`chunk` is of the only array whose chunks are read."""
        super().__init__(store)
        self.chunk = chunk

    def _with_store(self, store: ZarrStore) -> Bounded:
        return Bounded(store, self.chunk)

    async def get(
        self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        """Return the content of a file, as all stores of Zarr do. Raises ValueError."""
        is_metadata = key.rpartition("/")[2] == "zarr.json"
        chunk = None if is_metadata else self.chunk
        most = 2 * chunk.nbytes + 1000 if chunk else MOST_METADATA
        if isinstance(self._store, LocalStore):
            check_file(self._store.root / key, most)
        found = await self._store.get(key, prototype, byte_range)
        if found is not None and byte_range is None:
            check_length(len(found), most)
            if is_metadata:
                _check_values(found.to_bytes())
            elif chunk:
                chunk.check(found.to_bytes())
        return found


def check_file(path: str | Path, most: int) -> None:
    """Raise ValueError if there is something else than a file of at most `most` bytes."""
    try:
        about = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return
    if stat.S_ISREG(about.st_mode):
        check_length(about.st_size, most)
    elif not stat.S_ISDIR(about.st_mode):
        raise ValueError("it is not a file")


def check_length(nbytes: int, most: int) -> None:
    """Raise ValueError if a file has more bytes than `most`."""
    if nbytes > most:
        raise ValueError(f"it has {nbytes} bytes, more than the {most} that are read")


def unpacked_size(content: bytes) -> int | None:
    """Return to how many bytes a frame of zstd says that it unpacks; None if it does not say so.

    Its header is described in RFC 8878, section 3.1.1.1.

    >>> from numcodecs.zstd import Zstd
    >>> unpacked_size(Zstd(3).encode(bytes(100_000)))
    100000
    """
    if content[:4] != _MAGIC or len(content) < 5:
        return None
    flags = content[4]
    single = bool(flags & 0x20)
    length = (1 if single else 0, 2, 4, 8)[flags >> 6]
    begin = 5 + (not single) + (0, 1, 2, 4)[flags & 3]
    field = content[begin : begin + length]
    if not length or len(field) < length:
        return None
    return int.from_bytes(field, "little") + (256 if length == 2 else 0)


def _check_values(content: bytes) -> None:
    values = sum(content.count(mark) for mark in (b",", b"[", b"{"))
    if values > MOST_VALUES:
        raise ValueError(f"it has {values} values, more than the {MOST_VALUES} that are read")
