"""The one way in which files are written: whole or not at all, aside in the same folder, then renamed.

And the one in which the folders for them are made.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path

SUFFIX = ".part"
"""Of the files that are being written. Only a process that is killed outright leaves one."""

_LONGEST = 50
"""Characters of a file's name in that of its temporary file, which must not exceed 255 bytes either."""
_FULL = (errno.ENOSPC, errno.EDQUOT)


@contextlib.contextmanager
def atomic_write(path: str | Path, *, durable: bool = True) -> Iterator[Path]:
    """Yield a path in the same folder to write to; rename it to `path` at the end, or remove it on an error.

    Readers of `path` see either the old file or the complete new one, and of several processes that write it
    at once, one has its whole file there. The temporary name cannot be foreseen, and is made anew, so that
    nothing that others left in the folder is followed or written into. Where `path` is a link to a file, the
    new file takes the place of the link; what it points to stays as it is. The new file gets the permissions
    that `open` would give a new one, even if it is written by a library that makes files private. With
    `durable`, the bytes and then the name are on the disk, so that a power failure cannot leave half of it;
    caches do without.

    Raises OSError, which names `path`, if the file cannot be written, and before anything is written if
    `path` is something else than a file (`refuse_irregular`).

    >>> import tempfile
    >>> target = Path(tempfile.mkdtemp()) / "numbers.txt"
    >>> with atomic_write(target) as partial:
    ...     _ = partial.write_text("1 2 3")
    >>> target.read_text()
    '1 2 3'
    """
    path = Path(path)
    refuse_irregular(path)
    partial = path.with_name(f".{path.name[:_LONGEST]}.{secrets.token_hex(8)}{SUFFIX}")
    try:
        with _naming(path, partial):
            mode = _create(partial)
            yield partial
            os.chmod(partial, mode)
            if durable:
                with partial.open("rb+") as written:
                    os.fsync(written.fileno())
            refuse_irregular(path)
            os.replace(partial, path)
            if durable:
                _sync_folder(path.parent)
    finally:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)


def refuse_irregular(path: str | Path) -> None:
    """Raise OSError if `path` is what a file must not replace: a folder, a device, a pipe, a socket.

    So is a link to one of them. The error's `strerror` says what it is.

    >>> refuse_irregular("/")
    Traceback (most recent call last):
    ...
    IsADirectoryError: [Errno 21] it is a folder, not a file: '/'
    """
    try:
        mode = os.stat(path).st_mode
    except OSError:  # nothing, a link to nothing, or what opening the temporary file says
        return
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, "it is a folder, not a file", str(path))
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, f"it is {_kind(mode)}, not a file", str(path))


def make_folder(path: str | Path) -> None:
    """Make a folder and those above it, unless it is there; it may be a link to one.

    Raises OSError if it cannot be made. Where something else is in its place, or in that of a folder above
    it, the error's `strerror` says what, and not only "File exists".

    >>> make_folder("/dev/null")
    Traceback (most recent call last):
    ...
    NotADirectoryError: [Errno 20] /dev/null is a device, not a folder
    """
    path = Path(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        for folder in (path, *path.parents):
            if os.path.lexists(folder) and not os.path.isdir(folder):
                reason = f"{folder} is {_in_its_place(folder)}, not a folder"
                raise NotADirectoryError(errno.ENOTDIR, reason) from error
        raise


def _in_its_place(path: Path) -> str:
    return _kind(os.stat(path).st_mode) if os.path.exists(path) else "a link that leads nowhere"


def _kind(mode: int) -> str:
    kinds = {stat.S_IFREG: "a file", stat.S_IFCHR: "a device", stat.S_IFBLK: "a device"}
    return {**kinds, stat.S_IFIFO: "a pipe"}.get(stat.S_IFMT(mode), "a socket")


def _create(partial: Path) -> int:
    """Make the empty file, and return its mode."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
    descriptor = os.open(partial, flags, 0o666)
    try:
        return stat.S_IMODE(os.fstat(descriptor).st_mode)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _naming(path: Path, partial: Path) -> Iterator[None]:
    """Let errors name the file that is written, not the temporary one, and those of a full disk any file."""
    try:
        yield
    except OSError as error:
        unnamed = error.filename is None and error.errno in _FULL
        if error.errno is None or not (unnamed or str(error.filename) == str(partial)):
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error


def _sync_folder(folder: Path) -> None:
    """Write a folder's entries to the disk, where the system can."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0))
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
