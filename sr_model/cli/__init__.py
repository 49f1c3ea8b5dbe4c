"""The commands sr-train, sr-upscale and sr-eval: options in, one library call, one sentence on failure."""

from __future__ import annotations

import logging
import math
import re
from typing import Any

import click

FAILED_PARTLY = 3
"""Exit status of a command that went on after an image that it could not use."""

INTERRUPTED = 130
"""Exit status after Ctrl-C, as shells have it."""


class Command(click.Command):
    """A command that logs to stderr, and whose foreseen errors are one sentence and exit status 1."""

    def invoke(self, ctx: click.Context) -> Any:
        echo = _Echo(logging.INFO)
        loggers = [logging.getLogger(name) for name in ("sr_model", "dgp_mining", "splat2d")]
        for logger in loggers:
            logger.setLevel(logging.INFO)
            logger.addHandler(echo)
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            raise
        except KeyboardInterrupt:
            click.echo("Interrupted.", err=True)
            raise SystemExit(INTERRUPTED) from None
        except (ValueError, OSError) as error:  # all of this project's errors are ValueErrors
            raise click.ClickException(str(error).rstrip(".") + ".") from error
        finally:
            for logger in loggers:
                logger.removeHandler(echo)


class _Echo(logging.Handler):
    """Log records as plain lines on stderr."""

    def emit(self, record: logging.LogRecord) -> None:
        click.echo(record.getMessage(), err=True)


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
