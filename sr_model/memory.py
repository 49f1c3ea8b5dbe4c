"""Memory: how much is free, whether it ran out, what tensors take, and how steps reuse what others freed."""

from __future__ import annotations

import ctypes
import platform
import weakref
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

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


_SAID = ("memory", "could not create a primitive")
"""In errors of torch, and of oneDNN, which computes its convolutions, where memory runs out."""


def ran_out(error: Exception) -> bool:
    """Return whether an error means that memory ran out; torch has no exception class for this on the CPU.

    >>> ran_out(MemoryError()), ran_out(RuntimeError("could not create a primitive"))
    (True, True)
    >>> ran_out(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
    False
    """
    said = any(words in str(error) for words in _SAID)
    return isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and said)


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


class TensorMemory(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch leaves it untyped
    """Count the bytes of all live tensors: `now`, and at most `peak`."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        self.now = self.peak = 0
        self.alive: set[int] = set()

    def __torch_dispatch__(
        self, function: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        before = {t.untyped_storage()._cdata for t in tree_leaves((args, kwargs)) if isinstance(t, Tensor)}
        result = function(*args, **(kwargs or {}))
        for tensor in tree_leaves(result):
            if isinstance(tensor, Tensor):
                self._add(tensor.untyped_storage(), before)
        return result

    def _add(self, storage: torch.UntypedStorage, before: set[int]) -> None:
        key = storage._cdata
        if key in self.alive or key in before:  # a view, or written in place
            return
        size = storage.nbytes()
        self.alive.add(key)
        self.now += size
        self.peak = max(self.peak, self.now)
        weakref.finalize(storage, self._remove, key, size)

    def _remove(self, key: int, size: int) -> None:
        self.alive.discard(key)
        self.now -= size
