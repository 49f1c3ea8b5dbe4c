"""The folder of images that a dictionary was mined from, as far as this machine knows it.

A dictionary is passed on, so no path is in it. Where its images lie is recorded in the user's own cache,
under the digest of the file, so that `sr-train --prior dict.npz` finds them, wherever the file is moved here.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

from splat2d.atomic_write import atomic_write
from splat2d.private_cache import open_own, private_folder

CACHE = ("dgp-mining", "mined-from")
"""Folder of the records in the user's cache."""

MOST_RECORD = 20_000
"""Bytes of the longest record; a path has at most some thousand."""


def record_images(dictionary: str | Path, folder: str | Path) -> bool:
    """Record that the dictionary in a file was mined from the images in `folder`; return whether it could be.

    It cannot if there is no such folder, or the user's cache is not to be written to.

    >>> import tempfile
    >>> work = Path(tempfile.mkdtemp())
    >>> _ = (work / "dict.npz").write_bytes(b"a dictionary")
    >>> record_images(work / "dict.npz", work / "gone")
    False
    """
    try:
        if not os.path.isdir(folder):
            return False
        record = private_folder(CACHE) / _name(dictionary)
        with atomic_write(record, durable=False) as partial:
            partial.write_text(json.dumps(os.path.abspath(folder)), encoding="utf-8")
        record.chmod(0o600)  # whatever the umask: `open_own` takes no file that a group can write
    except OSError:
        return False
    return True


def recorded_images(dictionary: str | Path) -> Path | None:
    """Return the absolute folder that was recorded for the content of a file; None if there is no record.

    Only what this user recorded counts. The folder may be gone. Raises OSError if `dictionary` cannot be
    read.
    """
    name = _name(dictionary)
    try:
        with open_own(private_folder(CACHE) / name) as file:
            folder = json.loads(file.read(MOST_RECORD))
    except (OSError, ValueError, RecursionError):
        return None
    return Path(folder) if isinstance(folder, str) and os.path.isabs(folder) else None


def _name(dictionary: str | Path) -> str:
    with open(dictionary, "rb") as file:
        return f"{hashlib.file_digest(file, 'sha256').hexdigest()}.json"
