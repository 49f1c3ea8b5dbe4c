"""The C++ library of the networks is called with the structs that its header declares."""

from __future__ import annotations

from pathlib import Path

import pytest

from sr_model.native import library
from tests.c_structs import members_of
from tests.sr_model.native_library import needs_library

HEADER = Path(library.__file__).parent / "src" / "api.h"


@pytest.mark.parametrize("struct", library.ENTRY_POINTS.values())
def test_a_struct_of_arguments_has_the_members_of_the_header_in_their_order(struct):
    assert list(struct._fields_) == members_of(struct.__name__, HEADER, library)


def test_the_interface_has_the_version_of_the_header():
    assert f"kAbi = {library.ABI};" in HEADER.read_text()


@needs_library
def test_a_library_of_another_version_is_passed_over(monkeypatch):
    monkeypatch.setattr(library, "ABI", library.ABI + 1)
    assert library.load(Path(library.LIBRARY._name)) is None


@needs_library
def test_an_unknown_instruction_set_is_refused():
    with pytest.raises(ValueError):
        library.set_instruction_set("sse9")


@needs_library
def test_bad_arguments_raise():
    with pytest.raises(ValueError, match="native_convolve"):
        library.call("convolve", library.ConvolveArguments(batch=-1))


def test_without_the_library_a_direct_call_says_so(monkeypatch):
    monkeypatch.setattr(library, "LIBRARY", None)
    with pytest.raises(RuntimeError, match="no C\\+\\+ library"):
        library.instruction_set()
