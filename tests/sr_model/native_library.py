"""Whether the networks' C++ library is there."""

from __future__ import annotations

import pytest

from sr_model.native import library

needs_library = pytest.mark.skipif(library.LIBRARY is None, reason="built without its library")
