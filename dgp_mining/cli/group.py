"""Base classes of the commands of `dgp-mine`, which print a RunError as one sentence, too."""

from __future__ import annotations

import click

from .. import command_line
from ..retry import RunError


class Command(command_line.Command):
    """A command of `dgp-mine`."""

    foreseen = (*command_line.Command.foreseen, RunError)


class Group(command_line.Group):
    """A group of commands of `dgp-mine`."""

    command_class: type[click.Command] | None = Command
