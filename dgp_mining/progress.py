"""Progress on stderr: one line that is rewritten on a terminal, a plain line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from typing import TextIO

from .task import Progress

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
