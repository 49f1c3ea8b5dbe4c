"""The location of a store: a local folder, or s3://bucket/key on any S3-compatible service.

s3fs takes endpoint, region and keys from the usual places: variables such as AWS_ENDPOINT_URL and
AWS_ACCESS_KEY_ID, or ~/.aws.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import logging
import os
import shutil
import sys
import time
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zarr.abc.store import Store as ZarrStore
from zarr.storage import FsspecStore, LocalStore

from ..retry import TEMPORARY
from .bounded import MOST_METADATA, Bounded, ChunkSize, check_file, check_length
from .integrity import StoreError

LEFTOVER_SECONDS = 60
"""Age, s, from which a temporary file is assumed to be left by a killed writer. A living writer renames its
file within moments; if the assumption is wrong, it retries its chunk."""

_REMOTE = {"use_listings_cache": False}  # other machines may write, too


@dataclass(frozen=True)
class Location:
    """A local folder or an s3:// address."""

    text: str
    """The path or address as the user gave it."""

    def __post_init__(self) -> None:
        scheme, separator, rest = self.text.partition("://")
        if separator and (scheme != "s3" or not rest.strip("/")):
            raise StoreError(f"{self.text} is neither a local folder nor of the form s3://bucket/name.")
        if "\0" in self.text or not self.text:
            raise StoreError(f"{self.text!r} is not the name of a folder.")

    def __str__(self) -> str:
        return self.text

    @property
    def remote(self) -> bool:
        """Whether it is an s3:// address."""
        return self.text.startswith("s3://")

    def __truediv__(self, name: str) -> Location:
        return Location(f"{self.text.rstrip('/')}/{name}")

    def absolute(self) -> Location:
        """The same location, independent of the working directory."""
        return self if self.remote else Location(os.path.abspath(self.text))

    def open(self, chunk: ChunkSize | None = None) -> ZarrStore:
        """Return the Zarr store of this location, with bounds on what is read; `chunk` is of an array."""
        if not self.remote:
            return Bounded(LocalStore(self.text), chunk)
        self._filesystem()  # raises StoreError if s3fs is missing
        be_quiet_at_exit()
        return Bounded(FsspecStore.from_url(self.text, storage_options=_REMOTE), chunk)

    def modified(self) -> dict[str, float]:
        """Return the modification time, s since 1970, of each direct entry by name (folders on S3: 0).

        Empty if the location does not exist. Raises NotADirectoryError for a file.
        """
        if not self.remote:
            try:
                with os.scandir(self.text) as entries:
                    return dict(_modified(entries))
            except FileNotFoundError:
                return {}
            except NotADirectoryError:
                if os.path.lexists(self.text):
                    raise
                return {}  # below a file
        try:
            listed = self._filesystem().ls(self.text, detail=True)
        except FileNotFoundError:
            return {}
        names = {str(entry["name"]).rstrip("/").rpartition("/")[2]: _seconds(entry) for entry in listed}
        names.pop("", None)
        return names

    def delete(self) -> None:
        """Delete everything; a local folder is renamed first, so that it disappears at once."""
        if self.remote:
            self._filesystem().rm(self.text, recursive=True)
            return
        path = Path(self.text)
        doomed = path.with_name(f".{path.name}.{uuid.uuid4().hex}.deleted")
        path.rename(doomed)
        shutil.rmtree(doomed)

    def remove(self, name: str) -> None:
        """Delete one file, if it exists."""
        if self.remote:
            with contextlib.suppress(FileNotFoundError):
                self._filesystem().rm_file(f"{self.text.rstrip('/')}/{name}")
        else:
            Path(self.text, name).unlink(missing_ok=True)

    def remove_folder(self, name: str) -> None:
        """Delete a folder if it is empty; S3 has none."""
        if not self.remote:
            with contextlib.suppress(OSError):
                os.rmdir(Path(self.text, name))

    def read(self, name: str, most: int = MOST_METADATA) -> bytes:
        """Return the content of a file.

        Raises FileNotFoundError if there is none, ValueError if it has more than `most` bytes.
        """
        if self.remote:
            content = bytes(self._filesystem().cat_file(f"{self.text.rstrip('/')}/{name}"))
            check_length(len(content), most)
            return content
        check_file(Path(self.text, name), most)
        return Path(self.text, name).read_bytes()

    def nbytes(self) -> int:
        """Return the sizes of all files below together; 0 if there is nothing."""
        if self.remote:
            found = self._filesystem().find(self.text, detail=True)
            return sum(int(entry["size"]) for entry in found.values())
        if not os.path.isdir(self.text):
            return 0
        return sum(entry.stat(follow_symlinks=False).st_size for entry in _files(self.text))

    def write(self, name: str, content: bytes) -> None:
        """Write a file, and the folders above it; readers see all of it or nothing."""
        if self.remote:
            self._filesystem().pipe_file(f"{self.text.rstrip('/')}/{name}", content)
            return
        path = Path(self.text, name)
        partial = path.with_name(f"{path.name}.{uuid.uuid4().hex}{TEMPORARY}")
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with partial.open("xb") as file:  # never into a file, or through a link, that is there
                file.write(content)
            partial.replace(path)
        except OSError:
            partial.unlink(missing_ok=True)  # of a full disk
            raise

    def files(self) -> list[str]:
        """Return the paths of all files below, relative to here; empty if there is nothing."""
        if self.remote:
            root = self.text.removeprefix("s3://").rstrip("/") + "/"
            return [str(path).removeprefix(root) for path in self._filesystem().find(self.text)]
        if not os.path.isdir(self.text):
            return []
        return [os.path.relpath(entry.path, self.text).replace(os.sep, "/") for entry in _files(self.text)]

    def remove_stale_files(self) -> int:
        """Delete the temporary files of killed writers and return their number; S3 has none."""
        removed, before = 0, time.time() - LEFTOVER_SECONDS
        for path in [] if self.remote else _files(self.text):
            if not path.name.endswith(TEMPORARY):
                continue
            with contextlib.suppress(FileNotFoundError):  # renamed meanwhile by another run that writes it
                if path.stat(follow_symlinks=False).st_mtime < before:
                    os.unlink(path)
                    removed += 1
        return removed

    def _filesystem(self) -> Any:
        try:
            import fsspec
            import s3fs  # noqa: F401
        except ImportError as error:
            raise StoreError(f"{self.text} needs s3fs: pip install 'dgp-mining[s3]'.") from error
        return fsspec.filesystem("s3", **_REMOTE)


def _modified(entries: Iterable[os.DirEntry[str]]) -> Iterator[tuple[str, float]]:
    for entry in entries:
        with contextlib.suppress(FileNotFoundError):  # the temporary file of another run, renamed meanwhile
            yield entry.name, entry.stat().st_mtime


@functools.cache
def be_quiet_at_exit() -> None:
    """Print nothing about requests that are pending when this process ends.

    After an outage that ended a run with a sentence, asyncio and botocore print hundreds of lines of them.
    """

    def silence() -> None:
        logging.getLogger("asyncio").setLevel(logging.CRITICAL + 1)
        sys.unraisablehook = lambda _: None

    atexit.register(silence)


def _seconds(entry: dict[str, Any]) -> float:
    written = entry.get("LastModified")
    return written.timestamp() if written else 0.0


def _files(folder: str) -> Iterator[os.DirEntry[str]]:
    waiting = [folder]  # and no recursion: folders may lie in each other a thousand deep
    while waiting:
        # Another run may have removed a folder meanwhile, as that of a chunk's pieces.
        with contextlib.suppress(FileNotFoundError), os.scandir(waiting.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)
                else:
                    yield entry
