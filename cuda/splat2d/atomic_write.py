"""Writing a file completely or not at all: under a temporary name in the same folder, then renamed."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def atomic_write(path: str | Path, *, durable: bool = False) -> Iterator[Path]:
    """Yield a path in the same folder to write to; rename it to `path` at the end, or remove it on an error.

    Readers of `path` see either the old file or the complete new one. The new file gets the permissions that
    `open` would give it, even if it is written by a library that makes files private. With `durable`, the
    bytes are on the disk before the file is renamed, so that a power failure cannot leave half of it. Raises
    OSError if the file cannot be written.

    >>> import tempfile
    >>> target = Path(tempfile.mkdtemp()) / "numbers.txt"
    >>> with atomic_write(target) as partial:
    ...     _ = partial.write_text("1 2 3")
    >>> target.read_text()
    '1 2 3'
    """
    path = Path(path)
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        try:
            file = partial.open("wb")
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(path)) from None  # not of the partial file's name
        with file:
            mode = os.stat(file.fileno()).st_mode & 0o777
        yield partial
        os.chmod(partial, mode)
        if durable:
            with partial.open("rb+") as written:
                os.fsync(written.fileno())
        os.replace(partial, path)
    finally:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
