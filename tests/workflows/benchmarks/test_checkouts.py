"""Benchmarks next to another checkout run that checkout's packages."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

import splat2d

ROOT = Path(__file__).parents[3]
PROGRAM = "import dgp_mining, splat2d, numpy; print(dgp_mining.__file__, splat2d.__file__)"


@pytest.fixture
def checkouts(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "workflows/benchmarks"))
    import checkouts

    yield checkouts
    del sys.modules["checkouts"]


def renders_as(checkout: Path, backend: str) -> None:
    (checkout / "cuda/splat2d/__init__.py").write_text(f"backend = lambda: {backend!r}")


@pytest.fixture
def other(tmp_path):
    for package in ("cuda/splat2d", "dgp_mining"):
        (tmp_path / package).mkdir(parents=True)
        (tmp_path / package / "__init__.py").touch()
    renders_as(tmp_path, splat2d.backend())
    return tmp_path


def test_another_checkout_runs_its_own_packages_and_not_the_installed_ones(checkouts, other):
    compared = checkouts.checkouts(other)
    assert list(compared) == ["here", "against"]
    for checkout in compared.values():
        mining, splat2d = map(Path, checkouts.run(checkout, "-P", "-c", PROGRAM).split())
        assert mining == checkout / "dgp_mining/__init__.py"
        assert splat2d == checkout / "cuda/splat2d/__init__.py"


def test_a_folder_without_the_packages_is_refused_and_one_that_renders_otherwise(checkouts, other, tmp_path):
    with pytest.raises(SystemExit, match=r"empty cannot be used \(.+\)"):
        checkouts.checkouts(tmp_path / "empty")
    renders_as(other, "abacus")
    with pytest.raises(SystemExit, match=f"{other} renders with 'abacus', this checkout with .*: build both"):
        checkouts.checkouts(other)
