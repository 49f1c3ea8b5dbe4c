"""Checking what files say: JSON of bounded length and depth, and values that have the types of a dataclass.

A format's schema is its dataclass: the fields' types are checked here, strictly, and their ranges in its
`__post_init__`. Errors name the field as `what.field`.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any, TypeVar

import msgspec

MOST_TEXT = 8_000_000
"""Characters of the longest JSON text that is read: a list of empty lists takes twenty times its bytes."""

DEEPEST = 50
"""Levels of nesting of the deepest value that is read."""

LARGEST = 1 << 63
"""Whole numbers are below it, as those of arrays and of other programs are."""

_WORDS = {
    "int": "a whole number",
    "float": "a number",
    "str": "text",
    "bool": "true or false",
    "null": "null",
    "array": "a list",
    "object": "a table",
}

Kind = TypeVar("Kind")


def parse_json(text: str | bytes, what: str, longest: int = MOST_TEXT) -> Any:
    """Return the value of a JSON text. NaN and Infinity are read, as Python's json writes them.

    Raises ValueError, beginning with `what`, for other text, or if it is longer than `longest` or nested more
    than DEEPEST levels deep.

    >>> parse_json('{"steps": 3}', "the header")
    {'steps': 3}
    >>> parse_json("[" * 100_000, "the header")
    Traceback (most recent call last):
    ValueError: the header is nested more than 50 levels deep
    """
    if len(text) > longest:
        raise ValueError(f"{what} has {len(text)} characters, more than the {longest} that are read")
    try:
        value = json.loads(text)
    except RecursionError:
        raise ValueError(f"{what} is nested more than {DEEPEST} levels deep") from None
    except ValueError as error:
        reason = "it is not text" if isinstance(error, UnicodeDecodeError) else shortened(str(error))
        raise ValueError(f"{what} is not JSON ({reason})") from error
    check_depth(value, what)
    return value


def check_depth(value: Any, what: str) -> None:
    """Raise ValueError, beginning with `what`, if lists and tables are nested more than DEEPEST deep."""
    level = [value]
    for _ in range(DEEPEST + 1):
        level = [below for one in level if isinstance(one, dict | list | tuple) for below in _parts(one)]
        if not level:
            return
    raise ValueError(f"{what} is nested more than {DEEPEST} levels deep")


def as_kind(value: Any, kind: type[Kind], what: str) -> Kind:
    """Return a value from JSON, or from a mapping of settings, as a dataclass or any other type.

    Types are strict: no text for a number, no true for 1, no number with a fraction for a whole one; but
    whole numbers are numbers, too. Numbers must be finite and, if whole, below LARGEST in size. Unknown
    fields are refused.

    Args:
        value: dictionaries, lists, texts, numbers, booleans and None.
        kind: a dataclass, or a type such as `list[int]`.
        what: of the value, for errors.

    Raises ValueError that names the field, as do errors of `__post_init__`.

    >>> from dataclasses import dataclass
    >>> @dataclass
    ... class Shape:
    ...     width: int
    ...     gain: float = 1.0
    >>> as_kind({"width": 3, "gain": 2}, Shape, "network")
    Shape(width=3, gain=2.0)
    >>> as_kind({"width": True}, Shape, "network")
    Traceback (most recent call last):
    ValueError: network.width must be a whole number, not true or false
    >>> as_kind({"width": 3, "depth": 4}, Shape, "network")
    Traceback (most recent call last):
    ValueError: network has the unknown field 'depth'
    """
    check_depth(value, what)
    _check_numbers(value, what)
    try:
        result: Kind = msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise ValueError(_sentence(str(error), what)) from error
    except RecursionError as error:
        raise ValueError(f"{what} is nested more than {DEEPEST} levels deep") from error
    _check_fields(value, result, what)
    return result


def shortened(text: str, length: int = 200) -> str:
    """Return a text on one line of at most `length` characters, for errors that repeat what a file says.

    >>> shortened("a  line" * 100, 12)
    'a linea ...'
    """
    line = " ".join(text[: 4 * length].split())
    return line if len(line) <= length else line[: length - 4].rstrip() + " ..."


def kind_in_words(value: Any) -> str:
    """Return what a value is, for errors.

    >>> kind_in_words(3), kind_in_words([3]), kind_in_words({3})
    ('a whole number', 'a list', 'a set')
    """
    if value is None:
        return "nothing"
    name = type(value).__name__
    name = {"list": "array", "tuple": "array", "dict": "object"}.get(name, name)
    return _WORDS.get(name) or f"a {shortened(name, 60)}"


def _parts(value: dict[Any, Any] | list[Any] | tuple[Any, ...]) -> Iterator[Any]:
    yield from value.values() if isinstance(value, dict) else value


def _named(value: Any, what: str) -> Iterator[tuple[str, Any]]:
    """Yield what a list or a table holds, with names."""
    if isinstance(value, dict):
        yield from ((f"{what}.{shortened(str(name), 60)}", below) for name, below in value.items())
    else:
        yield from ((f"{what}[{number}]", below) for number, below in enumerate(value))


def _is_number(value: Any) -> bool:
    """Whether a value is no number, or one that is read."""
    if isinstance(value, float):
        return math.isfinite(value)
    return not isinstance(value, int) or abs(value) < LARGEST


def _check_numbers(value: Any, what: str) -> None:
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict | list | tuple):
            waiting.extend(_parts(one))
        elif not _is_number(one):
            break
    else:
        return
    raise ValueError(_first_odd(value, what))


def _first_odd(value: Any, what: str) -> str:
    """Say what is wrong with the first number, of a value that holds such a one, which cannot be read."""
    if isinstance(value, dict | list | tuple):
        return next((odd for name, below in _named(value, what) if (odd := _first_odd(below, name))), "")
    if _is_number(value):
        return ""
    if isinstance(value, float):
        return f"{what} must be finite, not {value}"
    return f"{what} must be below 2^63 in size"


def _check_fields(value: Any, result: Any, what: str) -> None:
    """Raise ValueError if a table has entries that the dataclass, into which it was converted, has not."""
    if is_dataclass(result) and isinstance(value, dict):
        known = [field.name for field in fields(result)]
        unknown = [shortened(str(name), 60) for name in value if name not in known]
        if unknown:
            raise ValueError(f"{what} has the unknown field {unknown[0]!r}")
        for name, below in value.items():
            _check_fields(below, getattr(result, name), f"{what}.{name}")
    elif isinstance(value, dict | list | tuple) and isinstance(result, dict | list | tuple):
        converted = list(_parts(result))
        if any(is_dataclass(one) or isinstance(one, dict | list | tuple) for one in converted):
            for (name, below), one in zip(_named(value, what), converted, strict=False):
                _check_fields(below, one, name)


def _sentence(message: str, what: str) -> str:
    """Return what msgspec says of a value, with the field's name first."""
    message, _, place = message.partition(" - at `$")
    name = what + re.sub(r"\[\.\.\.\]", "", place.rstrip("`"))
    if match := re.fullmatch(r"Expected `(.+)`, got `(.+)`", message):
        expected, found = map(_in_words, match.groups())
        return f"{name} must be {expected}, not {found}"
    if match := re.fullmatch(r"Expected `array` of length (\d+), got (\d+)", message):
        return f"{name} must be a list of {match[1]} values, not {match[2]}"
    if match := re.fullmatch(r"Object missing required field `(.+)`", message):
        return f"{name} lacks {match[1]}"
    if match := re.fullmatch(r"Invalid enum value (.+)", message, re.DOTALL):
        return f"{name} cannot be {shortened(match[1], 80)}"
    return f"{name}: {shortened(message)}"


def _in_words(types: str) -> str:
    return " or ".join(_WORDS.get(one, one) for one in types.split(" | "))
