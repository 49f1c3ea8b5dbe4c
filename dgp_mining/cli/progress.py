"""Progress on stderr: one line that is rewritten on a terminal, a plain line now and then elsewhere."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from typing import TextIO

import click

from ..workers.messages import Progress

PLAIN_INTERVAL = 10.0
"""Seconds between lines where the output is not a terminal."""


class ProgressLine:
    """Counts crops as chunks finish and says how far the run is, how fast, how good and how long still."""

    def __init__(self, crops: int, before: int = 0, stream: TextIO | None = None) -> None:
        self.crops, self.before = crops, before
        self.done = self.failed = 0
        self.psnr = 0.0
        self.stream = stream or sys.stderr
        self.started = self.said = time.monotonic()

    def add(self, progress: Progress) -> None:
        self.done += progress.done
        self.failed += progress.failed
        self.psnr += progress.psnr
        now = time.monotonic()
        if self.stream.isatty():
            self.stream.write(f"\r{self.line(now)}\x1b[K")
        elif now - self.said >= PLAIN_INTERVAL:
            self.stream.write(self.line(now) + "\n")
            self.said = now
        self.stream.flush()

    def interject(self, sentence: str) -> None:
        """A sentence on a line of its own, above the progress."""
        start, end = ("\r", "\x1b[K\n") if self.stream.isatty() else ("", "\n")
        self.stream.write(start + sentence + end)
        self.stream.flush()

    def finish(self) -> None:
        """Leave the last state standing, on a line of its own."""
        self.interject(self.line(time.monotonic()))

    def line(self, now: float) -> str:
        finished = self.done + self.failed
        rate = finished / max(now - self.started, 1e-9)
        parts = [f"{self.before + finished:,} of {self.crops:,} crops", f"{rate:.2f} crops/s"]
        if self.done:
            parts.append(f"{self.psnr / self.done:.2f} dB")
        if self.failed:
            parts.append(f"{self.failed} failed")
        if finished and (left := self.crops - self.before - finished):
            parts.append(f"{duration(left / rate)} left")
        return ", ".join(parts)


def duration(seconds: float) -> str:
    """Seconds as people say them: '45 s', '12 min', '3.5 h'."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


@contextlib.contextmanager
def progress_bar(label: str) -> Iterator[Callable[[int, int], None]]:
    """A bar on stderr, where that is a terminal; yields what to tell it: how much is done, of how much."""
    if not sys.stderr.isatty():
        yield lambda done, of: None
        return
    with click.progressbar(length=1, label=label, file=sys.stderr) as bar:

        def show(done: int, of: int) -> None:
            bar.length = of
            bar.update(done - bar.pos)

        yield show


@contextlib.contextmanager
def stages() -> Iterator[Callable[[str, int, int], None]]:
    """A line on stderr, where that is a terminal, that says at what it is; yields what to tell it."""
    if not sys.stderr.isatty():
        yield lambda what, done, of: None
        return
    yield lambda what, done, of: click.echo(f"\r\033[K{what} {done:,} of {of:,}", err=True, nl=False)
    click.echo("\r\033[K", err=True, nl=False)
