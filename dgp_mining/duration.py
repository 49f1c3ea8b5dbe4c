"""Durations as text."""

from __future__ import annotations


def duration(seconds: float) -> str:
    """Format a duration in seconds roughly, in a unit from seconds to days.

    >>> duration(40), duration(720), duration(12_600)
    ('40 s', '12 min', '3.5 h')
    """
    for unit, length, digits in (("s", 1, 0), ("min", 60, 0), ("h", 3600, 1)):
        if seconds < 100 * length:
            return f"{seconds / length:.{digits}f} {unit}"
    return f"{seconds / 86400:.1f} days"
