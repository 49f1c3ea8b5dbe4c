"""Running tasks on a Dask cluster: each is given to one worker, and to another one if that fails it.

The scheduler does not choose: it takes paused, frozen and unprepared workers for working ones, and counts a
worker that was told to stop as killed by its task.
"""

from __future__ import annotations

import time
import uuid
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from contextlib import suppress
from queue import Empty
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from ..signals import Stop
from .attendance import attended
from .pool import ANSWER_SECONDS, Job, Seat, WorkerPool, lost

if TYPE_CHECKING:
    from dask.typing import Key
    from distributed import Future

Task = TypeVar("Task")
Result = TypeVar("Result")

HELD = 16
"""Tasks that may wait for a worker with more memory, so that others go on with the next ones."""

NOWHERE = "a dgp-mine worker that is not there yet"
"""A resource that no worker has."""

STALLS = 5
"""Workers that may be given up while they run a task, before the task is taken to be the cause."""


class Dispatch(Generic[Task, Result]):
    """The tasks of a run on a cluster: waiting, or given to a worker."""

    def __init__(
        self,
        pool: WorkerPool[Task],
        function: Callable[[Task], Result],
        next_task: Callable[[int], Task | None],
        need: Callable[[Task], int],
        deaths: int,
    ) -> None:
        """`need`: memory of a task, bytes; `deaths`: workers that it may kill before it is given up."""
        self.client, self.pool = pool.client, pool
        self.function, self.next_task, self.need, self.deaths = function, next_task, need, deaths
        self.name = getattr(function, "__name__", "task")
        self.waiting: deque[Job[Task]] = deque()
        self.oversized: list[Job[Task]] = []
        """Those that need more memory than any worker has."""
        self.running: dict[Key, tuple[Seat[Task], Job[Task]]] = {}
        self.given_up: deque[Job[Task]] = deque()
        self.demand: list[Future[Any]] = []
        self.failure: Exception | None = None
        self.dry = False
        for seat in pool.seats.values():
            seat.jobs.clear()  # of a run that was given up

    def run(self, stop: Stop) -> Iterator[tuple[Task, Result | None]]:
        """Give tasks to workers and yield them as they end; after a failure or a stop, only those begun."""
        due = 0.0
        while True:
            if time.monotonic() >= due:
                self._look()
                due = time.monotonic() + self.pool.pause
            while self.given_up:
                yield self.given_up.popleft().task, None
            ending = stop.asked or self.failure is not None
            if not ending:
                self._fill()
            if self._over(ending):
                break
            with suppress(Empty):
                yield from self._end(self.pool.ended.get(timeout=max(0.0, due - time.monotonic())))
        if self.failure:
            raise self.failure

    def _over(self, ending: bool) -> bool:
        """Whether nothing runs and nothing will; a run that is `ending` does not wait for frozen workers."""
        if not ending:
            return not (self.running or self.waiting or self.oversized or self.given_up)
        stuck = {job for seat in self.pool.seats.values() for job in seat.stranded()}
        return all(job in stuck for _, job in self.running.values())

    # --- giving ---------------------------------------------------------------------------------------------

    def _fill(self) -> None:
        """Give tasks to all workers that can take some, and have one more at hand."""
        # Looked up once, since this is done at every end of a task, with as many as a thousand workers.
        self.dry = False
        largest = self.pool.largest()
        self.waiting = deque(job for job in self.waiting if not self._set_aside(job, largest))
        stranding = [seat for seat in self.pool.seats.values() if seat.stranded()]
        for seat in self.pool.working():
            while (job := self._job_for(seat, stranding, largest)) is not None:
                self._give(job, seat)
        if not self.waiting and (spare := self._draw()) is not None:
            self.waiting.append(spare)
        self._ask_for_workers()

    def _set_aside(self, job: Job[Task], largest: Seat[Task] | None) -> bool:
        """Set a job aside if even the largest worker is too small; say and return whether it is."""
        if largest is None or not largest.is_too_small(job):
            return False
        self.oversized.append(job)
        self.pool.pass_over(largest, job, last=True)
        return True

    def _job_for(
        self, seat: Seat[Task], stranding: list[Seat[Task]], largest: Seat[Task] | None
    ) -> Job[Task] | None:
        """Return a job for a worker: a waiting one, one that a frozen worker has, or a new one."""
        if not seat.has_room or self._is_reserved(seat):
            return None
        for job in self.waiting:
            if seat.takes(job):
                self.waiting.remove(job)
                return job
            self.pool.pass_over(seat, job)
        for other in stranding:
            for job in other.stranded():
                if seat.takes(job):
                    job.stalls += other.state.status != "paused"
                    self._take_back(job)
                    if job.stalls <= STALLS:
                        return job
                    self.given_up.append(job)
        for _ in range(HELD - len(self.waiting)):
            if (new := self._draw()) is None:
                break
            if seat.takes(new):
                return new
            if not self._set_aside(new, largest):
                self.pool.pass_over(seat, new)
                self.waiting.append(new)
        return None

    def _is_reserved(self, seat: Seat[Task]) -> bool:
        """Whether a worker with several threads must first become idle, for a job that has to run alone."""
        if not seat.jobs or not any(job.deaths for job in self.waiting):
            return False
        return seat is min(self.pool.working(), key=lambda other: len(other.jobs))

    def _draw(self) -> Job[Task] | None:
        task = None if self.dry else self.next_task(max(1, self.pool.threads))
        self.dry = task is None  # until the next look, as a task that fails may give others
        return None if task is None else Job(task, self.need(task))

    def _give(self, job: Job[Task], seat: Seat[Task]) -> None:
        job.future = self.client.submit(
            attended,
            self.function,
            job.task,
            key=f"{self.name}-{uuid.uuid4()}",
            workers=[seat.state.address],
            allow_other_workers=False,
        )
        self.running[job.future.key] = seat, job
        seat.jobs.append(job)
        job.future.add_done_callback(self.pool.ended.put)

    def _ask_for_workers(self) -> None:
        """Let as many tasks wait as there are threads, so that adaptive clusters start more workers."""
        wanted = max(1, self.pool.threads) if (self.waiting or self.oversized) and not self.pool.local else 0
        while len(self.demand) < wanted:
            key = f"{self.name}-{uuid.uuid4()}"  # the prefix tells the scheduler how long it takes
            self.demand.append(self.client.submit(int, key=key, resources={NOWHERE: 1}))
        while len(self.demand) > wanted:
            self.demand.pop().release()

    # --- ending ---------------------------------------------------------------------------------------------

    def _end(self, future: Future[Any]) -> Iterator[tuple[Task, Result | None]]:
        """Take note of a future that has ended, and yield its task if it is done."""
        from distributed import KilledWorker

        if self.pool.greeted(future.key) or future.key not in self.running:
            return
        _, job = self.running[future.key]
        try:
            result = future.result(timeout=ANSWER_SECONDS)
        except KilledWorker:
            self._look()
        except (CancelledError, Exception) as error:
            if self.client.status != "running":
                raise lost(self.client) from error
            if future.status == "error":  # the task has raised it; else its result has not arrived
                self.failure = self.failure or error
                self._take_back(job)
        else:
            self._take_back(job)
            yield job.task, result
        if future.key in self.running:
            self._take_back(job)
            self.waiting.appendleft(job)

    def _look(self) -> None:
        """Look at the workers; what those had that have left runs elsewhere, or is given up."""
        for seat, departure in self.pool.look():
            for job in list(seat.jobs):
                self._take_back(job)
                job.deaths += departure.by_task
                (self.given_up if job.deaths > self.deaths else self.waiting).appendleft(job)
        self.waiting.extend(self.oversized)  # for which there may now be a worker
        self.oversized.clear()

    def _take_back(self, job: Job[Task]) -> None:
        """Take a job from its worker."""
        if job.future is not None:
            seat, _ = self.running.pop(job.future.key)
            seat.jobs.remove(job)
            job.withdraw()
