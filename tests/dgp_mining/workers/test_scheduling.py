"""Tasks grow to some seconds of work; a task that kills workers is split until the crop is found."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from dataclasses import replace

import pytest

from dgp_mining.workers import scheduling
from dgp_mining.workers.messages import PlannedChunk, Progress, Task
from dgp_mining.workers.scheduling import TASK_SECONDS, TaskQueue

CROPS = 4
"""Crops of a chunk."""


def planned(number: int) -> PlannedChunk:
    return PlannedChunk(number, tuple((f"{number}.png", 0, column) for column in range(CROPS)))


def make(chunks: int) -> TaskQueue:
    return TaskQueue(Task("a.zarr", "photos", "fitter"), range(chunks), planned)


def ends(task: Task, seconds: float) -> list[Progress]:
    """The outcome of a successful task that took so many seconds for each chunk."""
    return [Progress(chunk.number, len(chunk.crops), 0, 0.0, seconds) for chunk in task.chunks]


def tasks(queue: TaskQueue, workers: int = 1, seconds: float = 1.0) -> Iterator[Task]:
    """All tasks, each finished before the next is asked for."""
    while (task := queue.next(workers)) is not None:
        yield task
        queue.record(task, ends(task, seconds))


def test_every_chunk_comes_once_in_order() -> None:
    assert [chunk for task in tasks(make(100)) for chunk in task.chunks] == [planned(n) for n in range(100)]


def test_nothing_is_bundled_before_a_rate_is_measured() -> None:
    queue = make(1000)
    first = [queue.next(2) for _ in range(6)]
    assert [len(task.chunks) for task in first] == [1] * 6


def test_tasks_take_as_long_as_they_should_at_the_measured_rate() -> None:
    for seconds in (0.5, 2.0, 1000.0):
        first, second, *_ = tasks(make(1000), seconds=seconds)
        assert len(first.chunks) == 1
        assert len(second.chunks) == max(1, TASK_SECONDS // seconds)


def test_the_last_tasks_are_small_so_that_workers_finish_together() -> None:
    sizes = [len(task.chunks) for task in tasks(make(100), workers=4, seconds=0.001)]
    assert sizes[1] == 99 // 8
    assert sizes[-1] == 1


def test_what_travels_stays_small_however_fast_the_fits_are_and_however_many_there_are() -> None:
    largest = max(tasks(make(100_000), seconds=1e-6), key=lambda task: len(task.chunks))
    assert len(largest.chunks) == scheduling.MOST_CROPS // CROPS
    assert len(pickle.dumps(largest)) < 200_000


def test_chunks_are_looked_up_when_their_turn_comes() -> None:
    looked_up = []

    def look_up(number: int) -> PlannedChunk:
        looked_up.append(number)
        return planned(number)

    queue = TaskQueue(Task("a.zarr", "photos", "fitter"), range(1_000_000), look_up)
    queue.next(1)
    assert looked_up == [0]


def test_a_bundle_that_kills_is_taken_apart() -> None:
    queue = make(10)
    task = replace(queue.task, chunks=(planned(3), planned(4)))
    assert queue.record(task, None) == []
    assert [queue.next(1).chunks for _ in range(2)] == [(planned(3),), (planned(4),)]
    assert queue.next(1).chunks == (planned(0),)


@pytest.mark.parametrize("deadly", [set(), {1}, {0, 3}])
def test_a_chunk_that_kills_is_tried_crop_by_crop_and_fitted_without_those_that_kill(
    deadly: set[int],
) -> None:
    queue = make(1)
    queue.record(queue.next(1), None)
    for column in range(CROPS):
        alone = queue.next(1)
        assert alone.trial
        assert alone.chunks[0].crops == (("0.png", 0, column),)
        assert queue.record(alone, None if column in deadly else []) == []
    settled = queue.next(1)
    assert not settled.trial
    assert settled.chunks == (replace(planned(0), deadly=frozenset(deadly)),)
    assert queue.record(settled, ends(settled, 1.0))
    assert queue.next(1) is None


def test_a_chunk_that_kills_even_so_is_given_up_whole() -> None:
    queue = make(1)
    queue.record(queue.next(1), None)
    for column in range(CROPS):
        queue.record(queue.next(1), None if column == 2 else [])
    queue.record(queue.next(1), None)
    assert queue.next(1).chunks[0].deadly == set(range(CROPS))
    assert queue.next(1) is None


def test_outcomes_say_how_many_workers_there_are() -> None:
    queue = make(9)
    for workers in (7, 3):
        task = queue.next(workers)
        assert {end.workers for end in queue.record(task, ends(task, 1.0))} == {workers}
