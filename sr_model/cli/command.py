"""The class of the commands `sr-*`: the one of all programs here, which also prints what the library logs."""

from __future__ import annotations

import logging
from typing import Any

import click

from dgp_mining import command_line

PACKAGES = ("sr_model", "dgp_mining", "splat2d")


class Command(command_line.Command):
    """A command that prints the log records of the library on stderr."""

    def invoke(self, ctx: click.Context) -> Any:
        echo = _Echo(ctx)
        loggers = [logging.getLogger(name) for name in PACKAGES]
        for logger in loggers:
            logger.setLevel(logging.INFO)
            logger.addHandler(echo)
        try:
            return super().invoke(ctx)
        finally:
            for logger in loggers:
                logger.removeHandler(echo)


class _Echo(logging.Handler):
    """Prints log records as plain lines on stderr, with options in place of arguments."""

    def __init__(self, ctx: click.Context) -> None:
        super().__init__(logging.INFO)
        self.ctx = ctx

    def emit(self, record: logging.LogRecord) -> None:
        click.echo(command_line.in_options(record.getMessage(), self.ctx), err=True)
