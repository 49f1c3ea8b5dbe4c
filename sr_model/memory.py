"""Memory: how much is free, whether it ran out, and keeping what a training step frees."""

from __future__ import annotations

import ctypes
import platform

import psutil
import torch

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3  # malloc.h
LARGEST = 1 << 25
"""Bytes, the most that glibc allows; what is larger goes back to the system all the same."""


def free_memory(device: torch.device | None = None) -> int:
    """Bytes of memory that can be had without swapping, or of a GPU's own."""
    if device is not None and device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    return psutil.virtual_memory().available


def ran_out(error: Exception) -> bool:
    """Whether an error says that there was too little memory; torch has no class for the CPU's."""
    return isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and "memory" in str(error))


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
