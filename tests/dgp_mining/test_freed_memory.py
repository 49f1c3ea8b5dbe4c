"""Freed memory is used again, as much as the most generous caller asked, whatever the order of the calls."""

from __future__ import annotations

import ctypes
import platform
import subprocess
import sys
from unittest.mock import Mock

import pytest

from dgp_mining import freed_memory

FAULTS = """
import resource, sys
import numpy as np
from dgp_mining.freed_memory import keep_freed_memory

def step():
    return [np.ones(1 << 20) for _ in range(16)]  # 128 MB

keep_freed_memory(int(sys.argv[1]))
for _ in range(3):
    step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    step()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
"""Prints how many pages the system clears for five steps. In a process of its own: what others have allocated
before, and their threads, decide what the C library can keep."""

only_glibc = pytest.mark.skipif(
    platform.libc_ver()[0] != "glibc", reason="only glibc is asked to keep memory"
)


@only_glibc
def test_what_a_step_frees_is_used_again() -> None:
    kept, returned = (
        int(subprocess.run([sys.executable, "-c", FAULTS, str(most)], capture_output=True, check=True).stdout)
        for most in (1 << 29, 1 << 20)
    )
    assert kept < returned / 10


@only_glibc
def test_a_later_call_never_keeps_less(monkeypatch: pytest.MonkeyPatch) -> None:
    library = Mock()
    monkeypatch.setattr(ctypes, "CDLL", lambda name: library)
    monkeypatch.setattr(freed_memory, "_keeps", 0)
    for most in (1 << 20, 1 << 30, 1 << 27):
        freed_memory.keep_freed_memory(most)
    trims = [
        limit for option, limit in (call.args for call in library.mallopt.call_args_list) if option == -1
    ]
    assert trims == [1 << 20, 1 << 30]
