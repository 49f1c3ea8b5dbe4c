"""Progress is a rewritten line on a terminal and plain lines elsewhere."""

from __future__ import annotations

import io

import pytest

from dgp_mining.cli import progress
from dgp_mining.cli.progress import ProgressLine, duration
from dgp_mining.workers.messages import Progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A clock that stands at clock[0]."""
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def test_what_was_there_before_counts_as_done_but_not_as_speed(clock: list[float]) -> None:
    line = ProgressLine(crops=100, before=50, stream=io.StringIO())
    line.add(Progress(0, done=9, failed=1, psnr=9 * 45.5, seconds=5.0))
    clock[0] = 5.0
    assert line.line(clock[0]) == "60 of 100 crops, 2.00 crops/s, 45.50 dB, 1 failed, 20 s left"


def test_a_terminal_sees_one_line_rewritten(clock: list[float]) -> None:
    stream = Terminal()
    line = ProgressLine(crops=2, stream=stream)
    for _ in range(2):
        clock[0] += 1
        line.add(Progress(0, 1, 0, 40.0, 1.0))
    line.finish()
    assert stream.getvalue().count("\n") == 1
    assert stream.getvalue().split("\r")[-1].startswith("2 of 2 crops")


def test_a_file_sees_plain_lines_now_and_then(clock: list[float]) -> None:
    stream = io.StringIO()
    line = ProgressLine(crops=60, stream=stream)
    for _ in range(60):
        clock[0] += 1
        line.add(Progress(0, 1, 0, 40.0, 1.0))
    line.finish()
    assert "\r" not in stream.getvalue()
    assert "\x1b" not in stream.getvalue()
    assert len(stream.getvalue().splitlines()) == 60 / progress.PLAIN_INTERVAL + 1


def test_durations_are_said_as_people_say_them() -> None:
    assert [duration(s) for s in (45.4, 720, 12_600)] == ["45 s", "12 min", "3.5 h"]
