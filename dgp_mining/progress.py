"""Reporting the progress of long functions: the part of `Callback` that every room may import."""

from __future__ import annotations


class ProgressCallback:
    """Receives messages and progress; every method does nothing until a subclass overrides it.

    An exception that a method raises ends the function that called it.
    """

    def on_message(self, text: str) -> None:
        """Receive a sentence for the user, for example that workers are missing."""

    def on_progress(self, what: str, done: int, total: int) -> None:
        """Receive that `done` of `total` steps of `what`, such as "Reading", are finished."""
