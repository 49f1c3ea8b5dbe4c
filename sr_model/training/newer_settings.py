"""Settings that a training begun by an earlier release did not have: it ran with their defaults."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import MISSING, Field, asdict, fields, is_dataclass
from typing import Any


def with_newer_settings(saved: Mapping[str, Any], settings: Any) -> dict[str, Any]:
    """Return the saved settings, and the defaults of those that are newer than the file.

    Args:
        saved: fields of a settings dataclass as JSON has them.
        settings: an object of that class as it is now; only its class and those of its parts matter.

    >>> from sr_model import PRESETS
    >>> with_newer_settings({"width": 48}, PRESETS["demo"].network)["long_skip"]
    True
    """
    found = dict(saved)
    for field in fields(settings):
        part = getattr(settings, field.name)
        if field.name not in found:
            found |= _default(field)
        elif is_dataclass(part) and isinstance(found[field.name], dict):
            found[field.name] = with_newer_settings(found[field.name], part)
    return found


def _default(field: Field[Any]) -> dict[str, Any]:
    if field.default_factory is not MISSING:
        value = field.default_factory()
    elif field.default is not MISSING:
        value = field.default
    else:
        return {}
    whole = asdict(value) if is_dataclass(value) and not isinstance(value, type) else value
    return {field.name: json.loads(json.dumps(whole))}  # tuples become lists, as they are in a file
