"""What `dgp-mine` says to people."""

from __future__ import annotations

import click

MOST_LISTED = 10
"""Failures that are spelt out before the rest is only counted."""


def listed(sentences: list[str]) -> list[str]:
    """The first few of many, and how many more there are."""
    more = [f"... and {len(sentences) - MOST_LISTED:,} more"] if len(sentences) > MOST_LISTED else []
    return sentences[:MOST_LISTED] + more


def say(text: str) -> None:
    """Say it on stderr: stdout is for results."""
    click.echo(text, err=True)
