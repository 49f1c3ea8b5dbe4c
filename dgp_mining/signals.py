"""Ctrl-C once: finish the work in progress. Twice: stop at once."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)
"""Batch systems send SIGTERM before they end a job."""


class Stop:
    """Whether a run has been asked to end."""

    def __init__(self) -> None:
        self.asked = False


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
    """Yield a Stop that the first Ctrl-C or SIGTERM sets; it also calls `notify(sentence)` in a thread.

    The second one raises KeyboardInterrupt, and later ones are ignored, because the run is already ending.
    Python delivers signals to the main thread only; in any other thread nothing sets the Stop.
    """
    stop = Stop()

    def on_signal(number: int, frame: FrameType | None) -> None:
        if stop.asked:
            for other in SIGNALS:
                signal.signal(other, signal.SIG_IGN)
            raise KeyboardInterrupt
        stop.asked = True
        # In a thread, because the signal may have interrupted a write to the same stream.
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
