"""Control groups with a limit of memory, made for a test where the system lets us."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

PLACES = (
    (Path("/sys/fs/cgroup/memory"), "memory.limit_in_bytes"),
    (Path("/sys/fs/cgroup"), "memory.max"),
)
"""Where version 1 and 2 of control groups are mounted by convention, and the file of the limit."""


@contextmanager
def memory_group(nbytes: int) -> Iterator[Path]:
    """Yield the folder of a new control group with a limit of memory; skip the test without the right to."""
    for place, limit in PLACES:
        folder = place / f"dgp-mining-test-{os.getpid()}"
        try:
            folder.mkdir()
        except OSError:
            continue
        try:
            (folder / limit).write_text(str(nbytes))
        except OSError:  # the controller is not for this group
            folder.rmdir()
            continue
        try:
            yield folder
        finally:
            _remove(folder)
        return
    pytest.skip("this system lets us make no control group with a limit of memory")


def run_in(group: Path, command: Sequence[str], **options: object) -> subprocess.CompletedProcess[str]:
    """Run a command in a control group, and return what it printed."""
    enter = f'echo $$ > "{group}/cgroup.procs" && exec "$@"'
    return subprocess.run(
        ["sh", "-c", enter, "sh", *command], capture_output=True, text=True, check=False, **options
    )  # type: ignore[call-overload]  # options of subprocess.run


def _remove(folder: Path) -> None:
    for _ in range(100):  # the last process may take a moment to leave it
        with suppress(OSError):
            return folder.rmdir()
        time.sleep(0.05)
    return None
