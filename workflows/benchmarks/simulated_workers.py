"""Workers that end tasks at once, without a cluster: they show what a task costs the run itself."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from typing import Any

from dgp_mining.signals import Stop
from dgp_mining.workers.dispatch import Dispatch
from dgp_mining.workers.health import WorkerState
from dgp_mining.workers.messages import Task
from dgp_mining.workers.pool import Seat, WorkerPool


class Ended:
    """A future that has ended as soon as somebody waits for it."""

    status = "finished"

    def __init__(self, key: str) -> None:
        self.key = key

    def result(self, timeout: float) -> bool:
        return True

    def add_done_callback(self, call: Callable[[Any], None]) -> None:
        call(self)

    def release(self) -> None:
        """There is nothing to forget."""


class Client:
    """Stands in for Dask's client."""

    status = "running"

    def submit(self, *arguments: Any, key: str, **named: Any) -> Ended:
        return Ended(key)


def dispatch_milliseconds(task: Task, count: int, workers: int) -> float:
    """Return CPU ms of the run for each of `count` tasks, given to `workers` workers."""
    made = itertools.repeat(task, count)
    run = simulated_run(workers, lambda threads: next(made, None))
    began = time.process_time()
    done = sum(1 for _ in run)
    return 1e3 * (time.process_time() - began) / done


def simulated_run(workers: int, next_task: Callable[[int], Task | None]) -> Iterator[Any]:
    """Give tasks to `workers` workers, as a run does."""
    client: Any = Client()
    pool: WorkerPool[Task] = WorkerPool(client, print, lambda: None, local=True)
    for number in range(workers):
        address = f"tcp://10.0.{number // 250}.{number % 250}:40000"
        state = WorkerState(address, address, "/tmp", 1, "running", 0, 0, 0, time.time())
        pool.seats[address] = Seat(state, prepared=True)
    pool.look = list  # type: ignore[method-assign]  # none has left
    return Dispatch(pool, bool, next_task, lambda one: 0, 3).run(Stop())
