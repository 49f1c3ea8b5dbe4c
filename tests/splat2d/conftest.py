import sys
from pathlib import Path

import pytest

from splat2d import native

sys.path.insert(0, str(Path(__file__).parent))  # fields.py


@pytest.fixture(params=["native", "vectorised"])
def implementation(request, monkeypatch):
    """Both implementations on the CPU, one after the other."""
    if request.param == "native" and native.LIBRARY is None:
        pytest.skip("built without the native library")
    if request.param == "vectorised":
        monkeypatch.setattr(native, "LIBRARY", None)
        monkeypatch.setattr(native, "say_missing", lambda: None)
