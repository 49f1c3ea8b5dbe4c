"""What the commands of `dgp-mine` share: exit statuses, options, and errors as one sentence."""

from __future__ import annotations

from typing import Any

import click

INTERRUPTED = 130
FINISHED_WITH_FAILURES = 3


class Commands(click.Group):
    """A group in which every error that the library raises is one sentence and exit status 1."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort, BrokenPipeError):
            raise
        except Exception as error:
            from ..retry import RunError

            if isinstance(error, (ValueError, OSError, RunError)):
                raise click.ClickException(str(error)) from error
            raise


STORE_OPTION = click.option("--store", default="dgp.zarr", show_default=True, help="The store of the fits.")
JSON_OPTION = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
