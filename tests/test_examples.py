"""Every `>>>` example in the docstrings of the three packages runs and prints what it shows.

Blocks of code in documents run in test_documents.py.
"""

from __future__ import annotations

import doctest
import importlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SOURCES = {"splat2d": ROOT / "cuda/splat2d", "dgp_mining": ROOT / "dgp_mining", "sr_model": ROOT / "sr_model"}
OPTIONAL = {
    "DISTS_pytorch",
    "cuda",
    "dask_jobqueue",
    "gsplat",
    "lpips",
    "s3fs",
    "tensorboard",
    "torch_fidelity",
    "torchvision",
    "tqdm",
}
"""Modules of the extras: an example is skipped, naming the module, if it needs one that is not installed."""

OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def with_examples() -> list[Path]:
    paths = (path for folder in SOURCES.values() for path in sorted(folder.rglob("*.py")))
    return [path for path in paths if re.search(r"^\s*>>> ", path.read_text(), re.MULTILINE)]


def module_name(path: Path) -> str:
    package, folder = next(item for item in SOURCES.items() if path.is_relative_to(item[1]))
    parts = [package, *path.relative_to(folder).with_suffix("").parts]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def in_module(name: str) -> Iterator[doctest.DocTest]:
    module = importlib.import_module(name)
    yield from (test for test in doctest.DocTestFinder().find(module) if test.examples)


def run(test: doctest.DocTest) -> None:
    report: list[str] = []
    runner = doctest.DocTestRunner(verbose=False, optionflags=OPTIONS)  # else pytest's -v is taken as its own
    runner.run(test, out=report.append)
    failure = "".join(report)
    missing = re.search(r"ModuleNotFoundError: No module named '(\w+)", failure)
    if missing and missing[1] in OPTIONAL:
        pytest.skip(f"{missing[1]} is not installed")
    assert not failure, failure


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Examples may write files where they run."""
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("name", [module_name(path) for path in with_examples()])
def test_the_examples_of_a_module_print_what_they_show(name):
    try:
        tests = list(in_module(name))
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] not in OPTIONAL:
            raise
        pytest.skip(f"{error.name} is not installed")
    assert tests, "a `>>>` that doctest does not find is not in a docstring"
    for test in tests:
        run(test)


def test_an_example_that_prints_something_else_fails():
    wrong = doctest.DocTestParser().get_doctest(">>> 1 + 1\n3\n", {}, "wrong", "wrong.py", 0)
    with pytest.raises(AssertionError, match="Expected"):
        run(wrong)
