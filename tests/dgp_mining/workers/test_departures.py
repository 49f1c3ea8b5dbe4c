"""A worker that was told to stop is told apart from one that died, by what the scheduler has logged of it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from unittest.mock import Mock

import dask
import psutil
import pytest

from dgp_mining.signals import Stop
from dgp_mining.workers.attendance import GOODBYE
from dgp_mining.workers.departures import MEMORY_TOPIC, Departure, classify, departure_of, farewell
from dgp_mining.workers.executors import open_executor
from dgp_mining.workers.health import WorkerState

REMOVED = {"action": "remove-worker", "expected": False, "stimulus_id": "handle-worker-cleanup-1"}


@pytest.mark.parametrize(
    ("events", "over_limit", "departure"),
    [
        ([REMOVED], False, Departure.ABRUPT),
        ([{"action": "closing-worker", "reason": "signal-15"}, REMOVED], False, Departure.POLITE),
        ([{"action": GOODBYE}, REMOVED], False, Departure.POLITE),
        ([{**REMOVED, "expected": True}], False, Departure.POLITE),
        ([{**REMOVED, "stimulus_id": "check-worker-ttl-1"}], False, Departure.SILENT),
        ([{"action": GOODBYE}, REMOVED], True, Departure.MEMORY),
        # The same address, a worker later.
        ([{"action": "closing-worker"}, REMOVED, {"action": "add-worker"}, REMOVED], False, Departure.ABRUPT),
        (["what other clients log", REMOVED], False, Departure.ABRUPT),
    ],
)
def test_how_a_worker_has_left_is_read_from_its_events(
    events: list[object], over_limit: bool, departure: Departure
) -> None:
    assert classify(events, over_limit) == departure


ADDRESS = "tcp://10.0.0.1:1"
ADDED, CLOSING = {"action": "add-worker"}, {"action": "closing-worker"}


@pytest.mark.parametrize(
    ("kill", "events", "departure"),
    [
        (2.0, [(1.0, ADDED), (3.0, REMOVED)], Departure.MEMORY),
        (3.5, [(1.0, ADDED), (3.0, REMOVED)], Departure.MEMORY),  # logged late
        (2.0, [(3.0, REMOVED)], Departure.MEMORY),  # the rest is forgotten
        # Another worker had the address when it was ended.
        (2.0, [(1.0, ADDED), (3.0, REMOVED), (4.0, ADDED), (5.0, CLOSING), (6.0, REMOVED)], Departure.POLITE),
        # Another worker has the address now.
        (2.0, [(1.0, ADDED), (3.0, REMOVED), (4.0, ADDED)], Departure.MEMORY),
        (0.5, [(1.0, ADDED), (2.0, CLOSING), (3.0, REMOVED), (4.0, ADDED)], Departure.POLITE),
        (4.5, [(1.0, ADDED), (2.0, CLOSING), (3.0, REMOVED), (4.0, ADDED)], Departure.POLITE),
    ],
)
def test_a_memory_kill_counts_for_the_worker_that_had_the_address_then(
    kill: float, events: list[tuple[float, object]], departure: Departure
) -> None:
    client = Mock()
    client.get_events = {ADDRESS: events, MEMORY_TOPIC: [(kill, {"worker": ADDRESS})]}.get
    assert departure_of(client, ADDRESS) == departure


def terminate(process: subprocess.Popen[bytes]) -> None:
    process.terminate()


def terminate_group(process: subprocess.Popen[bytes]) -> None:
    os.killpg(process.pid, signal.SIGTERM)  # as SLURM does


def kill_child(process: subprocess.Popen[bytes]) -> None:
    for child in psutil.Process(process.pid).children():
        child.kill()


ENDS = ((["--no-nanny"], terminate), ([], terminate), ([], terminate_group), ([], kill_child))
"""Options of workers, and how each ends during a task; only the last one dies."""


@pytest.mark.slow
@pytest.mark.alone
def test_a_task_is_given_up_only_if_its_worker_died(
    scheduler: tuple[str, object],
    start: Callable[..., subprocess.Popen[bytes]],
    until: Callable[[Callable[[], bool]], None],
    tmp_path: Path,
) -> None:
    """The client gives a task up when one worker has died of it; the scheduler would suspect all of these."""
    address, _ = scheduler

    def first_hangs(task: int) -> int:
        begun = tmp_path / str(task)
        if not begun.exists():
            begun.touch()
            time.sleep(30)
        return task

    def end_each() -> None:
        for task, (options, end) in enumerate(ENDS, start=1):
            process = start("worker", address, "--nthreads", "1", "--memory-limit", "0", *options)
            until((tmp_path / str(task)).exists)
            end(process)

    said: list[str] = []
    tasks = iter(range(1, 5))
    ender = threading.Thread(target=end_each, daemon=True)
    ender.start()
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 0}),
        open_executor(address, notify=said.append) as run,
    ):
        ends = list(run(first_hangs, lambda workers: next(tasks, None), Stop()))
    assert ends == [(1, 1), (2, 2), (3, 3), (4, None)]
    left = [sentence for sentence in said if "its task runs again" in sentence]
    assert [" stopped; " in sentence for sentence in left] == [True, True, True, False]
    assert re.search(r" died; it took 0\.\d\d GB of memory; its task runs again\.", left[3])


def test_what_is_said_of_a_worker_that_has_left_names_the_likely_cause() -> None:
    def said(departure: Departure, limit: int, memory: int, preparing: bool = False) -> str:
        identity = {"name": "a", "memory_limit": limit, "metrics": {"memory": memory}}
        state = WorkerState.read("tcp://10.0.0.1:1", identity)
        return farewell(state, departure, preparing, had_task=not preparing)

    worker = "Worker a (tcp://10.0.0.1:1)"
    assert said(Departure.POLITE, 0, 10**9) == f"{worker} stopped; its task runs again."
    assert said(Departure.ABRUPT, 0, 10**9) == (
        f"{worker} died; it took 1.00 GB of memory; its task runs again."
    )
    assert said(Departure.ABRUPT, 2 * 10**9, 15 * 10**8) == (
        f"{worker} died; it took 1.50 GB of its limit of 2.00 GB of memory, which is likely the cause; "
        "its task runs again."
    )
    assert said(Departure.MEMORY, 10**9, 10**8, preparing=True) == (
        f"{worker} exceeded its memory limit and was ended by its nanny while it prepared (1.00 GB): restart "
        "it with a larger --memory-limit."
    )
