"""The first Ctrl-C asks a run to end, the second ends it."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from dgp_mining.signals import stop_at_signals


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_asks_and_the_second_interrupts(number: int) -> None:
    said: list[str] = []
    told = threading.Event()

    def say(sentence: str) -> None:
        said.append(sentence)
        told.set()

    before = signal.getsignal(number)
    with stop_at_signals(say, "Finishing.") as stop:
        assert not stop.asked
        os.kill(os.getpid(), number)
        assert stop.asked
        assert told.wait(10)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), number)
        os.kill(os.getpid(), number)
    assert said == ["Finishing."]
    assert signal.getsignal(number) is before


def test_other_threads_get_no_signals() -> None:
    before = signal.getsignal(signal.SIGINT)
    seen = []

    def run() -> None:
        with stop_at_signals(lambda sentence: None, "") as stop:
            seen.append((stop.asked, signal.getsignal(signal.SIGINT) is before))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert seen == [(False, True)]
