"""`dgp-mine`: mine photographs into a store, look at it, condense it into a kernel dictionary."""

from __future__ import annotations

import click

# What the commands need is imported in them: `dgp-mine status` should not wait for torch or Dask.
from . import dictionary, fit, report, store
from .group import Commands


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
def main() -> None:
    """Mine the Deep Gaussian Prior: fit 2D Gaussians to photographs and condense them into a dictionary."""


for command in (
    *(fit.fit, store.status, store.verify, store.merge),
    *(dictionary.dictionary, report.report, report.export),
):
    main.add_command(command)
