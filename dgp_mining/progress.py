"""Reporting the progress of long functions: the part of `Callback` that every room may import."""

from __future__ import annotations

import time

PATIENCE = 2.0
"""Seconds of work of which nothing needs to be told."""


class ProgressCallback:
    """Receives messages and progress; every method does nothing until a subclass overrides it.

    An exception that a method raises ends the function that called it.
    """

    def on_message(self, text: str) -> None:
        """Receive a sentence for the user, for example that workers are missing."""

    def on_progress(self, what: str, done: int, total: int) -> None:
        """Receive that `done` of `total` steps of `what`, such as "Reading", are finished.

        `total` is 0 where it is not known.
        """


class OnlyOfLongWork(ProgressCallback):
    """Passes progress on to another callback once PATIENCE is over."""

    def __init__(self, callback: ProgressCallback) -> None:
        self.callback = callback
        self.due = time.monotonic() + PATIENCE

    def on_progress(self, what: str, done: int, total: int) -> None:
        """Pass it on, or not yet."""
        if time.monotonic() >= self.due:
            self.callback.on_progress(what, done, total)
