"""The error of this room."""

from __future__ import annotations


class ReportError(ValueError):
    """A report or an exported field cannot be written; the message is one sentence naming the file."""
