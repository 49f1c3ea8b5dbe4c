"""Progress is a rewritten line on a terminal and plain lines elsewhere; lists are cut short."""

from __future__ import annotations

import io

import pytest

from dgp_mining import terminal
from dgp_mining.terminal import PATIENCE, ProgressLine, listed


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A clock that stands at clock[0]."""
    now = [0.0]
    monkeypatch.setattr(terminal.time, "monotonic", lambda: now[0])
    return now


def test_short_work_shows_no_progress(clock: list[float]) -> None:
    stream = Terminal()
    line = ProgressLine(stream)
    clock[0] = PATIENCE / 2
    line("Encoding", 0.5)
    line.clear()
    assert stream.getvalue() == ""


def test_a_terminal_has_one_line_that_is_rewritten_and_removed(clock: list[float]) -> None:
    stream = Terminal()
    line = ProgressLine(stream)
    clock[0] = PATIENCE
    line("Encoding", 0.5)
    clock[0] += 1
    line.count("Reading", 1_000, 2_000)
    line.clear()
    assert stream.getvalue() == "\rEncoding: 50%\x1b[K\rReading 1,000 of 2,000\x1b[K\r\x1b[K"


def test_updates_that_follow_each_other_closely_are_left_out(clock: list[float]) -> None:
    stream = Terminal()
    line = ProgressLine(stream, patience=0)
    for step in range(100):
        clock[0] += 0.01
        line("Encoding", step / 100)
    assert 4 <= stream.getvalue().count("\r") <= 6


def test_a_sentence_stands_above_the_progress_which_stays(clock: list[float]) -> None:
    stream = Terminal()
    line = ProgressLine(stream, patience=0)
    line("Encoding", 0.5)
    line.interject("A warning.")
    assert stream.getvalue().split("\n") == ["\rEncoding: 50%\x1b[K\rA warning.\x1b[K", "Encoding: 50%"]


def test_a_file_has_plain_lines_now_and_then(clock: list[float]) -> None:
    stream = io.StringIO()
    line = ProgressLine(stream)
    for step in range(60):
        clock[0] += 1
        line("Encoding", step / 60)
    line.interject("A warning.")
    line.clear()
    assert len(stream.getvalue().splitlines()) == 60 / terminal.PLAIN_SECONDS + 1
    assert not set("\r\x1b") & set(stream.getvalue())


def test_long_lists_are_cut_short_and_counted() -> None:
    assert listed(["a"] * 10) == ["a"] * 10
    assert listed(["a"] * 1_234)[-1] == "... and 1,224 more"
