"""What the pool asks of the scheduler, and what it makes of the answers."""

from __future__ import annotations

from concurrent.futures import TimeoutError as WaitedTooLong
from typing import Any
from unittest.mock import Mock

import pytest

from dgp_mining.retry import RunError
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
