"""Settings from a TOML file and from `--set` options, applied to those of a preset.

    preset = "paper"            # and other options of sr-train, by their names on the command line

    [network]
    blending = "sqrt"

    [training]
    learning_rate = 2e-4
    [training.degradation]
    noise.sigma = [0, 15]       # naming a section that is "none" by default turns it on

Every name and every type is checked; an error is one sentence that names the file or option.
`sr_model/SETTINGS.md` lists all settings.
"""

from __future__ import annotations

import difflib
import json
import logging
import math
import tomllib
import types
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from dgp_mining.schema import LARGEST, check_depth, shortened
from splat2d.atomic_write import refuse_irregular

from .presets import RENAMED, Preset, renamed_message

log = logging.getLogger(__name__)

TABLES = {"network": "network", "training": "train"}
"""Names of the tables of a file, and the fields of a Preset that they change."""
NONE = "none"
"""Value for the absence of an optional setting, because TOML has no null."""
DEEPEST = 10
"""Parts of the longest name of a setting."""


MOST_TEXT = 1_000_000
"""Bytes of the longest file that is read."""
MOST_DOTS = 1000
"""Dots in a line, of names and numbers: names of many parts take time with the square of their number."""
CUSTOM = "training.degradation.custom"
"""The setting that names a Python function, which is run."""


class ConfigError(ValueError):
    """A file or an option with a wrong setting; the message is one sentence."""


@dataclass(frozen=True)
class Given:
    """A value and where it was given."""

    value: Any
    """Value as TOML has it: a string, number, boolean or list."""
    source: str
    """The file, or the option with its value."""


@dataclass(frozen=True)
class Config:
    """The content of a settings file."""

    options: Mapping[str, Any]
    """Keys outside of any table: options of the command."""
    settings: Mapping[str, Any]
    """Tables: nested dictionaries of Given."""
    path: str = ""
    """The file, with which errors about its settings begin."""


def read_config(path: str | Path, options: Iterable[str], lists: Collection[str] = ()) -> Config:
    """Read a TOML file.

    A preset's name of the last release is replaced by its present one, with a warning in the log.

    Args:
        path: of the file.
        options: names of the keys that it may have outside of any table.
        lists: those of them that may be lists.

    Raises:
        ConfigError: if the file cannot be read, is not TOML, or has another key.
    """
    content = _content(path)
    known = [*options, *TABLES]
    found: dict[str, Any] = {}
    for name, value in content.items():
        name = name.replace("-", "_")
        if name not in known:
            raise ConfigError(f"{path}: there is no setting {shortened(name, 60)}{nearest(name, known)}.")
        if isinstance(value, dict) != (name in TABLES):
            raise ConfigError(f"{path}: {name} must be a {'table' if name in TABLES else 'single value'}.")
        if isinstance(value, list) and name not in lists:
            raise ConfigError(f"{path}: {name} must be a single value, not a list.")
        if any(map(_beyond_numbers, value if isinstance(value, list) else [value])):
            raise ConfigError(f"{path}: {name} must be finite and below 2^63 in size.")
        found[name] = value
    if found.get("preset") in RENAMED:
        log.warning("%s: %s", path, renamed_message(found["preset"]))
        found["preset"] = RENAMED[found["preset"]]
    return Config(
        {name: value for name, value in found.items() if name not in TABLES},
        {name: _with_source(value, str(path)) for name, value in found.items() if name in TABLES},
        str(path),
    )


def _content(path: str | Path) -> dict[str, Any]:
    """Return what a TOML file holds. Raises ConfigError."""
    try:
        refuse_irregular(path)
        with Path(path).open("rb") as file:
            text = file.read(MOST_TEXT + 1)
        if len(text) > MOST_TEXT:
            raise ValueError(f"it has more than {MOST_TEXT:,} bytes")
        if max(line.count(b".") for line in text.split(b"\n")) > MOST_DOTS:
            raise ValueError(f"it has a line with more than {MOST_DOTS:,} dots")
        content = tomllib.loads(text.decode("utf-8").replace("\r\n", "\n").replace("\r", "\n"))
        check_depth(content, "it")
    except OSError as error:
        raise ConfigError(f"{path} cannot be read ({error.strerror}): name a TOML file.") from error
    except RecursionError as error:
        raise ConfigError(f"{path} is not a TOML file of settings (it is nested too deep).") from error
    except ValueError as error:  # not TOML, or not text
        reason = "not text" if isinstance(error, UnicodeDecodeError) else shortened(str(error)).rstrip(".")
        raise ConfigError(f"{path} is not a TOML file ({reason}).") from error
    return content


