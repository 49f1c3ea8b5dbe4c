"""`ReportError`."""

from __future__ import annotations


class ReportError(ValueError):
    """A report or an exported field cannot be written; the message is one sentence that names the file."""
