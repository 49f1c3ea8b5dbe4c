"""The progress of a fit counts crops, those of earlier runs included, and estimates the time left."""

from __future__ import annotations

import io

import pytest

from dgp_mining import terminal
from dgp_mining.cli import progress
from dgp_mining.cli.progress import FitProgress
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


def test_earlier_crops_count_as_done_but_not_as_speed(clock: list[float]) -> None:
    line = FitProgress(crops=100, before=50, stream=io.StringIO())
    line.add(Progress(0, done=9, failed=1, psnr=9 * 45.5, seconds=5.0))
    clock[0] = 5.0
    assert line.text() == "60 of 100 crops, 2.00 crops/s, 45.50 dB, 1 failed, 20 s left"


def test_the_time_left_counts_neither_the_start_nor_what_others_have_nearly_finished(
    clock: list[float],
) -> None:
    line = FitProgress(crops=64, stream=io.StringIO())
    clock[0] = 30.0  # 20 s until the first chunk is begun
    line.add(Progress(0, done=1, failed=0, psnr=45.0, seconds=10.0, workers=16))
    assert line.text().endswith("39 s left")  # 63 crops of 10 s, by 16 workers


def test_a_terminal_sees_one_line_rewritten(clock: list[float]) -> None:
    stream = Terminal()
    line = FitProgress(crops=2, stream=stream)
    for _ in range(2):
        clock[0] += 1
        line.add(Progress(0, 1, 0, 40.0, 1.0))
    line.finish()
    assert stream.getvalue().count("\n") == 1
    assert stream.getvalue().split("\r")[-1].startswith("2 of 2 crops")


def test_a_file_sees_plain_lines_now_and_then(clock: list[float]) -> None:
    stream = io.StringIO()
    line = FitProgress(crops=60, stream=stream)
    for _ in range(60):
        clock[0] += 1
        line.add(Progress(0, 1, 0, 40.0, 1.0))
    line.finish()
    assert "\r" not in stream.getvalue()
    assert "\x1b" not in stream.getvalue()
    assert len(stream.getvalue().splitlines()) == 60 / terminal.PLAIN_SECONDS + 1


def test_reading_a_large_store_is_shown_and_leaves_nothing(
    clock: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = Terminal()
    monkeypatch.setattr("sys.stderr", stream)
    with progress.progress() as callback:
        clock[0] = 3.0
        callback.on_progress("Reading", 1, 4)
    assert stream.getvalue() == "\rReading 1 of 4\x1b[K\r\x1b[K"
