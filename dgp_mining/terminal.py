"""Text for people at a terminal: a progress line, notices, long lists cut short."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import TextIO

import click

MOST_LISTED = 10
"""Entries of a list that are printed; the rest is only counted."""

PATIENCE = 2.0
"""Seconds before the first progress is shown: short work needs none."""

TERMINAL_SECONDS = 0.2
"""Seconds between two updates of the progress line on a terminal."""

PLAIN_SECONDS = 10.0
"""Seconds between two lines of progress if stderr is a file."""


def notify(text: str) -> None:
    """Print `text` on stderr: stdout is for results."""
    click.echo(text, err=True)


def listed(sentences: Sequence[str]) -> list[str]:
    """The first few of many sentences, and how many more there are.

    >>> listed(["a"] * 12)[-1]
    '... and 2 more'
    """
    more = [f"... and {len(sentences) - MOST_LISTED:,} more"] if len(sentences) > MOST_LISTED else []
    return [*sentences[:MOST_LISTED], *more]


class ProgressLine:
    """Progress on stderr: one line that is rewritten on a terminal, a plain line now and then in a file."""

    def __init__(self, stream: TextIO | None = None, patience: float = PATIENCE) -> None:
        self.stream = stream or sys.stderr
        self.terminal = self.stream.isatty()
        self.patience = patience
        self.text = ""
        """What the terminal shows now."""
        self.due = time.monotonic() + (patience if self.terminal else max(patience, PLAIN_SECONDS))

    def show(self, text: str) -> None:
        """Show `text` as the current progress, unless the last update was only a moment ago."""
        now = time.monotonic()
        if now < self.due:
            return
        if self.terminal:
            self._write(f"\r{text}\x1b[K")
            self.text = text
        else:
            self._write(text + "\n")
        self.due = now + (TERMINAL_SECONDS if self.terminal else PLAIN_SECONDS)

    def __call__(self, what: str, part: float) -> None:
        """Show which part (0 to 1) of the work called `what` is done."""
        self.show(f"{what}: {part:.0%}")

    def count(self, what: str, done: int, total: int) -> None:
        """Show how many of `total` steps of the work called `what` are done."""
        self.show(f"{what} {done:,} of {total:,}")

    def interject(self, sentence: str) -> None:
        """Print a sentence on a line of its own, above the progress."""
        start, end = ("\r", f"\x1b[K\n{self.text}") if self.terminal else ("", "\n")
        self._write(start + sentence + end)

    def finish(self, text: str) -> None:
        """Leave `text` as the last state, on a line of its own."""
        self.text = ""
        self.interject(text)

    def clear(self) -> None:
        """Remove the line, before other output; the next one waits as long as the first did."""
        if self.text:
            self._write("\r\x1b[K")
        self.text = ""
        self.due = max(self.due, time.monotonic() + self.patience)

    def _write(self, text: str) -> None:
        self.stream.write(text)
        self.stream.flush()
