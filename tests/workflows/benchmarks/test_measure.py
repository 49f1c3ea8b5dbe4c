"""Memory is measured wherever benchmarks run."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[3] / "workflows/benchmarks"
TAKEN = """
import numpy as np
from measure import peak_above_start
def mebibytes(number):
    return float(np.ones(number << 17).sum())  # written, so that every page is there
mebibytes(256)
print(peak_above_start(lambda: mebibytes(64)) >> 20, peak_above_start(lambda: None) >> 20)
"""


def test_peak_memory_is_known_where_the_system_states_none(monkeypatch: pytest.MonkeyPatch):
    from measure import peak_memory

    monkeypatch.setattr(Path, "read_text", lambda path: "Name:\tpython\nVmRSS:\t1 kB\n")
    assert peak_memory() > 1 << 20


def _linux_counts_peaks() -> bool:
    status = Path("/proc/self/status")
    return status.exists() and "VmHWM" in status.read_text() and os.access("/proc/self/clear_refs", os.W_OK)


@pytest.mark.skipif(not _linux_counts_peaks(), reason="this kernel counts no peak from here on")
def test_the_memory_of_a_run_is_counted_although_more_was_taken_before():
    command = [sys.executable, "-c", TAKEN]  # alone: a process that keeps freed memory takes it from there
    printed = subprocess.run(command, cwd=BENCHMARKS, capture_output=True, text=True, check=True).stdout
    taken, nothing = map(int, printed.split())
    assert 60 <= taken < 70
    assert nothing < 4
