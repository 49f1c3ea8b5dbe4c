"""Benchmarks next to another checkout run that checkout's packages."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PROGRAM = "import dgp_mining, splat2d, numpy; print(dgp_mining.__file__, splat2d.__file__)"


@pytest.fixture
def checkouts(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "workflows/benchmarks"))
    import checkouts

    yield checkouts
    del sys.modules["checkouts"]


@pytest.fixture
def other(tmp_path):
    for package in ("cuda/splat2d", "dgp_mining"):
        (tmp_path / package).mkdir(parents=True)
        (tmp_path / package / "__init__.py").touch()
    return tmp_path


def test_another_checkout_runs_its_own_packages_and_not_the_installed_ones(checkouts, other):
    compared = checkouts.checkouts(other)
    assert list(compared) == ["here", "against"]
    for checkout in compared.values():
        mining, splat2d = map(Path, checkouts.run(checkout, "-P", "-c", PROGRAM).split())
        assert mining == checkout / "dgp_mining/__init__.py"
        assert splat2d == checkout / "cuda/splat2d/__init__.py"


def test_a_folder_without_the_packages_is_refused(checkouts, tmp_path):
    with pytest.raises(SystemExit, match="has no packages dgp_mining and splat2d: name a built checkout"):
        checkouts.checkouts(tmp_path)
