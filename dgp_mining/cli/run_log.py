"""The log of runs, one line per event: settings, versions, results of chunks, failures with reasons."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import stat
import time
from pathlib import Path
from typing import TextIO

from ..callbacks import Callback
from ..command_line import in_options
from ..planning.plan import Plan
from ..retry import RunError
from ..store.store import Store
from ..store.versions import deciding_versions
from ..terminal import count
from ..workers.messages import Progress

_APPEND = os.O_WRONLY | os.O_APPEND | os.O_CREAT
for _name in ("O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC"):  # O_NONBLOCK: of a pipe that nobody reads
    _APPEND |= getattr(os, _name, 0)


class RunLog(Callback):
    """Appends to a text file, reopening it for each entry: it may be moved, and runs may share it."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.started = False
        """Whether `on_plan` was called; nothing is written before."""

    def write(self, text: str) -> None:
        """Append lines, each with the time. Ignores errors: on a full disk, writing the store raises one."""
        if not self.started:
            return
        stamp = time.strftime("%Y-%m-%d %H:%M:%S")
        with contextlib.suppress(OSError), self._open() as file:
            file.write("".join(f"{stamp} {line}\n" for line in in_options(text).splitlines()))

    def check(self) -> None:
        """Raise RunError if the log cannot be written. Leaves no file behind that was not there."""
        there = os.path.lexists(self.path)
        try:
            self._open().close()
        except OSError as error:
            reason = "it is a link" if error.errno == errno.ELOOP else error.strerror
            raise RunError(
                f"The log {self.path} cannot be written ({reason}): name another with log=."
            ) from error
        if not there:
            self.path.unlink()

    def _open(self) -> TextIO:
        """Open the log to append to it. Raises OSError for a link, which may lead to anything, or a pipe."""
        descriptor = os.open(self.path, _APPEND, 0o666)
        try:
            mode = os.fstat(descriptor).st_mode
            if not (stat.S_ISREG(mode) or stat.S_ISCHR(mode)):  # as /dev/null
                raise OSError(errno.EINVAL, "it is no file", str(self.path))
            return open(descriptor, "a", encoding="utf-8", errors="replace")
        except OSError:
            os.close(descriptor)
            raise

    def on_plan(self, plan: Plan, store: Store) -> None:
        """Log the plan, the settings and the versions. Raises RunError if the log cannot be written."""
        self.check()
        self.started = True
        self.write(
            f"start: {store.path}, {count(plan.crops, 'crop')} of {count(len(plan.names), 'image')} in "
            f"{plan.folder}, "
            f"{int(store.unfinished().sum())} pending\n"
            f"settings: {json.dumps(plan.settings.to_json(), sort_keys=True)}\n"
            f"versions: {json.dumps(deciding_versions(), sort_keys=True)}"
        )
        for problem in filter(None, plan.problems):
            self.write(f"skipped: {problem}")
        self.write("\n".join(f"note: {note}" for note in plan.notes))

    def on_chunk(self, progress: Progress) -> None:
        """Log the result of a chunk."""
        text = f"chunk {progress.chunk}: {progress.done} fitted"
        if progress.done:
            text += f", {progress.psnr / progress.done:.2f} dB"
        self.write(f"{text}, {progress.failed} failed, {progress.seconds:.1f} s")
        self.write("\n".join(f"failed: {failure}" for failure in progress.failures))
        self.write("\n".join(f"warning: {note}" for note in progress.notes))

    def on_message(self, text: str) -> None:
        """Log a message."""
        self.write(text)

    def end(self, text: str) -> None:
        """Log how the run ended."""
        self.write(f"end: {text}")


def default_log(store: str) -> Path:
    """Return the default log of a store: next to it, or in the working directory if it is remote."""
    name = store.rstrip("/") + ".log"
    return Path(name.rpartition("/")[2] if "://" in name else name)
