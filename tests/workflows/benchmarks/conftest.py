"""Running the benchmarks, and importing their modules as they import each other."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parents[3] / "workflows" / "benchmarks"
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(autouse=True)
def benchmarks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Their modules can be imported as they import each other."""
    monkeypatch.syspath_prepend(FOLDER)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run a benchmark by its file's name with options, in a folder of its own."""

    def run(name: str, *options: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(FOLDER / name), *options]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)

    return run


@pytest.fixture
def quick(run: Run, tmp_path: Path) -> Callable[..., tuple[str, dict[str, Any]]]:
    """Run a benchmark with --quick; return its output and the figures that it wrote."""

    def quick(name: str, *options: str) -> tuple[str, dict[str, Any]]:
        result = run(name, "--quick", "--out", "figures.json", *options)
        assert result.returncode == 0, result.stderr
        return result.stdout, json.loads((tmp_path / "figures.json").read_text())

    return quick
