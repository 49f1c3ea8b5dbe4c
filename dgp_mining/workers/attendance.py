"""What a worker runs for a run: a greeting when it is met, and tasks during which a polite end is announced.

These functions are sent to workers, so they need nothing of the client.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import platform
import shutil
import signal
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import FrameType
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from distributed import Worker

Task = TypeVar("Task")
Result = TypeVar("Result")

GOODBYE = "dgp-mine-terminated"
"""Action of the event that a worker logs, under its own address, when it receives SIGTERM during a task."""

GOODBYE_SECONDS = 2.0
"""Time for this event; then the worker ends in any case."""

PACKAGES = ("dgp-mining", "numpy", "torch")
"""Packages whose versions a greeting tells."""


@dataclass(frozen=True)
class Greeting:
    """What a prepared worker tells about itself and its machine."""

    versions: dict[str, str]
    """Of Python and PACKAGES; those that are not installed are missing."""
    folder: str
    """Its folder for temporary files."""
    free: int
    """Free bytes on that disk."""
    memory: int
    """Resident memory of the worker, bytes: what imports alone take."""
    oom_kills: int
    """Processes that the kernel of this machine has ended for lack of memory; 0 if it does not tell."""


def greet(prepare: Callable[[], None]) -> Greeting:
    """Prepare this worker for its first task, and describe it."""
    import psutil
    from distributed import get_worker

    prepare()
    folder = get_worker().local_directory
    try:
        free = shutil.disk_usage(folder).free
    except OSError:
        free = 0
    return Greeting(installed_versions(), folder, free, psutil.Process().memory_info().rss, oom_kills())


def installed_versions() -> dict[str, str]:
    """Return the versions of Python and of PACKAGES here."""
    versions = {"Python": platform.python_version()}
    for package in PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[package] = importlib.metadata.version(package)
    return versions


def oom_kills() -> int:
    """Return how many processes this machine's kernel has ended for lack of memory."""
    with contextlib.suppress(OSError), open("/proc/vmstat", encoding="ascii") as lines:
        for line in lines:
            if line.startswith("oom_kill "):
                return int(line.split()[1])
    return 0


def attended(function: Callable[[Task], Result], task: Task) -> Result:
    """Run a task; if SIGTERM comes meanwhile, tell the scheduler that the task is not to blame.

    A batch system or a cloud that takes a machine back sends SIGTERM. Without the nanny's help, a Dask worker
    then drops its connection as if it had crashed, and the scheduler suspects the task.
    """
    from distributed import get_worker

    with _announced(get_worker()):
        return function(task)


@dataclass
class _Announcement:
    """The signal handler of this process while it runs tasks."""

    tasks: int = 0
    before: Any = None
    """The handler in whose place ours is; None if ours is not installed."""
    lock: threading.Lock = field(default_factory=threading.Lock)


_announcement = _Announcement()


@contextlib.contextmanager
def _announced(worker: Worker) -> Iterator[None]:
    """Handle SIGTERM by `_say_goodbye` for the time of a task, where the worker's loop is the main thread."""
    with _announcement.lock:
        _announcement.tasks += 1
        if _announcement.tasks == 1:
            worker.loop.add_callback(_install, worker)
    try:
        yield
    finally:
        with _announcement.lock:
            _announcement.tasks -= 1
            if not _announcement.tasks:
                worker.loop.add_callback(_uninstall)


def _install(worker: Worker) -> None:
    with _announcement.lock:
        wanted = _announcement.tasks and _announcement.before is None
        if not wanted or threading.current_thread() is not threading.main_thread():
            return
        before = signal.getsignal(signal.SIGTERM)
        if before in (signal.SIG_IGN, None):
            return

        def end() -> None:
            signal.signal(signal.SIGTERM, before)
            os.kill(os.getpid(), signal.SIGTERM)

        def handle(number: int, frame: FrameType | None) -> None:
            signal.signal(signal.SIGTERM, before)  # a second signal ends the worker at once
            loop: Any = worker.loop  # of tornado, around one of asyncio
            loop.asyncio_loop.call_soon_threadsafe(loop.add_callback, _say_goodbye, worker, end)

        signal.signal(signal.SIGTERM, handle)
        _announcement.before = before


def _uninstall() -> None:
    with _announcement.lock:
        if _announcement.before is not None and not _announcement.tasks:
            signal.signal(signal.SIGTERM, _announcement.before)
            _announcement.before = None


async def _say_goodbye(worker: Worker, end: Callable[[], None]) -> None:
    import asyncio

    with contextlib.suppress(Exception):  # whatever prevents it, the worker must end
        event = {"action": GOODBYE}
        await asyncio.wait_for(worker.scheduler.log_event(topic=worker.address, msg=event), GOODBYE_SECONDS)
    end()
