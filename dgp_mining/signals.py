"""Ctrl-C, SIGTERM or SIGHUP once: finish the work in progress. Twice: stop at once."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker
from types import FrameType

from .exit_status import ENDING, REPEATED, interruption

SIGNALS = (signal.SIGINT, *ENDING)
"""Batch systems send SIGTERM before they end a job, and a terminal that closes sends SIGHUP."""


class Stop:
    """Whether a run has been asked to end."""

    def __init__(self) -> None:
        self.asked = False
        self.number = int(signal.SIGINT)
        """The signal that has asked."""

    def interruption(self) -> KeyboardInterrupt:
        """What is raised once the run has ended in order."""
        return interruption(self.number)


@contextmanager
def signals_blocked() -> Iterator[None]:
    """Block SIGNALS in all threads and processes that are started inside.

    A terminal sends them to the whole process group, but only the client must react to them. This thread
    receives them after the block.
    """
    if not hasattr(signal, "pthread_sigmask"):  # Windows: child processes ignore Ctrl-C there
        yield
        return
    resource_tracker.ensure_running()  # or multiprocessing unblocks the signals when it starts it
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def stop_at_signals(notify: Callable[[str], None], sentence: str) -> Iterator[Stop]:
    """Yield a Stop that the first of SIGNALS sets; it also calls `notify(sentence)` in a thread.

    The second one raises KeyboardInterrupt, and later ones are ignored, because the run is already ending.
    What comes along with the first, as a terminal that closes sends SIGHUP twice and systemd SIGTERM and
    SIGHUP, counts only after REPEATED seconds. A SIGHUP that is ignored, as `nohup` has it, stays so.
    Python delivers signals to the main thread only; in any other thread nothing sets the Stop.
    """
    stop = Stop()
    first = 0.0
    before: dict[int, signal._HANDLER] = {}

    def on_signal(number: int, frame: FrameType | None) -> None:
        nonlocal first
        if stop.asked:
            along = number in ENDING and (number != signal.SIGTERM or number != stop.number)
            if along and time.monotonic() < first + REPEATED:
                return
            for other in before:
                signal.signal(other, signal.SIG_IGN)
            raise interruption(number)
        stop.asked, stop.number, first = True, number, time.monotonic()
        # In a thread, because the signal may have interrupted a write to the same stream.
        threading.Thread(target=notify, args=(sentence,), daemon=True).start()

    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    for number in SIGNALS:
        if number not in ENDING or signal.getsignal(number) != signal.SIG_IGN:
            before[number] = signal.signal(number, on_signal)
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
