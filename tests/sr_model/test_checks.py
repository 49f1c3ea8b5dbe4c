"""Checks of settings name the setting, its choices and its value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import pytest

from sr_model.checks import check_choices, check_positive


@dataclass
class Example:
    colour: Literal["red", "green"] = "red"
    size: float = 1.0


def test_a_value_that_is_no_choice_is_refused_with_all_choices() -> None:
    check_choices(Example("green"))
    with pytest.raises(ValueError, match="colour must be one of red, green, got 'blue'"):
        check_choices(Example("blue"))  # type: ignore[arg-type]  # what is tested


@pytest.mark.parametrize("size", [0, -1, float("nan")])
def test_a_number_that_is_not_positive_is_refused(size: float) -> None:
    check_positive(Example(), "size")
    with pytest.raises(ValueError, match="size must be positive"):
        check_positive(Example(size=size), "size")
