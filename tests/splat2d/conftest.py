import sys
from pathlib import Path

import pytest

from splat2d.backends import cpu

sys.path.insert(0, str(Path(__file__).parent))  # fields.py


@pytest.fixture(params=["cpu", "fallback"])
def implementation(request, monkeypatch):
    """Each test runs with both backends of the CPU."""
    if request.param == "cpu" and cpu.LIBRARY is None:
        pytest.skip("built without the C++ library")
    if request.param == "fallback":
        monkeypatch.setattr(cpu, "LIBRARY", None)
        monkeypatch.setattr(cpu, "warn_missing", lambda: None)
