"""Memory: how much is free, whether it ran out, and how steps and tiles can reuse what others freed."""

from __future__ import annotations

import ctypes
import platform

import torch

from dgp_mining import freed_memory
from dgp_mining.machine import available_memory

KEPT = (1 << 31) - 1
"""Most bytes of freed memory that a process keeps."""

KEPT_SHARE = 8
"""What share of the free memory may be kept: one in KEPT_SHARE bytes."""

MUCH = 1 << 28
"""Bytes of an image's field from which on `give_back_freed_memory` is worth its time."""


def free_memory(device: torch.device | None = None) -> int:
    """Return the bytes that this process can still allocate, or that are free on a GPU."""
    if device is not None and device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    return available_memory()


def ran_out(error: Exception) -> bool:
    """Return whether an error means that memory ran out; torch has no exception class for this on the CPU."""
    return isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and "memory" in str(error))


def keep_freed_memory() -> None:
    """Let this process's C library keep freed memory, instead of returning it to the system.

    That is up to 2 GB, and up to an eighth of what is free, since blocks of other sizes cannot use it.

    Otherwise activations are new memory each time, which the system clears page by page on first use: an
    eighth of the time of a step of preset `demo`, and of an upscaling with SPAN (measured). With C libraries
    other than glibc it does nothing.
    """
    freed_memory.keep_freed_memory(min(KEPT, free_memory() // KEPT_SHARE))


def give_back_freed_memory(used: int) -> None:
    """Return what the C library keeps to the system, if `used` bytes show that it may be much.

    Before the next part of a large image's work, whose blocks have other sizes: it keeps 200 to 430 MB for a
    strip of a photograph (measured).
    """
    if used >= min(MUCH, free_memory() // KEPT_SHARE) and platform.libc_ver()[0] == "glibc":
        ctypes.CDLL(None).malloc_trim(0)
