"""Memory is measured wherever benchmarks run."""

from pathlib import Path

import pytest


def test_peak_memory_is_known_where_the_system_states_none(monkeypatch: pytest.MonkeyPatch):
    from measure import peak_memory

    monkeypatch.setattr(Path, "read_text", lambda path: "Name:\tpython\nVmRSS:\t1 kB\n")
    assert peak_memory() > 1 << 20
