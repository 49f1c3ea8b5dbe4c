"""Scales, sizes and windows are understood as people write them."""

from __future__ import annotations

from collections.abc import Callable

import click
import pytest

from sr_model.cli import types


@pytest.mark.parametrize("text", ["4", "x4", "4x", "X4", "4.0", " 4 ", "×4"])
def test_a_scale_may_have_its_cross_on_either_side(text: str) -> None:
    assert types.scale(text) == types.scale_by_axis(text) == 4.0


def test_scales_are_separated_by_commas() -> None:
    assert types.scales("x2,3x, 3.7") == [2.0, 3.0, 3.7]


@pytest.mark.parametrize("text", ["3.7x2", "x3.7x2", "3.7X2", "3.7×2"])
def test_two_scales_are_width_by_height(text: str) -> None:
    assert types.scale_by_axis(text) == (2.0, 3.7)


def test_a_side_of_a_size_may_be_left_out() -> None:
    assert types.size("1920x1080") == (1080, 1920)
    assert types.size("1920x") == (None, 1920)
    assert types.size("x1080") == (1080, None)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        *(
            (types.scale, text)
            for text in ("", "x", "x4x", "2x3", "0", "nan", "inf", "-1", "1e300", "9" * 400)
        ),
        *((types.gigabytes, text) for text in ("", "0", "-1", "inf", "nan", "1e300", "x")),
        *((types.scale_by_axis, text) for text in ("", "x", "x4x", "2x3x4", "2x3x", "0x2", "2xinf")),
        *((types.scales, text) for text in ("", "2,", "2;3")),
        *((types.size, text) for text in ("", "x", "1920", "0x90", "1.5x2", "x1080x", "9" * 20 + "x1")),
        *((types.window, text) for text in ("", "1,2,3", "1,2,0,3", "1,2,-3,4", "1,2,inf,4", "inf,2,3,4")),
    ],
)
def test_other_text_is_refused_in_one_sentence(kind: Callable[[str], object], text: str) -> None:
    with pytest.raises(click.BadParameter, match=r" is not a .* such as [^\n]*\.$"):
        kind(text)
