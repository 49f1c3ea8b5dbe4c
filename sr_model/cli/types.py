"""Types of command-line options: scales, sizes and windows."""

from __future__ import annotations

import math
import re
from typing import Any

import click


class Scale(click.ParamType):
    """A finite number above 0."""

    name = "scale"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        try:
            scale = float(value)
        except ValueError:
            scale = math.nan
        if not 0 < scale < math.inf:
            self.fail(f"{value!r} is not a number above 0, such as 4 or 3.7.", param, ctx)
        return scale


class Scales(click.ParamType):
    """Several scales, separated by commas."""

    name = "scale,scale,..."

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> list[float]:
        return [Scale().convert(part.strip(), param, ctx) for part in value.split(",")]


class Scales2D(click.ParamType):
    """A scale, or two as in WxH, to (vertical, horizontal)."""

    name = "scale"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float | tuple[float, float]:
        scales = [Scale().convert(part, param, ctx) for part in re.split("[xX]", value)]
        if len(scales) > 2:
            self.fail(f"{value!r} is not a scale such as 4, or 2x3 for width and height.", param, ctx)
        return scales[0] if len(scales) == 1 else (scales[1], scales[0])


class Window(click.ParamType):
    """x,y,w,h in pixels, whole or not."""

    name = "x,y,w,h"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[float, float, float, float]:
        try:
            x, y, width, height = (float(part) for part in value.split(","))
        except ValueError:
            x = y = width = height = math.nan
        if not (x >= 0 and y >= 0 and 0 < width < math.inf and 0 < height < math.inf):
            self.fail(f"{value!r} is not a window such as 10,20,16,9: left, top, width, height.", param, ctx)
        return x, y, width, height


class Size(click.ParamType):
    """WxH in pixels, to (height, width)."""

    name = "WxH"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, int]:
        match = re.fullmatch(r"([1-9]\d*)[xX]([1-9]\d*)", value)
        if not match:
            self.fail(f"{value!r} is not a size such as 1920x1080.", param, ctx)
        return int(match[2]), int(match[1])
