"""How far a command is, on stderr, for whatever takes longer than two seconds."""

from __future__ import annotations

import sys
import time

import click

PATIENCE = 2.0
"""Seconds before the first word, and between two on a terminal half of that."""
LOG_EVERY = 15.0
"""Seconds between lines where stderr is a file."""


class ProgressLine:
    """One line that is written over on a terminal, and a line now and then elsewhere."""

    def __init__(self) -> None:
        self.terminal = sys.stderr.isatty()
        self.next = time.monotonic() + PATIENCE
        self.shown = 0

    def __call__(self, what: str, part: float) -> None:
        """Say that `part` (0 to 1) of `what` is done, if it is time to say something."""
        now = time.monotonic()
        if now < self.next:
            return
        line = f"{what}: {part:.0%}"
        if self.terminal:
            click.echo(f"\r{line:<{self.shown}}", nl=False, err=True)
            self.shown = len(line)
        else:
            click.echo(line, err=True)
        self.next = now + (PATIENCE / 2 if self.terminal else LOG_EVERY)

    def clear(self) -> None:
        """Take the line away, and be patient again."""
        if self.shown:
            click.echo("\r" + " " * self.shown + "\r", nl=False, err=True)
        self.shown = 0
        self.next = time.monotonic() + PATIENCE
