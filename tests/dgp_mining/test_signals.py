"""The first Ctrl-C asks a run to end, the second ends it."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from dgp_mining.exit_status import status_after
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


def stopped_by(*numbers: int) -> tuple[int, KeyboardInterrupt | None]:
    """Which of these signals, one right after the other, the run is told of, and what it raises."""
    raised = None
    with stop_at_signals(lambda sentence: None, "") as stop:
        try:
            for number in numbers:
                os.kill(os.getpid(), number)
        except KeyboardInterrupt as error:
            raised = error
    return stop.number, raised


def test_what_comes_along_with_a_closing_terminal_or_systemd_counts_once() -> None:
    for numbers in ((signal.SIGHUP, signal.SIGHUP), (signal.SIGTERM, signal.SIGHUP)):
        assert stopped_by(*numbers) == (numbers[0], None)
    assert isinstance(stopped_by(signal.SIGHUP, signal.SIGINT)[1], KeyboardInterrupt)
    assert isinstance(stopped_by(signal.SIGINT, signal.SIGINT)[1], KeyboardInterrupt)


def test_the_run_ends_with_the_status_of_its_first_signal() -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        with stop_at_signals(lambda sentence: None, "") as stop:
            os.kill(os.getpid(), number)
        assert status_after(stop.interruption()) == 128 + number


def test_a_terminal_that_closes_ends_no_run_of_nohup() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stop_at_signals(lambda sentence: None, "") as stop:
            os.kill(os.getpid(), signal.SIGHUP)
        assert not stop.asked
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


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
