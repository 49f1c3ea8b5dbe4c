"""How much freed memory the C library keeps for the next block, instead of returning it to the system."""

from __future__ import annotations

import ctypes
import platform

LARGEST_KEPT = 1 << 25
"""Size in bytes of the largest block that is kept; larger ones always go back to the system."""

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # malloc.h
_keeps = 0
"""Most freed bytes that this process has been let keep."""


def keep_freed_memory(most: int) -> None:
    """Let this process keep up to `most` freed bytes, or what it may already, in blocks up to LARGEST_KEPT.

    By default glibc returns memory again and again, and the system clears each page when it is used next.
    With other C libraries it does nothing.
    """
    global _keeps
    if most <= _keeps:
        return
    _keeps = most
    if platform.libc_ver()[0] == "glibc":
        library = ctypes.CDLL(None)
        library.mallopt(_MMAP_THRESHOLD, LARGEST_KEPT)
        library.mallopt(_TRIM_THRESHOLD, most)
