"""A name in a store leads nowhere but into the folder of images, on any system."""

from __future__ import annotations

import pytest

from dgp_mining.images.paths import printable_name, unsafe_name

UNSAFE = [
    *("", "/etc/passwd", "../a.png", "a/../../b.png", "a/..", "./a.png", "a//b.png", "a/", "."),
    *("..\\a.png", "a\\b.png", "C:/a.png", "c:a.png", "a\0.png", "a\n.png", "a\x1b[31m.png", "\udce9.png"),
]


@pytest.mark.parametrize("name", UNSAFE)
def test_names_that_lead_astray_are_refused(name: str) -> None:
    assert unsafe_name(name)


@pytest.mark.parametrize("name", ["a.png", "more/a.png", "..a..png", "émile/写真 1.png", "12:30.png"])
def test_ordinary_names_are_not(name: str) -> None:
    assert unsafe_name(name) is None


def test_what_is_printed_for_an_unsafe_name_can_be_stored() -> None:
    for name in UNSAFE:
        printable_name(name).encode()
