"""Cache folders that belong to the user alone, and files of which only they can be the author.

What a cache holds is used without being made again: kernels are loaded into the GPU as they are. On a machine
that others share, a cache folder may lie where they can write, and a file or a link in it may be theirs.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

KERNELS = ("splat2d",)
"""Folder of the compiled CUDA kernels in the user's cache."""
IMAGES = ("dgp-mining", "images")
"""Folder of decoded images in the user's cache."""

_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


class NotPrivate(OSError):
    """A folder or a file may be another user's work; `strerror` says why, and `filename` is its path."""


class NoHome(NotPrivate):
    """No folder is known for the caches of this user."""


def cache_path(names: tuple[str, ...]) -> Path:
    """Return the path of a folder in the user's cache: `$XDG_CACHE_HOME`, or `~/.cache` if that is not set.

    As the XDG Base Directory Specification asks, a relative path there counts as none. Raises NoHome if the
    user has no home.

    >>> cache_path(KERNELS).name
    'splat2d'
    """
    home = os.environ.get("XDG_CACHE_HOME", "")
    if not os.path.isabs(home):
        try:
            home = str(Path.home() / ".cache")
        except RuntimeError:
            raise NoHome(0, "there is no home folder, and XDG_CACHE_HOME is not set", "~/.cache") from None
    return Path(home, *names)


def private_folder(names: tuple[str, ...]) -> Path:
    """Return a folder in the user's cache, made if necessary, which only the user can open.

    The modes of a folder of the user's are mended. Raises NotPrivate if the folder, one between it and the
    cache, or a link in place of one belongs to another user than this one and root, and OSError if it cannot
    be made.
    """
    path = cache_path(names)
    path.parents[len(names) - 1].mkdir(mode=0o700, parents=True, exist_ok=True)
    for folder in (*reversed(path.parents[: len(names) - 1]), path):
        folder.mkdir(mode=0o700, exist_ok=True)
        if os.name == "posix":
            _make_private(folder)
    return path


def open_own(path: Path) -> BinaryIO:
    """Open a file to read that only this user, or root, can have written.

    Raises NotPrivate if it is a link, no regular file, another user's, or writable by others, and OSError if
    it cannot be opened.
    """
    return _opened(path, lambda about: _alien(about) or _writable(about))


def open_shared(path: Path) -> BinaryIO:
    """Open a file to read in a folder that the user has named, and may share with a group.

    It may be any user's if only a group can write into the folder. Raises NotPrivate if everybody could have
    written the file, or put it there, or if it is a link or no regular file, and OSError if it cannot be
    opened.
    """
    folder = path.parent.stat()

    def problem(about: os.stat_result) -> str:
        if folder.st_mode & stat.S_IWOTH and (reason := _alien(about)):
            return f"{reason}, in a folder into which everybody can write"
        return "everybody can write it" if about.st_mode & stat.S_IWOTH else ""

    return _opened(path, problem)


def _opened(path: Path, problem: Callable[[os.stat_result], str]) -> BinaryIO:
    # Without O_NONBLOCK, opening a pipe would wait for its writer; O_BINARY is Windows'.
    flags = [getattr(os, f"O_{name}", 0) for name in ("NOFOLLOW", "CLOEXEC", "NONBLOCK", "BINARY")]
    try:
        descriptor = os.open(path, os.O_RDONLY | sum(flags))
    except OSError:
        if path.is_symlink():
            raise NotPrivate(0, "it is a link", str(path)) from None
        raise
    about = os.fstat(descriptor)
    reason = "" if stat.S_ISREG(about.st_mode) else "it is no file"
    if os.name == "posix":
        reason = reason or problem(about)
    if reason:
        os.close(descriptor)
        raise NotPrivate(0, reason, str(path))
    return os.fdopen(descriptor, "rb")


def _make_private(folder: Path) -> None:
    about = folder.stat()
    if reason := _alien(folder.lstat()) or _alien(about):
        raise NotPrivate(0, reason, str(folder))
    if about.st_uid == os.geteuid() and about.st_mode & 0o077:
        folder.chmod(0o700)
        about = folder.stat()  # some file systems have no modes
    if reason := _writable(about):
        raise NotPrivate(0, reason, str(folder))


def _alien(about: os.stat_result) -> str:
    return "" if about.st_uid in (os.geteuid(), 0) else "it belongs to another user"


def _writable(about: os.stat_result) -> str:
    return "others can write it" if about.st_mode & _OTHERS_WRITE else ""
