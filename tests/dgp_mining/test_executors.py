"""Every executor runs each task once; a cluster is given a bounded number at a time."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from distributed import LocalCluster

from dgp_mining import executors
from dgp_mining.executors import ExecutorError, open_executor


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """A Dask scheduler at a TCP address, its one worker a thread of this process."""
    with LocalCluster(
        n_workers=1, threads_per_worker=1, processes=False, protocol="tcp://", dashboard_address="127.0.0.1:0"
    ) as cluster:
        yield cluster.scheduler_address


def square(task: int) -> int:
    return task * task


def test_in_this_process_results_come_in_order() -> None:
    with open_executor("sync") as run:
        assert list(run(square, range(5))) == [0, 1, 4, 9, 16]


def test_on_an_existing_scheduler_every_task_is_run_once(address: str) -> None:
    with open_executor(address) as run:
        assert sorted(run(square, range(50))) == [n * n for n in range(50)]
    with open_executor(address) as run:
        assert list(run(square, [])) == []


def test_tasks_are_submitted_through_a_bounded_window(address: str) -> None:
    taken = []

    def tasks() -> Iterator[int]:
        for task in range(20):
            taken.append(task)
            yield task

    with open_executor(address) as run:
        for finished, _ in enumerate(run(square, tasks()), start=1):
            assert len(taken) <= finished + executors.WINDOW
    assert len(taken) == 20


def test_a_passing_fault_is_tried_again(address: str, tmp_path: Path) -> None:
    def fails_twice(task: int) -> int:
        with (tmp_path / str(task)).open("a+") as attempts:
            attempts.write("x")
            attempts.seek(0)
            if len(attempts.read()) < 3:
                raise OSError("the network is down")
        return task

    with open_executor(address) as run:
        assert sorted(run(fails_twice, [1, 2])) == [1, 2]
    assert [(tmp_path / task).read_text() for task in "12"] == ["xxx", "xxx"]


def test_a_lasting_fault_comes_back_as_what_it_is(address: str) -> None:
    def fails(task: int) -> int:
        raise OSError("No space left on device")

    with open_executor(address) as run, pytest.raises(OSError, match="No space left"):
        list(run(fails, [1]))


def test_local_workers_are_processes_with_one_thread_that_leave_ctrl_c_to_the_client() -> None:
    def look(task: int) -> tuple[int, int, object, str | None]:
        time.sleep(0.2)
        return (
            os.getpid(),
            threading.active_count(),
            signal.getsignal(signal.SIGINT),
            os.environ.get("OMP_NUM_THREADS"),
        )

    with open_executor("local", 2) as run:
        seen = list(run(look, range(6)))
    assert len({pid for pid, *_ in seen} - {os.getpid()}) == 2
    assert {handler for _, _, handler, _ in seen} == {signal.SIG_IGN}
    assert {threads for *_, threads in seen} == {"1"}


def test_a_scheduler_without_workers_is_named() -> None:
    with (
        LocalCluster(
            n_workers=0, processes=False, protocol="tcp://", dashboard_address="127.0.0.1:0"
        ) as cluster,
        pytest.raises(ExecutorError, match=f"{cluster.scheduler_address} has no workers"),
        open_executor(cluster.scheduler_address),
    ):
        pass
