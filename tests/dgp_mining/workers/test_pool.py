"""What the pool asks of the scheduler, and what it makes of the answers."""

from __future__ import annotations

from concurrent.futures import TimeoutError as WaitedTooLong
from typing import Any
from unittest.mock import Mock

import pytest

from dgp_mining.retry import RunError
from dgp_mining.workers.attendance import Greeting, installed_versions
from dgp_mining.workers.pool import WorkerPool

WORKERS = {f"tcp://10.0.0.1:{port}": {"name": str(port)} for port in range(1, 8)}


def pool_of(said: list[str]) -> WorkerPool[Any]:
    """A pool whose scheduler's identity() takes no argument, as before distributed 2025.4."""
    client = Mock(status="running")
    client.scheduler.identity = lambda: {"workers": WORKERS}
    client.sync = lambda function, callback_timeout, **arguments: function(**arguments)
    client.submit = Mock(side_effect=lambda *arguments, **options: Mock(key=str(client.submit.call_count)))
    return WorkerPool(client, said.append, lambda: None)


def test_all_workers_are_met_whatever_the_version_of_the_scheduler() -> None:
    pool = pool_of([])
    pool.look()
    assert list(pool.seats) == list(WORKERS)


@pytest.mark.parametrize("error", [OSError("no route"), WaitedTooLong()])
def test_a_greeting_that_has_not_arrived_is_sent_again(error: Exception) -> None:
    said: list[str] = []
    pool = pool_of(said)
    pool.look()
    seat = next(iter(pool.seats.values()))
    first: Any = seat.greeting
    first.status, first.result.side_effect = "finished", error
    assert pool.greeted(first.key)
    assert seat.greeting not in (None, first)
    assert not said


def test_a_worker_that_lacks_a_library_is_named_and_not_greeted_again() -> None:
    said: list[str] = []
    pool = pool_of(said)
    pool.look()
    missing = OSError("libcudart.so.12: cannot open shared object file")
    *others, last = pool.seats.values()
    for seat in others:
        future: Any = seat.greeting
        future.status, future.result.side_effect = "error", missing
        assert pool.greeted(future.key)
        assert seat.greeting is None
    assert len(said) == len(others)
    assert "cannot be prepared (libcudart.so.12: cannot open shared object file)" in said[0]
    future = last.greeting
    future.status, future.result.side_effect = "error", missing
    with pytest.raises(RunError, match=r"libcudart\.so\.12"):
        pool.greeted(future.key)


def test_what_greetings_tell_of_a_machine_is_said() -> None:
    said: list[str] = []
    pool = pool_of(said)
    pool.look()
    here = installed_versions()
    greetings = [
        Greeting(here, "/scratch", 10**12, 10**8, oom_kills=3),  # of before this run
        Greeting(here, "/scratch", 10**12, 10**8, oom_kills=5),
        Greeting(here, "/scratch", 10**6, 10**8, oom_kills=5),
        Greeting(here | {"numpy": "1.26"}, "/scratch", 10**12, 10**8, oom_kills=5),
    ]
    for seat, greeting in zip(pool.seats.values(), greetings, strict=False):
        future: Any = seat.greeting
        future.result.side_effect = [greeting]
        assert pool.greeted(future.key)
    assert said == [
        "The machine of worker 2 was short of memory and has ended 2 processes: start fewer workers there.",
        "Worker 3 (tcp://10.0.0.1:3) has a full disk at /scratch: make room, or start it with another "
        "--local-directory.",
        f"Worker 4 (tcp://10.0.0.1:4) has numpy 1.26 ({here['numpy']} here): results may differ in their "
        "last bits; install the same versions on every machine.",
    ]
