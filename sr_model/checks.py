"""Checks that all settings share."""

from __future__ import annotations

from typing import Any, Literal, get_args, get_origin, get_type_hints


def check_choices(settings: Any) -> None:
    """Raise ValueError if a field of a settings dataclass is not one of the values of its Literal type."""
    for name, hint in get_type_hints(type(settings)).items():
        value = getattr(settings, name)
        if get_origin(hint) is Literal and value not in get_args(hint):
            raise ValueError(f"{name} must be one of {', '.join(get_args(hint))}, got {value!r}")


def check_positive(settings: object, *names: str) -> None:
    """Raise ValueError if one of the named fields is not a number above 0."""
    for name in names:
        value = getattr(settings, name)
        if not value > 0:  # also refuses NaN
            raise ValueError(f"{name} must be positive, got {value}")
