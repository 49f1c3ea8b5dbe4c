"""The commands sr-train, sr-upscale and sr-eval: options in, one library call, one sentence on failure."""

from __future__ import annotations

import logging
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
