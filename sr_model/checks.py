"""Checks that all settings share."""

from __future__ import annotations

import math
import types
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints


def check_choices(settings: Any) -> None:
    """Raise ValueError if a field of a settings dataclass is not one of the values of its Literal type."""
    for name, hint in get_type_hints(type(settings)).items():
        value = getattr(settings, name)
        kinds = get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)
        choices = [choice for kind in kinds if get_origin(kind) is Literal for choice in get_args(kind)]
        if choices and value not in choices and not (value is None and type(None) in kinds):
            raise ValueError(f"{name} must be one of {', '.join(choices)}, got {value!r}")


def check_positive(settings: object, *names: str) -> None:
    """Raise ValueError if one of the named fields is not a finite number above 0."""
    for name in names:
        value = getattr(settings, name)
        if not 0 < value < math.inf:  # also refuses NaN
            raise ValueError(f"{name} must be positive, got {value}")


def check_most(settings: object, **most: int) -> None:
    """Raise ValueError if one of the named fields is above the number given for it."""
    for name, largest in most.items():
        value = getattr(settings, name)
        if value > largest:
            raise ValueError(f"{name} must be at most {largest}, got {value}")
