"""What a stranger, or a bad disk, makes of a file: strategies of hypothesis that change bytes and JSON."""

from __future__ import annotations

import copy
import json
import math
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st

LONG = 1000
"""Examples of a test from which a profile is one to run by hand."""


def examples(number: int) -> settings:
    """Take so many examples in `make test`; in the profile "long", as many as that says."""
    usual = settings().max_examples
    return settings(max_examples=usual if usual > LONG else number)


def nested(levels: int, kind: str = "list") -> Any:
    """A list in a list, or a table in a table, so many levels deep."""
    value: Any = 1
    for _ in range(levels):
        value = [value] if kind == "list" else {"a": value}
    return value


STRANGE = (
    *(None, True, False, 0, 1, -1, 2, 3, 0.5, -0.5, math.nan, math.inf, -math.inf, 1e30, 1e-30, 1e308),
    *(10**9, 2 * 10**8, 2**31, 2**63 - 1, 2**63, 10**20, 10**400, -(10**20)),
    *("", "x", "1", "True", "nan", "../..", "/dev/zero", "a\nb", "\x1b[2J", "\x00", "\ud800", "x" * 5000),
    *([], {}, [1], [1, 2], [1, 2, 3], [[]], [True], ["x"], [math.nan, 1], {"a": 1}, {"": {}}),
    *([0] * 3000, nested(60), nested(60, "table"), nested(900)),
)
"""Values of other types than one expects, and at the ends of their ranges."""


def strange_values() -> st.SearchStrategy[Any]:
    """A value that a field of a file should not have, most of the time."""
    return st.sampled_from(STRANGE).map(copy.deepcopy)


def paths(value: Any, here: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The place of every value inside `value`, also its own."""
    yield here
    if isinstance(value, dict):
        for name, below in value.items():
            yield from paths(below, (*here, name))
    elif isinstance(value, list):
        for number, below in enumerate(value[:5]):
            yield from paths(below, (*here, number))


@st.composite
def changed_json(draw: st.DrawFn, value: Any) -> Any:
    """`value` with one or two of its parts replaced by others, lost, doubled, or with one more beside."""
    for _ in range(draw(st.integers(1, 2))):
        value = _changed_once(draw, copy.deepcopy(value))
    return value


def _changed_once(draw: st.DrawFn, value: Any) -> Any:
    place = draw(st.sampled_from(list(paths(value))))
    if not place:
        return draw(strange_values())
    holder = value
    for step in place[:-1]:
        holder = holder[step]
    match draw(st.sampled_from(["replace", "replace", "replace", "lose", "double", "add"])):
        case "replace":
            holder[place[-1]] = draw(strange_values())
        case "lose":
            del holder[place[-1]]
        case "double" if isinstance(holder, list):
            holder.extend(copy.deepcopy(holder))
        case _ if isinstance(holder, list):
            holder.append(draw(strange_values()))
        case _:
            holder[draw(st.sampled_from(["more", "", "a\nb"]))] = draw(strange_values())
    return value


def as_text(value: Any) -> str:
    """JSON as a stranger writes it, with NaN and lone surrogates."""
    return json.dumps(value)


def changed_bytes(content: bytes) -> st.SearchStrategy[bytes]:
    """`content` with some bytes changed, lost, added, or with an end cut off."""
    return st.lists(_change(len(content)), min_size=1, max_size=4).map(lambda steps: _applied(content, steps))


Step = Callable[[bytearray], None]


def _applied(content: bytes, steps: list[Step]) -> bytes:
    changed = bytearray(content)
    for step in steps:
        step(changed)
    return bytes(changed)


@st.composite
def _change(draw: st.DrawFn, length: int) -> Step:
    # Where formats say what follows: at the start and at the end; otherwise anywhere.
    anywhere = st.integers(0, max(0, length - 1))
    first = st.integers(0, max(0, min(length, 200) - 1))
    at = draw(st.one_of(first, anywhere, first.map(lambda back: max(0, length - 1 - back))))
    kind = draw(st.sampled_from(["byte", "byte", "number", "cut", "lose", "add", "zero"]))
    byte = draw(st.integers(0, 255))
    number = draw(st.sampled_from([0, 1, 255, 2**16 - 1, 2**31 - 1, 2**32 - 1, 2**63 - 1, 2**64 - 1]))
    size = draw(st.sampled_from([2, 4, 8]))

    def apply(content: bytearray) -> None:
        if kind == "byte" and at < len(content):
            content[at] = byte
        elif kind == "number":
            content[at : at + size] = (number % (1 << 8 * size)).to_bytes(size, "little")
        elif kind == "cut":
            del content[at:]
        elif kind == "lose":
            del content[at : at + size]
        elif kind == "add":
            content[at:at] = bytes([byte]) * size
        elif kind == "zero":
            content[at : at + 32] = bytes(len(content[at : at + 32]))

    return apply


def outcome(action: Callable[[], Any], error: type[Exception] = ValueError) -> tuple[Any, str]:
    """The result of `action` and "", or None and the sentence of the error; other errors are not caught."""
    try:
        return action(), ""
    except error as refused:
        return None, str(refused)


def check_sentence(text: str, path: Path) -> None:
    """Assert that an error of a command is one line that names the file first and ends with a full stop."""
    assert text.startswith(str(path))
    assert text.endswith(".")
    assert len(text) < 2000
    assert "\n" not in text


CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""What could control a terminal, end a line, change the order of letters, or not be encoded."""


def is_one_sentence(text: str) -> bool:
    """Whether a message can be printed as one line that is read."""
    return not CONTROL.search(text) and 10 < len(text) < 1000
