"""Faults that pass, faults that last, and faults that end a run."""

from __future__ import annotations

import errno
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

Result = TypeVar("Result")

PAUSES = (0.5, 1.0, 2.0)
"""Seconds before each new try of what has failed by a passing fault."""

_FULL = {errno.ENOSPC, errno.EDQUOT}

_LASTING = _FULL | {
    getattr(errno, name)
    for name in ("ENOENT", "EACCES", "EPERM", "ENOTDIR", "EISDIR", "EROFS", "ELOOP", "ENAMETOOLONG", "EFBIG")
}

_REMOTE = {"aiobotocore", "aiohttp", "botocore", "urllib3"}
"""Packages below a remote store, whose errors are of no standard kind."""


class RunError(RuntimeError):
    """What ends a run; the message is one sentence saying what to do. Nothing done is lost."""


def retry(action: Callable[[], Result]) -> Result:
    """What `action` returns; tried three times more, after pauses, where a passing fault prevents it."""
    for pause in PAUSES:
        try:
            return action()
        except Exception as error:
            if not is_transient(error):
                raise
            time.sleep(pause)
    return action()


def is_transient(error: BaseException) -> bool:
    """Whether trying again may help: a network or a device was at fault, not what was asked of it."""
    return any(
        (_numbered(cause) and cause.errno not in _LASTING)
        or isinstance(cause, (ConnectionError, TimeoutError))
        or type(cause).__module__.partition(".")[0] in _REMOTE
        for cause in _causes(error)
    )


def disk_is_full(error: BaseException) -> bool:
    """Whether space, or the quota of it, has run out."""
    return any(_numbered(cause) and cause.errno in _FULL for cause in _causes(error))


def first_cause(error: BaseException) -> BaseException:
    """What began it: the sentence of that says what is wrong without saying it twice."""
    return list(_causes(error))[-1]


def _numbered(error: BaseException) -> bool:
    """Whether the system has reported it; decoders, too, raise OSError, without a number."""
    return isinstance(error, OSError) and error.errno is not None


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__


_NETWORK = {"aiobotocore", "aiohttp", "botocore"}
"""What S3 is reached through; its errors are of no standard kind."""


def _out_of_reach(error: BaseException | None) -> bool:
    """Whether the way to the data failed, not the data."""
    if isinstance(error, FileNotFoundError):
        return False
    while error is not None:
        if isinstance(error, (ConnectionError, TimeoutError, PermissionError)):
            return True
        if type(error).__module__.partition(".")[0] in _NETWORK:
            return True
        error = error.__cause__
    return False


def _reason(error: Exception) -> str:
    reason = getattr(error, "strerror", None) or " ".join(str(error).split())
    return reason.rstrip(".") or type(error).__name__
