"""The options of sr-upscale on how stored numbers are read; dgp_mining/images/README.md has the rules."""

from __future__ import annotations

from collections.abc import Callable

import click

from dgp_mining.command_line import Function, option
from dgp_mining.images.reading import TONES, Reading

from . import types


def reading_options() -> Callable[[Function], Function]:
    """--white, --levels, --axis, --slice and --tone; see `chosen_reading`."""
    options = (
        option(
            "--white",
            type=float,
            metavar="N",
            argument=["reading.white"],
            help="The stored number that is white, in images of more than 8 bits and of floats: 10000 for "
            "satellites' reflectance, 4095 for 12 bits in 16.  [default: what each file says]",
        ),
        option(
            "--levels",
            type=types.levels,
            metavar="LOW,HIGH",
            argument=["reading.window"],
            help="The stored numbers that are black and white; others are clipped.  [default: what each file "
            "says]",
        ),
        option(
            "--axis",
            type=click.Choice(["x", "y", "z", "t"]),
            argument=["reading.axis"],
            help="Axis across which volumes and series are cut.  [default: the usual one of each format]",
        ),
        option(
            "--slice",
            type=click.IntRange(0),
            metavar="N",
            argument=["reading.slice"],
            help="Number, from 0, of the slice, frame or page that is read.  [default: the first frame or "
            "page, the middle slice]",
        ),
        option(
            "--tone",
            default="clip",
            type=click.Choice(TONES),
            argument=["reading.tone"],
            help="What becomes of linear light above white (OpenEXR, Radiance): clip makes it white, "
            "reinhard maps L to L/(1+L).",
        ),
    )

    def decorate(function: Function) -> Function:
        for one in reversed(options):
            function = one(function)
        return function

    return decorate


def chosen_reading(
    white: float | None, levels: tuple[float, float] | None, axis: str | None, slice_: int | None, tone: str
) -> Reading:
    """Return the reading that the options choose. Raises UsageError for impossible or contradicting ones."""
    try:
        return Reading(white, levels, axis, slice_, tone)
    except ValueError as error:
        # The library's window= is --levels here; --window is a part of the image.
        raise click.UsageError(str(error).replace("window=", "levels=")) from error
