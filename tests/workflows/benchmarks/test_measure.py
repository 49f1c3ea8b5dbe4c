"""Memory is measured wherever benchmarks run."""

import os
from pathlib import Path

import numpy as np
import pytest


def test_peak_memory_is_known_where_the_system_states_none(monkeypatch: pytest.MonkeyPatch):
    from measure import peak_memory

    monkeypatch.setattr(Path, "read_text", lambda path: "Name:\tpython\nVmRSS:\t1 kB\n")
    assert peak_memory() > 1 << 20


def _mebibytes(number: int) -> float:
    return float(np.ones(number << 17).sum())  # written, so that every page is there


def _linux_counts_peaks() -> bool:
    status = Path("/proc/self/status")
    return status.exists() and "VmHWM" in status.read_text() and os.access("/proc/self/clear_refs", os.W_OK)


@pytest.mark.skipif(not _linux_counts_peaks(), reason="this kernel counts no peak from here on")
def test_the_memory_of_a_run_is_counted_although_more_was_taken_before():
    from measure import peak_above_start

    _mebibytes(256)
    assert 64 <= peak_above_start(lambda: _mebibytes(64)) / 2**20 < 128


def test_a_run_that_takes_no_memory_raises_the_peak_by_little():
    from measure import peak_above_start

    assert 0 <= peak_above_start(lambda: None) < 1 << 22
