"""Retrying after transient errors, and distinguishing them from permanent ones."""

from __future__ import annotations

import errno
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

Result = TypeVar("Result")

PAUSES = (0.5, 1.0, 2.0)
"""Seconds before each retry."""

NETWORK_PACKAGES = frozenset({"aiobotocore", "aiohttp", "botocore", "urllib3"})
"""Packages that access S3; their errors derive from no standard class."""

TEMPORARY = ".partial"
"""Suffix of the files that Zarr writes and then renames."""

_FULL = {errno.ENOSPC, errno.EDQUOT}

_LASTING = _FULL | {
    getattr(errno, name)
    for name in ("ENOENT", "EACCES", "EPERM", "ENOTDIR", "EISDIR", "EROFS", "ELOOP", "ENAMETOOLONG", "EFBIG")
}


class RunError(RuntimeError):
    """An error that ends a run; the message is one sentence with the next step. Finished work is kept."""


def retry(action: Callable[[], Result]) -> Result:
    """Call `action` and return its result, retrying up to three times with pauses on transient errors.

    >>> retry(lambda: 7)
    7
    """
    for pause in PAUSES:
        try:
            return action()
        except Exception as error:
            if not is_transient(error):
                raise
            time.sleep(pause)
    return action()


def is_transient(error: BaseException) -> bool:
    """Whether a retry may help, because a network or device failed and not the request itself.

    >>> is_transient(ConnectionResetError()), is_transient(FileNotFoundError(errno.ENOENT, "missing"))
    (True, False)
    """
    return any(
        _errno(cause) not in _LASTING | {None}
        or _has_lost_its_temporary_file(cause)
        or isinstance(cause, (ConnectionError, TimeoutError))
        or _from_network(cause)
        for cause in _causes(error)
    )


def is_unreachable(error: BaseException) -> bool:
    """Whether data could not be reached (network, permissions), so that they may be undamaged.

    >>> is_unreachable(PermissionError()), is_unreachable(ValueError("bad checksum"))
    (True, False)
    """
    if isinstance(error, FileNotFoundError):
        return False
    return any(
        isinstance(cause, (ConnectionError, TimeoutError, PermissionError)) or _from_network(cause)
        for cause in _causes(error)
    )


def disk_is_full(error: BaseException) -> bool:
    """Whether the disk is full or its quota used up.

    >>> disk_is_full(OSError(errno.ENOSPC, "No space left on device"))
    True
    """
    return any(_errno(cause) in _FULL for cause in _causes(error))


def memory_is_used_up(error: BaseException) -> bool:
    """Whether something could not be allocated, also by Zstandard or for a thread, which have other errors.

    >>> memory_is_used_up(RuntimeError("Allocation error : not enough memory"))
    True
    """
    said = ("not enough memory", "can't start new thread")
    return any(
        isinstance(one, MemoryError) or any(words in str(one) for words in said) for one in _causes(error)
    )


def first_cause(error: BaseException) -> BaseException:
    """Return the first error of the chain of causes."""
    return list(_causes(error))[-1]


def reason_of(error: BaseException) -> str:
    """Return the reason of an error on one line, without a full stop, to put into a sentence.

    >>> reason_of(OSError(errno.EIO, "Input/output error"))
    'Input/output error'
    """
    reason = getattr(error, "strerror", None) or " ".join(str(error).split())
    return reason.rstrip(".") or type(error).__name__


def _errno(error: BaseException) -> int | None:
    """Return the error number of an OSError; None for others, such as OSErrors that decoders raise."""
    return error.errno if isinstance(error, OSError) else None


def _has_lost_its_temporary_file(error: BaseException) -> bool:
    """Whether a file vanished before it could be renamed: another run took it for that of a killed writer, or
    a network file system renamed it twice."""
    return isinstance(error, FileNotFoundError) and str(error.filename).endswith(TEMPORARY)


def _from_network(error: BaseException) -> bool:
    return type(error).__module__.partition(".")[0] in NETWORK_PACKAGES


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__