def configured(
    preset: Preset,
    settings: Mapping[str, Any],
    overrides: Sequence[str] = (),
    *,
    allow_custom: bool = False,
) -> Preset:
    """Return `preset` with other settings.

    Args:
        preset: the preset to change.
        settings: `Config.settings` of a file.
        overrides: texts NAME=VALUE, which take precedence over the file.
        allow_custom: whether the file may name a Python function to run, CUSTOM; `overrides` always may.

    Raises:
        ConfigError: for a setting that does not exist or a value that it cannot have.

    >>> from sr_model import PRESETS
    >>> configured(PRESETS["demo"], {}, ["training.batch=4", "network.blending=cholesky"]).train.batch
    4
    """
    changes: dict[str, Any] = {}
    _merge(changes, settings)
    of_file = _custom(changes)
    for text in overrides:
        shown = f"--set {shortened(text)}"
        name, equals, value = text.partition("=")
        path = name.strip().replace("-", "_").split(".")
        if not equals or len(path) < 2:
            raise ConfigError(f"{shown}: name a setting and its value, such as training.batch=32.")
        if len(path) > DEEPEST:
            raise ConfigError(f"{shown}: there is no setting of so many parts.")
        change: Any = Given(_parsed(value.strip()), shown)
        for part in reversed(path):
            change = {part: change}
        _merge(changes, change)
    for name in changes:
        if name not in TABLES:
            source = next(iter(_sources(changes[name])))
            raise ConfigError(f"{source}: there is no table {shortened(name)}{nearest(name, TABLES)}.")
    if of_file and _custom(changes) is of_file and not allow_custom:
        shown = of_file.value if isinstance(of_file.value, str) else _shown(of_file.value)
        raise ConfigError(
            f"{of_file.source}: {CUSTOM} names a Python function, {shortened(shown, 80)}, which "
            "a training would run: if you trust it, give allow_custom=True."
        )
    changed = {
        field: _changed(getattr(preset, field), changes[table], table)
        for table, field in TABLES.items()
        if table in changes
    }
    return replace(preset, **changed)


def _custom(changes: Mapping[str, Any]) -> Given | None:
    """Return the name of a Python function among the changes, if there is one."""
    found: Any = changes
    for part in CUSTOM.split("."):
        found = found.get(part) if isinstance(found, dict) else None
    return found if isinstance(found, Given) and found.value not in (NONE, False) else None


def as_toml(preset: Preset) -> str:
    """Return all settings of a preset as the text of a file for `read_config`."""
    return "\n".join(
        line for table, field in TABLES.items() for line in _lines(getattr(preset, field), table)
    )


def as_toml_value(value: object) -> str:
    """Return a setting's value as TOML writes it.

    >>> as_toml_value((2.0, 4.5)), as_toml_value(None)
    ('[2.0, 4.5]', '"none"')
    """
    text = json.dumps(NONE if value is None else value, ensure_ascii=False)
    return text.replace("\x7f", "\\u007f")  # TOML, unlike JSON, has it only escaped


def nearest(name: str, known: Iterable[str]) -> str:
    """Return the end of an error about an unknown name: the most similar known name, or else all of them."""
    known = list(known)
    near = difflib.get_close_matches(name, known, 1) or [other for other in known if name in other]
    return f": the nearest is {near[0]}" if near else f" (there are {', '.join(known)})"


def optional_kind(hint: Any) -> tuple[Any, bool]:
    """Return the type in a hint `kind` or `kind | None`, and whether None is in it."""
    options = get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)
    (kind,) = [option for option in options if option is not type(None)]
    return kind, type(None) in options


def in_words(kind: Any) -> str:
    """Return a setting's type in words.

    >>> in_words(tuple[float, float])
    'a list of 2 numbers'
    """
    if get_origin(kind) is Literal:
        return f"one of {', '.join(get_args(kind))}"
    if get_origin(kind) is tuple:
        parts = get_args(kind)
        if get_origin(parts[0]) is Literal:
            return f"a list of {', '.join(get_args(parts[0]))}"
        one = {"int": "whole numbers", "float": "numbers"}.get(parts[0].__name__, "values")
        return f"a list of {one}" if parts[-1] is Ellipsis else f"a list of {len(parts)} {one}"
    return {int: "a whole number", float: "a number", bool: "true or false", str: "text"}[kind]


