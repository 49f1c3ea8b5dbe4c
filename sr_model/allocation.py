"""Memory that one step of a training frees is kept for the next."""

from __future__ import annotations

import ctypes
import platform

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3  # malloc.h
LARGEST = 1 << 25
"""Bytes, the most that glibc allows; what is larger goes back to the system all the same."""


def keep_freed_memory() -> None:
    """Have this process's C library keep what is freed, up to 2 GB, instead of returning it to the system.

    Otherwise a step's activations are new memory each time, which the system clears page by page as it is
    touched: an eighth of the time of a step of preset `demo` (measured). Of C libraries other than glibc
    nothing is asked.
    """
    if platform.libc_ver()[0] == "glibc":
        library = ctypes.CDLL(None)
        library.mallopt(MMAP_THRESHOLD, LARGEST)
        library.mallopt(TRIM_THRESHOLD, (1 << 31) - 1)
