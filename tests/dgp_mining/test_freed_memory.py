"""Freed memory is kept as the most generous caller asked, whatever the order of the calls."""

from __future__ import annotations

import ctypes
import platform
from unittest.mock import Mock

import pytest

from dgp_mining import freed_memory


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc is asked to keep memory")
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
