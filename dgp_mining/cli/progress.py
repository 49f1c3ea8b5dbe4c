"""The progress of `dgp-mine`, shown on stderr."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import TextIO

from ..command_line import in_options
from ..duration import duration
from ..progress import ProgressCallback
from ..terminal import ProgressLine, count
from ..workers.messages import Progress


class FitProgress:
    """Counts crops as chunks finish; shows how many are done, crops per second, PSNR and the time left."""

    def __init__(self, crops: int, before: int = 0, stream: TextIO | None = None) -> None:
        self.crops, self.before = crops, before
        self.done = self.failed = 0
        self.busy = 0.0
        """Seconds that workers took for the finished chunks, together."""
        self.workers = 1
        self.started = time.monotonic()
        self.psnr = 0.0
        """Sum over the fitted crops, dB."""
        self.line = ProgressLine(stream, patience=0.0)

    def add(self, progress: Progress) -> None:
        """Count a finished chunk."""
        self.done += progress.done
        self.failed += progress.failed
        self.psnr += progress.psnr
        self.busy += progress.seconds
        self.workers = progress.workers
        self.line.show(self.text())

    def interject(self, sentence: str) -> None:
        """Print a sentence above the progress."""
        self.line.interject(sentence)

    def finish(self) -> None:
        """Leave the last state on its own line."""
        self.line.finish(self.text())

    def text(self) -> str:
        """Return the state of the run, such as '60 of 100 crops, 2.00 crops/s, 45.50 dB, 20 s left'.

        The time left follows from what busy workers need: by the clock, the first chunks seem slow, since
        what the other workers have nearly finished does not count yet.
        """
        finished = self.done + self.failed
        rate = finished / max(time.monotonic() - self.started, 1e-9)
        parts = [f"{self.before + finished:,} of {count(self.crops, 'crop')}", f"{rate:.2f} crops/s"]
        if self.done:
            parts.append(f"{self.psnr / self.done:.2f} dB")
        if self.failed:
            parts.append(f"{self.failed} failed")
        if finished and (left := self.crops - self.before - finished):
            parts.append(f"{duration(left * self.busy / finished / self.workers)} left")
        return ", ".join(parts)


class ShownProgress(ProgressCallback):
    """Shows progress and messages on a progress line."""

    def __init__(self, line: ProgressLine) -> None:
        self.line = line

    def on_progress(self, what: str, done: int, total: int) -> None:
        """Show that `done` of `total` steps are done."""
        self.line.count(what, done, total)

    def on_message(self, text: str) -> None:
        """Print a message above the progress."""
        self.line.interject(in_options(text))


@contextlib.contextmanager
def progress() -> Iterator[ProgressCallback]:
    """Yield a callback that shows progress on a line, which is removed at the end."""
    line = ProgressLine()
    try:
        yield ShownProgress(line)
    finally:
        line.clear()
