"""Values from files have the types of a dataclass, or are refused by the name of the field."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import pytest

from dgp_mining.schema import as_kind, check_depth, parse_json


@dataclass(frozen=True)
class Inner:
    k: int = 3

    def __post_init__(self) -> None:
        if self.k < 0:
            raise ValueError("k must be positive")


@dataclass(frozen=True)
class Outer:
    a: int
    b: float = 1.0
    c: Literal["x", "y"] = "x"
    d: tuple[float, float] = (1, 2)
    e: Inner | None = None
    f: bool = False
    g: tuple[str, ...] = ()
    h: dict[str, Inner] | None = None


REFUSED = {
    "a text": (["x"], "file must be a table, not a list"),
    "nothing": ({}, "file lacks a"),
    "true for a number": ({"a": True}, "file.a must be a whole number, not true or false"),
    "a fraction": ({"a": 1.0}, "file.a must be a whole number, not a number"),
    "a text for a number": ({"a": 1, "b": "2"}, "file.b must be a number, not text"),
    "another choice": ({"a": 1, "c": "z"}, "file.c cannot be 'z'"),
    "a list as a choice": ({"a": 1, "c": []}, "file.c must be text, not a list"),
    "one of two": ({"a": 1, "d": [1]}, "file.d must be a list of 2 values, not 1"),
    "a text in a list": ({"a": 1, "d": [1, "x"]}, r"file.d\[1\] must be a number, not text"),
    "a range": ({"a": 1, "e": {"k": -1}}, "file.e: k must be positive"),
    "1 for true": ({"a": 1, "f": 1}, "file.f must be true or false, not a whole number"),
    "an unknown field": ({"a": 1, "zz": 1}, "file has the unknown field 'zz'"),
    "an unknown field below": ({"a": 1, "e": {"kk": 1}}, "file.e has the unknown field 'kk'"),
    "an unknown field in a table": ({"a": 1, "h": {"n": {"kk": 1}}}, "file.h.n has the unknown field 'kk'"),
    "not a number": ({"a": 1, "b": math.nan}, "file.b must be finite, not nan"),
    "infinite": ({"a": 1, "d": [0, -math.inf]}, r"file.d\[1\] must be finite, not -inf"),
    "large": ({"a": 10**30}, r"file.a must be below 2\^63 in size"),
    "large beyond floats": ({"a": 1, "b": 10**400}, r"file.b must be below 2\^63 in size"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refuses_other_types_and_names_the_field(name: str) -> None:
    value, sentence = REFUSED[name]
    with pytest.raises(ValueError, match=f"^{sentence}$"):
        as_kind(value, Outer, "file")


def test_converts_lists_and_whole_numbers() -> None:
    value = {"a": 1, "b": 2, "d": [3, 4], "e": {"k": 5}, "g": ["s"], "h": {"n": {}}}
    found = as_kind(value, Outer, "file")
    assert found == Outer(1, 2.0, "x", (3.0, 4.0), Inner(5), False, ("s",), {"n": Inner()})
    assert type(found.b) is float
    assert type(found.d[0]) is float


def test_a_file_nested_thousands_deep_is_refused() -> None:
    value: dict[str, object] = {}
    for _ in range(20_000):
        value = {"e": value}
    with pytest.raises(ValueError, match=r"^file is nested more than 50 levels deep$"):
        as_kind(value, Outer, "file")
    with pytest.raises(ValueError, match=r"^it is nested"):
        parse_json("[" * 20_000 + "]" * 20_000, "it")
    with pytest.raises(ValueError, match=r"^it is nested"):
        parse_json('{"a":' * 60 + "1" + "}" * 60, "it")
    check_depth([[1]] * 3, "it")


def test_json_of_a_megabyte_of_anything_is_refused_in_one_line() -> None:
    for text in (b"\xff\xfe", "", "{", "nul", "1" * 10_000, '"' + "x" * 9_000_000 + '"', "{'a': 1}"):
        with pytest.raises(ValueError, match=r"^it ") as refused:
            parse_json(text, "it")
        assert len(str(refused.value)) < 300


def test_a_choice_of_a_megabyte_is_not_repeated() -> None:
    with pytest.raises(ValueError, match=r"^file.c cannot be") as refused:
        as_kind({"a": 1, "c": "z" * 1_000_000}, Outer, "file")
    assert len(str(refused.value)) < 200
