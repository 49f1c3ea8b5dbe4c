"""What the tests of the commands share: an empty folder to work in, and a picture."""

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def here(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def small(photographs: Path) -> Path:
    """A picture of 48x40 pixels."""
    return photographs / "0.png"
