"""Ctrl-C once: finish what is under way. Twice: stop at once."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)
"""Batch systems announce the end of a job by SIGTERM."""


class Stop:
    """Says whether a run has been asked to end."""

    def __init__(self) -> None:
        self.asked = False


@contextmanager
def signals_blocked() -> Iterator[None]:
    """For starting threads and processes which then never see these signals, from their first moment on: a
    terminal sends them to the whole process group, and only the client is to decide. They reach this thread
    afterwards."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows, where processes that are started ignore Ctrl-C
        yield
        return
    resource_tracker.ensure_running()  # or multiprocessing unblocks them when it starts its own helper
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def stop_at_signals(notify: Callable[[str], None]) -> Iterator[Stop]:
    """A Stop that the first Ctrl-C or SIGTERM sets; the next raises KeyboardInterrupt, and what follows is
    ignored, since the workers are being ended.

    Outside of the main thread, where Python takes no signals, nothing sets it.
    """
    stop = Stop()

    def on_signal(number: int, frame: FrameType | None) -> None:
        if stop.asked:
            for other in SIGNALS:
                signal.signal(other, signal.SIG_IGN)
            raise KeyboardInterrupt
        stop.asked = True
        # From a thread: the signal may have come in the midst of writing to the same stream.
        sentence = "Finishing the chunks under way; Ctrl-C again stops at once and loses them."
        threading.Thread(target=notify, args=(sentence,), daemon=True).start()

    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = {number: signal.signal(number, on_signal) for number in SIGNALS}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
