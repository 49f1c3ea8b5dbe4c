"""Every way in which reading a file can fail, as one sentence that names the file."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import warnings
from collections.abc import Iterator
from pathlib import Path

from PIL import Image

from ..retry import reason_of as reason_of
from .limits import ImageError, too_large

_TRANSIENT = frozenset({errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.EMFILE, errno.ENFILE, errno.EAGAIN})
"""Errors of the machine or network rather than the image; raised as OSError, so that callers can retry."""

_LONGEST = 200
"""Characters of a decoder's message that are passed on."""


def check_file(path: Path, folders: bool = False) -> None:
    """Raise ImageError unless `path` is a regular, non-empty file: others block or mislead a decoder.

    `folders` says that it may also be a folder, of a format that is one.
    """
    about = path.stat()
    if stat.S_ISDIR(about.st_mode):
        os.scandir(path).close()  # raises if it may not be read, which is why `list_images` has listed it
        if folders:
            return
        raise ImageError(f"{path} is a folder, not an image.")
    if not stat.S_ISREG(about.st_mode):
        raise ImageError(f"{path} is a pipe, a socket or a device, not a file: remove it.")
    if about.st_size == 0:
        raise ImageError(f"{path} is empty: replace or remove it.")


@contextlib.contextmanager
def one_sentence(path: Path) -> Iterator[None]:
    """Turn every exception of a decoder into an ImageError naming the file, and suppress its warnings.

    Raises OSError after a transient error of the disk or the network.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except ImageError:
        raise
    except FileNotFoundError as error:
        what = "is a link that leads nowhere" if path.is_symlink() else "does not exist"
        raise ImageError(f"{path} {what}: replace or remove it.") from error
    except PermissionError as error:
        raise ImageError(f"{path} may not be read: check its permissions.") from error
    except Image.DecompressionBombError as error:
        raise too_large(path) from error
    except MemoryError as error:
        raise ImageError(f"{path} does not fit into memory: cut it into smaller images.") from error
    except Exception as error:  # decoders raise many types
        number = error.errno if isinstance(error, OSError) else None
        if number in _TRANSIENT:
            raise OSError(number, os.strerror(number), str(path)) from error
        if number == errno.ELOOP:
            raise ImageError(f"{path} is a link that leads back to itself: remove it.") from error
        raise ImageError(f"{path} cannot be decoded ({_shortened(error)}): replace or remove it.") from error


def failure_of(path: Path, doing: str, error: Exception) -> ImageError:
    """Return the sentence for an image at which something happened that nothing foresaw.

    Work on many images catches every exception, once, so that the others go on whatever happens to one.

    >>> failure_of(Path("a.png"), "evaluated", ZeroDivisionError("division by zero"))
    ImageError('a.png cannot be evaluated (division by zero).')
    """
    if isinstance(error, ImageError):
        return error
    if isinstance(error, MemoryError):
        return ImageError(f"{path} does not fit into memory: cut it into smaller images.")
    return ImageError(f"{path} cannot be {doing} ({_shortened(error)}).")


def _shortened(error: Exception) -> str:
    """The reason of an error; decoders quote what they found, however long that is."""
    reason = reason_of(error)
    return reason if len(reason) <= _LONGEST else f"{reason[:_LONGEST]}..."
