"""The folder of a run, which belongs to one training at a time."""

from __future__ import annotations

import errno
import logging
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from splat2d.atomic_write import make_folder

from .errors import TrainingError
from .state import BEST, LAST, STATE

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]  # as the typing of modules has it

log = logging.getLogger(__name__)

LOCK = ".lock"
"""Of the file that a training holds locked. It is removed at the end; one that is left means nothing."""

_HELD = (errno.EWOULDBLOCK, errno.EACCES)


@contextmanager
def run_folder(out: Path, resume: bool) -> Iterator[None]:
    """Make a run's folder, and keep other trainings out of it until the end.

    The system releases the lock when the process ends, however it does. Where the file system knows no locks,
    as some network ones, a line in the log says so, and nothing keeps others out.

    Raises TrainingError if another training is running there, if the folder cannot be written, if it holds a
    training and `resume` is False, or if it holds none and `resume` is True.
    """
    if resume and not out.is_dir():
        raise _nothing_to_resume(out)
    try:
        make_folder(out)
        lock = _open(out)
        while not _take(lock, out):  # the one that held it has just removed it
            os.close(lock)
            lock = _open(out)
    except OSError as error:
        raise _not_writable(out, error) from error
    try:
        _check(out, resume)
        yield
    finally:
        with suppress(OSError):
            os.unlink(out / LOCK)
        os.close(lock)


def _open(out: Path) -> int:
    flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
    return os.open(out / LOCK, flags, 0o666)


def _take(lock: int, out: Path) -> bool:
    """Lock the open file; whether it is still the one in the folder. Raises TrainingError if it is held."""
    try:
        if fcntl:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in _HELD:
            os.close(lock)
            raise TrainingError(
                f"Another training is running in {out}: wait for its end, or name another folder with out=."
            ) from error
        log.warning("%s cannot be locked (%s): start no other training there", out, error.strerror)
    try:
        return os.path.samestat(os.fstat(lock), os.stat(out / LOCK))
    except FileNotFoundError:
        return False


def _check(out: Path, resume: bool) -> None:
    if resume and not (out / STATE).exists():
        raise _nothing_to_resume(out)
    if not resume and any((out / name).exists() for name in (STATE, LAST, BEST)):
        raise TrainingError(
            f"{out} already holds a training: continue it with resume=True, or name another folder with out=."
        )
    try:
        tempfile.TemporaryFile(dir=out).close()
    except OSError as error:
        raise _not_writable(out, error) from error


def _nothing_to_resume(out: Path) -> TrainingError:
    return TrainingError(f"{out} holds no training to resume: to start one there, leave resume=True out.")


def _not_writable(out: Path, error: OSError) -> TrainingError:
    return TrainingError(f"The folder {out} cannot be written ({error.strerror}): name another with out=.")
