"""The text of options to values: scales, sizes, windows. Each raises `click.BadParameter` for other text."""

from __future__ import annotations

import math
import re

import click

from ..scaling import RequestedSize, Scale

MOST_SCALE = 1e9
"""Largest scale, and number of GB: what is larger is a mistake, and has many digits."""
MOST_DIGITS = 15
"""Of a side in pixels."""
SCALES = f"above 0, at most {MOST_SCALE:,.0f}"
"""What scales are."""


def scale(text: str) -> float:
    """A finite number above 0, written as 4, x4 or 4x."""
    factor = _number(re.sub(r"^x(?=[^x]+$)|(?<=[^x])x$", "", _plain(text)))
    if factor is None:
        raise click.BadParameter(f"{_shown(text)} is not a scale {SCALES}, such as 4, x4 or 3.7.")
    return factor


def scales(text: str) -> list[float]:
    """Several scales, separated by commas, as in 2,3,4 or x2,x3."""
    return [scale(part) for part in text.split(",")]


def scale_by_axis(text: str) -> Scale:
    """A scale, or two as in 2x3 (width by height), to (vertical, horizontal)."""
    match = re.fullmatch(r"x?([^x]+)x([^x]+)", _plain(text))  # x2x3, too: results are named so
    if not match:
        return scale(text)
    width, height = (_number(part) for part in match.groups())
    if width is None or height is None:
        raise click.BadParameter(
            f"{_shown(text)} is not a scale {SCALES}, such as 4, x4, or 2x3 for width and height."
        )
    return height, width


def size(text: str) -> RequestedSize:
    """A size in pixels as in 1920x1080, 1920x or x1080, to (height, width) with None for what is left out."""
    side = rf"([1-9]\d{{0,{MOST_DIGITS - 1}}})?"
    match = re.fullmatch(f"{side}x{side}", _plain(text), re.ASCII)
    if not match or not any(match.groups()):
        raise click.BadParameter(f"{_shown(text)} is not a size such as 1920x1080, 1920x or x1080.")
    width, height = (int(side) if side else None for side in match.groups())
    return height, width


def window(text: str) -> tuple[float, float, float, float]:
    """x,y,width,height in pixels, whole or not; x and y may be negative, as of an image that repeats."""
    try:
        x, y, width, height = (float(part) for part in text.split(","))
    except ValueError:
        x = y = width = height = math.nan
    if not (math.isfinite(x + y) and 0 < width < math.inf and 0 < height < math.inf):
        raise click.BadParameter(
            f"{_shown(text)} is not a window such as 10,20,16,9: left, top, width, height."
        )
    return x, y, width, height


def gigabytes(text: str) -> float:
    """A number of gigabytes above 0."""
    number = _number(text)
    if number is None:
        raise click.BadParameter(f"{_shown(text)} is not a number of GB above 0, such as 4 or 0.5.")
    return number


def _shown(text: str) -> str:
    """The text of an option as an error repeats it."""
    return repr(text if len(text) <= 60 else text[:56] + " ...")


def _plain(text: str) -> str:
    """The text of an option with every cross as a small x."""
    return text.strip().lower().replace("×", "x")


def _number(text: str) -> float | None:
    """A number above 0, at most MOST_SCALE, or None if `text` is not one."""
    try:
        number = float(text)
    except ValueError:
        return None
    return number if 0 < number <= MOST_SCALE else None