def _lines(settings: Any, table: str) -> list[str]:
    lines, below = [f"[{table}]"], []
    for field in fields(settings):
        value = getattr(settings, field.name)
        if is_dataclass(value):
            below += _lines(value, f"{table}.{field.name}")
        else:
            lines.append(f"{field.name} = {as_toml_value(value)}")
    return [*lines, "", *below]


def _with_source(table: Mapping[str, Any], source: str) -> dict[str, Any]:
    return {
        name.replace("-", "_"): _with_source(value, source)
        if isinstance(value, dict) and value
        else Given(value, source)
        for name, value in table.items()
    }


def _merge(into: dict[str, Any], changes: Mapping[str, Any]) -> None:
    for name, change in changes.items():
        if isinstance(change, dict):
            if not isinstance(into.get(name), dict):
                into[name] = {}
            _merge(into[name], change)
        else:
            into[name] = change


def _parsed(text: str) -> Any:
    """Return the value of an override: TOML, a list without its brackets, or a text without its quotes."""
    for form in (text, f"[{text}]") if "," in text else (text,):
        try:
            return tomllib.loads(f"value = {form}")["value"]
        except (ValueError, RecursionError):
            continue
    return text


def _sources(change: Any) -> list[str]:
    if isinstance(change, Given):
        return [change.source]
    return list(dict.fromkeys(source for part in change.values() for source in _sources(part)))


def _changed(settings: Any, changes: Any, name: str) -> Any:
    """Return a settings dataclass with other values. Raises ConfigError."""
    hints = get_type_hints(type(settings))
    if isinstance(changes, Given) and changes.value == {}:
        return settings
    if isinstance(changes, Given):
        raise ConfigError(f"{changes.source}: {name} is a table; set one of {', '.join(hints)} in it.")
    for key, change in changes.items():
        if key not in hints:
            source = _sources(change)[0] if _sources(change) else name
            known = f"{name}.{shortened(key, 60)}{nearest(key, hints)}"
            raise ConfigError(f"{source}: there is no setting {known}.")
    values = {
        key: _converted(change, hints[key], f"{name}.{key}", getattr(settings, key))
        for key, change in changes.items()
    }
    try:
        return replace(settings, **values)
    except (ValueError, ArithmeticError) as error:
        raise ConfigError(
            f"{' and '.join(_sources(changes)) or name}: {shortened(str(error), 500)}."
        ) from error


def _converted(change: Any, hint: Any, name: str, now: Any) -> Any:
    """Return the value given for a setting of type `hint`. Raises ConfigError."""
    kind, optional = optional_kind(hint)
    given = change.value if isinstance(change, Given) else change
    if optional and (given == NONE or given is False):
        return None
    if is_dataclass(kind):
        start = now if now is not None or not isinstance(kind, type) else kind()
        return start if optional and given is True else _changed(start, change, name)
    try:
        if isinstance(given, dict):
            raise TypeError
        return _of_type(given, kind)
    except TypeError:
        source = " and ".join(_sources(change)) or name
        none = f", or '{NONE}'" if optional else ""
        got = "a table" if isinstance(given, dict) else _shown(given)
        raise ConfigError(f"{source}: {name} must be {in_words(kind)}{none}, got {got}.") from None


def _of_type(value: Any, kind: Any) -> Any:
    """Return `value` as a `kind`; whole numbers are also numbers. Raises TypeError if it is not one."""
    if get_origin(kind) is Literal:
        if value in get_args(kind):
            return value
    elif get_origin(kind) is tuple:
        parts = get_args(kind)
        if isinstance(value, str) and get_origin(parts[0]) is Literal:  # --set NAME=one,another
            value = value.split(",")
        if isinstance(value, list | tuple):
            parts = parts[:1] * len(value) if parts[-1] is Ellipsis else parts
            if len(parts) == len(value):
                return tuple(_of_type(one, part) for one, part in zip(value, parts, strict=True))
    elif _beyond_numbers(value):
        raise TypeError
    elif kind is float and type(value) in (int, float):
        return float(value)
    elif type(value) is kind:
        return value
    raise TypeError


def _beyond_numbers(value: Any) -> bool:
    """Whether a value is a number that is not finite, or whole and larger than those of other programs."""
    if isinstance(value, float):
        return not math.isfinite(value)
    return isinstance(value, int) and abs(value) >= LARGEST


def _shown(value: Any) -> str:
    """Return a value as an error repeats it."""
    if isinstance(value, int) and _beyond_numbers(value):
        return "a number of 2^63 or more"
    try:
        return shortened(repr(value))
    except ValueError:  # of Python, for a list with a number of thousands of digits
        return "numbers of 2^63 or more"
