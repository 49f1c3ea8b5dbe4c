"""Output for a terminal: a progress line, notices, truncated lists."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import TextIO

import click

from .harmless import harmless

MOST_LISTED = 10
"""Entries of a list that are printed; the others are only counted."""

PATIENCE = 2.0
"""Seconds before progress is first shown, so that short work shows none."""

TERMINAL_SECONDS = 0.2
"""Seconds between two updates of the progress line on a terminal."""

PLAIN_SECONDS = 10.0
"""Seconds between two lines of progress if stderr is a file."""


def notify(text: str) -> None:
    """Print `text` on stderr; stdout is for results."""
    click.echo(text, err=True)


def printable(text: str) -> str:
    """Replace all that could control a terminal, as a file's texts might, but for ends of lines.

    >>> printable("a\\x1b[2J, b\\n")
    'a\N{REPLACEMENT CHARACTER}[2J, b\\n'
    """
    return harmless(text, "\n")


def count(number: int, unit: str) -> str:
    """Return a number and what it counts, in the plural unless it is 1.

    >>> count(1, "image"), count(1200, "crop")
    ('1 image', '1,200 crops')
    """
    return f"{number:,} {unit}{'s' * (number != 1)}"


def listed(sentences: Sequence[str]) -> list[str]:
    """Return the first MOST_LISTED sentences, and the number of the others.

    >>> listed(["a"] * 12)[-1]
    '... and 2 more'
    """
    more = [f"... and {len(sentences) - MOST_LISTED:,} more"] if len(sentences) > MOST_LISTED else []
    return [*sentences[:MOST_LISTED], *more]


class ProgressLine:
    """Progress on stderr: on a terminal one line that is rewritten, in a file a new line now and then."""

    def __init__(self, stream: TextIO | None = None, patience: float = PATIENCE) -> None:
        self.stream: TextIO | None = stream or sys.stderr  # None if a shell has closed it
        self.terminal = self.stream is not None and self.stream.isatty()
        self.patience = patience
        self.text = ""
        """The text that the terminal shows."""
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
        """Show the fraction `part` (0 to 1) of the work called `what` that is done."""
        self.show(f"{what}: {part:.0%}")

    def count(self, what: str, done: int, total: int) -> None:
        """Show that `done` of `total` steps of the work called `what` are done; a total of 0 is not known."""
        self.show(f"{what} {done:,} of {total:,}" if total else f"{what}: {done:,}")

    def interject(self, sentence: str) -> None:
        """Print a sentence on its own line, above the progress."""
        start, end = ("\r", f"\x1b[K\n{self.text}") if self.terminal else ("", "\n")
        self._write(start + sentence + end)

    def finish(self, text: str) -> None:
        """Leave `text` as the last state, on its own line."""
        self.text = ""
        self.interject(text)

    def clear(self) -> None:
        """Remove the line before other output; the next is shown after `patience` seconds at the earliest."""
        if self.text:
            self._write("\r\x1b[K")
        self.text = ""
        self.due = max(self.due, time.monotonic() + self.patience)

    def _write(self, text: str) -> None:
        if self.stream is not None:
            self.stream.write(text)
            self.stream.flush()
