"""The mirrors of the C interface fit its header."""

from __future__ import annotations

from pathlib import Path

import pytest

from dgp_mining.native import library
from tests.c_structs import members_of

HEADER = Path(__file__).resolve().parents[3] / "dgp_mining/native/src/api.h"


@pytest.mark.parametrize("struct", library.ENTRY_POINTS.values(), ids=library.ENTRY_POINTS)
def test_a_struct_of_arguments_has_the_members_of_the_header_in_their_order(struct: type) -> None:
    assert list(struct._fields_) == members_of(struct.__name__, HEADER, library)


def test_the_interface_has_the_version_of_the_header() -> None:
    assert f"kAbi = {library.ABI};" in HEADER.read_text()


def test_a_library_of_another_version_is_not_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    if library.LIBRARY is None:
        pytest.skip("there is no C++ library here")
    monkeypatch.setattr(library, "ABI", library.ABI + 1)
    assert library.load(Path(library.LIBRARY._name)) is None


def test_arguments_that_the_library_refuses_are_an_error() -> None:
    if library.LIBRARY is None:
        pytest.skip("there is no C++ library here")
    with pytest.raises(ValueError, match="measure_pixels"):
        library.call("pixels", library.PixelsArguments(height=2, width=2, channels=1, block=8))
