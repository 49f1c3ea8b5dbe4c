"""The store of version 0.1.0, whole and as a copy to be spoilt."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from strange_stores import unpacked


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The store, which no test may change."""
    return unpacked(tmp_path_factory.mktemp("whole"))


@pytest.fixture
def store(whole: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return shutil.copytree(whole, tmp_path / "a.zarr")
