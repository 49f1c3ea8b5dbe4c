"""The options of `dgp-mine` and `sr-upscale` that say how images are read; see images/reading.py."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from .command_line import Function, option

TONES = ("clip", "reinhard")
"""`reading.TONES`, without importing the library for the help."""


def reading_options(window: str = "--window") -> Callable[[Function], Function]:
    """--white, --window (or another name for it), --axis, --slice and --tone."""
    options = (
        option(
            "--white",
            argument=["reading.white"],
            type=float,
            metavar="N",
            help="The stored number that is white, in images of more than 8 bits and of floats: 10000 for "
            "satellites' reflectance, 4095 for 12 bits in 16.  [default: what each file says]",
        ),
        option(
            window,
            argument=["reading.window"],
            metavar="LOW,HIGH",
            help="The stored numbers that are black and white; others are clipped.  [default: what each file "
            "says]",
        ),
        option(
            "--axis",
            argument=["reading.axis"],
            type=click.Choice(["x", "y", "z", "t"]),
            help="Axis across which volumes and series are cut.  [default: the usual one of each format]",
        ),
        option(
            "--slice",
            argument=["reading.slice"],
            type=click.IntRange(0),
            metavar="N",
            help="Number, from 0, of the slice, frame or page that is read.  [default: the first frame or "
            "page, the middle slice]",
        ),
        option(
            "--tone",
            argument=["reading.tone"],
            default="clip",
            type=click.Choice(TONES),
            help="What becomes of linear light above white (OpenEXR, Radiance): clip makes it white, "
            "reinhard maps L to L/(1+L).",
        ),
    )

    def decorate(function: Function) -> Function:
        for one in reversed(options):
            function = one(function)
        return function

    return decorate


def parse_window(options: dict[str, Any]) -> None:
    """Replace the text of --window in `options` by its two numbers. Raises UsageError if it has others."""
    if options["window"] is not None:
        options["window"] = two_numbers(options["window"], "--window")


def two_numbers(text: str, name: str) -> tuple[float, float]:
    """The two numbers that the option `name` gives as a text. Raises UsageError if it has others."""
    try:
        low, high = (float(part) for part in text.split(","))
    except ValueError as error:
        raise click.UsageError(f"{name} is two numbers such as 0,10000, not {text!r}.") from error
    return low, high
