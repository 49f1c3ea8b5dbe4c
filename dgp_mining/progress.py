"""How a long library function reports its progress: the part of `Callback` that every room knows."""

from __future__ import annotations


class ProgressCallback:
    """Receives messages and progress; every method does nothing until a subclass overrides it.

    An exception that a method raises ends the function that called it.
    """

    def on_message(self, text: str) -> None:
        """A sentence for people, such as that workers are missing."""

    def on_progress(self, what: str, done: int, total: int) -> None:
        """`done` of `total` steps of `what`, such as "Reading", are finished."""
