"""All that the project needs may be used by what is under Apache-2.0, and is listed with its licence."""

from __future__ import annotations

import doctest
import importlib.util
import sys
from email.message import Message
from pathlib import Path
from types import ModuleType

import pytest

WORKFLOWS = Path(__file__).parents[2] / "workflows"


@pytest.fixture(scope="module")
def licences() -> ModuleType:
    found = importlib.util.spec_from_file_location("licences", WORKFLOWS / "licences.py")
    assert found
    assert found.loader
    module = importlib.util.module_from_spec(found)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "licences", module)  # for its dataclass
        found.loader.exec_module(module)
    return module


class Stated:
    """A distribution whose metadata are these fields."""

    def __init__(self, *fields: tuple[str, str]) -> None:
        self.metadata = Message()
        for name, value in (("Name", "some.package"), *fields):
            self.metadata[name] = value


def test_every_licence_goes_with_apache_2(licences: ModuleType) -> None:
    found = licences.packages(licences.EXTRAS)
    assert {"numpy", "torch", "zarr"} <= {package.name for package in found}
    assert [package.verdict for package in found if package.verdict] == []


def test_the_document_lists_every_package(licences: ModuleType) -> None:
    listed = {line.split(" | ")[0].removeprefix("| ") for line in licences.DOCUMENT.read_text().splitlines()}
    missing = {package.name for package in licences.packages(licences.EXTRAS)} - listed
    assert not missing, "run python workflows/licences.py --write"


@pytest.mark.parametrize(
    ("fields", "licence", "goes"),
    [
        ([("License-Expression", "MIT AND (GPL-2.0-only OR BSD-3-Clause)")], None, True),
        ([("License-Expression", "MIT AND GPL-3.0-only")], None, False),
        ([("License", "Apache 2.0")], "Apache-2.0", True),
        ([("License", "GPLv3"), ("Classifier", "License :: OSI Approved :: MIT License")], "MIT", True),
        (
            [("License", "Permission is granted\nto all"), ("Classifier", "License :: OSI Approved")],
            None,
            False,
        ),
        ([("Classifier", "License :: OSI Approved :: GNU General Public License v3 (GPLv3)")], None, False),
        ([], "", False),
    ],
)
def test_unknown_and_incompatible_licences_are_refused_by_name(
    licences: ModuleType, fields: list[tuple[str, str]], licence: str | None, goes: bool
) -> None:
    said = licences.licence_of(Stated(*fields))
    assert licence in (said, None)
    verdict = licences.Package("some-package", said).verdict
    assert (verdict == "") == goes
    assert goes or verdict.startswith("some-package is under ")
    assert licences.Package("tqdm", "MPL-2.0", "notebook").verdict == ""  # explained in APART
    assert licences.Package("tqdm", "MPL-2.0").verdict  # but not for everyone


def test_its_examples(licences: ModuleType) -> None:
    assert doctest.testmod(licences).failed == 0
