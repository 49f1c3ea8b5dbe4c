"""The workers of a Dask cluster during a run: who can take tasks, and what is said of those who cannot."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import TimeoutError as WaitedTooLong
from contextlib import suppress
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from ..retry import RunError, reason_of
from .attendance import Greeting, greet, installed_versions
from .departures import Departure, departure_of, farewell
from .health import (
    IMPORTS,
    PREPARING_SECONDS,
    Ailment,
    Silence,
    WorkerState,
    ailment_of,
    differences,
    too_small,
)

if TYPE_CHECKING:
    from dask.typing import Key
    from distributed import Client, Future

Task = TypeVar("Task")

PATIENCE_SECONDS = 10.0
"""Seconds without any working worker before a message: a dead worker is soon replaced."""

REMIND_SECONDS = 600.0
"""Seconds until the same message about the same worker, or about there being none, is repeated."""

POLL_SECONDS = 0.5
"""Seconds between two looks at a few workers."""

ANSWER_SECONDS = 10.0
"""Seconds to wait for an answer of the scheduler."""

DEATHS_IN_PREPARATION = 3
"""Workers that have died while they prepared, without any that is prepared, before a local run ends."""


@dataclass(eq=False)
class Job(Generic[Task]):
    """A task, with what has happened to it."""

    task: Task
    need: int = 0
    """Memory that it takes, bytes."""
    deaths: int = 0
    """Workers that have died while it ran."""
    stalls: int = 0
    """Workers that were given up while it ran."""
    future: Future[Any] | None = None

    def withdraw(self) -> None:
        """Let the scheduler forget it."""
        if self.future is not None:
            self.future.release()
            self.future = None


@dataclass(eq=False)
class Seat(Generic[Task]):
    """One worker, from its first sight until it leaves."""

    state: WorkerState
    greeting: Future[Greeting] | None = None
    prepared: bool = False
    imports: int = IMPORTS
    """Bytes that it takes without a task."""
    refused: str = ""
    """Why it cannot be prepared; such a worker is not used."""
    ailment: Ailment | None = None
    """What keeps it from taking tasks."""
    ailment_told: bool = False
    """Whether the user knows of the ailment, and must hear of its end."""
    silence: Silence = field(default_factory=Silence)
    jobs: list[Job[Task]] = field(default_factory=list)

    @property
    def working(self) -> bool:
        """Whether it can take tasks."""
        return self.prepared and not self.ailment and self.state.status == "running"

    @property
    def has_room(self) -> bool:
        """Whether it can take one more task."""
        return self.working and len(self.jobs) < self.state.threads

    def takes(self, job: Job[Task]) -> bool:
        """Whether it can take this one now. A task during which a worker has died runs alone."""
        alone = bool(job.deaths or any(other.deaths for other in self.jobs))
        return self.has_room and not (alone and self.jobs) and not self.is_too_small(job)

    def is_too_small(self, job: Job[Task]) -> bool:
        """Whether a job needs more memory than the worker may take."""
        return job.need > self.state.capacity(self.imports)

    def stranded(self) -> list[Job[Task]]:
        """Return the jobs that make no progress here; a paused worker finishes what it has begun."""
        idle = self.state.status == "paused" and not self.state.executing
        return list(self.jobs) if self.ailment and (idle or self.state.status != "paused") else []


class WorkerPool(Generic[Task]):
    """Watches the workers of a cluster, prepares each when it is met, and says what is wrong with them."""

    def __init__(
        self,
        client: Client,
        notify: Callable[[str], None],
        prepare: Callable[[], None],
        *,
        local: bool = False,
        regain: Callable[[], None] = lambda: None,
    ) -> None:
        """`local`: whether this process has started the workers; `regain` starts those that are lost."""
        self.client, self.notify, self.prepare = client, notify, prepare
        self.local, self.regain = local, regain
        self.seats: dict[str, Seat[Task]] = {}
        self.ended: SimpleQueue[Future[Any]] = SimpleQueue()
        """Greetings and tasks that have ended; other threads put them in."""
        self.versions = installed_versions()
        self.told: dict[tuple[str, str], float] = {}
        self.oom_kills: dict[str, int] = {}
        self.died_preparing = 0
        self.worked = time.monotonic()
        self.reminded: float | None = None
        self.answers = True

    def working(self) -> list[Seat[Task]]:
        """Return the workers that can take tasks."""
        return [seat for seat in self.seats.values() if seat.working]

    @property
    def threads(self) -> int:
        """Tasks that the working workers run at a time."""
        return sum(seat.state.threads for seat in self.working())

    @property
    def pause(self) -> float:
        """Seconds between two looks, more if there are many workers to ask for."""
        return POLL_SECONDS + 0.005 * len(self.seats)

    def assemble(self) -> None:
        """Wait for the first prepared worker, unless there is none that may become one soon.

        Raises RunError if none can be prepared.
        """
        while True:
            self.look()
            coming = [seat for seat in self.seats.values() if seat.greeting is not None and not seat.ailment]
            restarting = self.local and not self.seats
            if not (coming or restarting) or any(seat.prepared for seat in self.seats.values()):
                return
            with suppress(Empty):
                self.greeted(self.ended.get(timeout=POLL_SECONDS).key)

    def look(self) -> list[tuple[Seat[Task], Departure]]:
        """Look at all workers; return those that have left, and how.

        Raises RunError if the scheduler is gone.
        """
        states = self._states()
        if states is None:
            return []
        now = time.monotonic()
        left = [
            self.seats.pop(seat.state.address)
            for seat in list(self.seats.values())
            if (state := states.get(seat.state.address)) is None or state.folder != seat.state.folder
        ]
        departures = [(seat, self._departed(seat)) for seat in left]
        for address, state in states.items():
            seat = self.seats.get(address)
            if seat is None:
                seat = self.seats[address] = Seat(state)
                self._greet(seat)
            seat.state = state
            self._examine(seat, seat.silence.look(state.heard, now, 2 + 2 * self.pause), len(states))
        self.regain()
        self._say_whether_any_works(now)
        return departures

    def greeted(self, key: Key) -> bool:
        """Take note of a greeting that has ended; return whether `key` is one's."""
        for seat in self.seats.values():
            if seat.greeting is not None and seat.greeting.key == key:
                future, seat.greeting = seat.greeting, None
                try:
                    self._prepared(seat, future.result(timeout=ANSWER_SECONDS))
                except Exception as error:
                    if isinstance(error, (WaitedTooLong, OSError)) and future.status != "error":
                        self._greet(seat)  # the greeting has not arrived
                    else:
                        self._refused(seat, error)
                return True
        return False

    def largest(self) -> Seat[Task] | None:
        """Return the worker that may take the most memory; None without any, or while one is prepared."""
        seats = [seat for seat in self.seats.values() if not seat.refused]
        if any(seat.greeting is not None and not seat.ailment for seat in seats):
            return None
        return max(seats, key=lambda seat: seat.state.capacity(seat.imports), default=None)

    def pass_over(self, seat: Seat[Task], job: Job[Task], last: bool = False) -> None:
        """Say so if a task needs more memory than a worker may take; `last`: no other may take more."""
        if seat.is_too_small(job):
            sentence = too_small(seat.state, job.need + seat.imports, last)
            self._tell(seat, "memory, last" if last else "memory", sentence)

    def _states(self) -> dict[str, WorkerState] | None:
        """Ask the scheduler for its workers; None if it does not answer."""
        if self.client.status != "running":
            raise lost(self.client)
        try:
            scheduler: Any = self.client.scheduler
            # Of all workers: n_workers= is -1 by default, and unknown before distributed 2025.4.
            identity = self.client.sync(scheduler.identity, callback_timeout=ANSWER_SECONDS)
        except (TimeoutError, WaitedTooLong):
            if self.answers:
                self.notify(
                    f"The scheduler at {address_of(self.client)} does not answer: the run waits for it. "
                    "Ctrl-C ends."
                )
            self.answers = False
            return None
        except OSError as error:
            raise lost(self.client) from error
        if not self.answers:
            self.notify("The scheduler answers again; continuing.")
        self.answers = True
        return {address: WorkerState.read(address, found) for address, found in identity["workers"].items()}

    def _greet(self, seat: Seat[Task]) -> None:
        seat.greeting = self.client.submit(
            greet, self.prepare, pure=False, workers=[seat.state.address], allow_other_workers=False
        )
        seat.greeting.add_done_callback(self.ended.put)

    def _prepared(self, seat: Seat[Task], greeting: Greeting) -> None:
        seat.prepared = True
        seat.imports = min(IMPORTS, greeting.memory)
        for sentence in differences(seat.state, greeting, self.versions):
            self._tell(seat, "differences", sentence)
        host = seat.state.address.rpartition(":")[0]
        if self.oom_kills.setdefault(host, greeting.oom_kills) < greeting.oom_kills:
            self.notify(
                f"The machine of worker {seat.state.name} was short of memory and has "
                f"ended {greeting.oom_kills - self.oom_kills[host]} processes: start fewer workers there."
            )
            self.oom_kills[host] = greeting.oom_kills

    def _refused(self, seat: Seat[Task], error: Exception) -> None:
        """Say why a worker is not used. Raises RunError if there is no other."""
        if isinstance(error, RunError):
            seat.refused = f"{seat.state.title} is not used: {error}"
        else:
            reason = f"cannot be prepared ({reason_of(error)}): install the same dgp-mining there."
            seat.refused = f"{seat.state.title} {reason}"
        if all(other.refused for other in self.seats.values()):
            raise RunError(str(error) if isinstance(error, RunError) else seat.refused) from error
        self._tell(seat, "refused", seat.refused)

    def _examine(self, seat: Seat[Task], silent: float, workers: int) -> None:
        before, seat.ailment = seat.ailment, ailment_of(seat.state, silent, seat.prepared, workers)
        if seat.ailment and (before is None or before.kind != seat.ailment.kind):
            seat.ailment_told |= self._tell(seat, seat.ailment.kind, seat.ailment.sentence)
        elif not seat.ailment and seat.ailment_told:
            self.notify(f"{seat.state.title} works again.")
            seat.ailment_told = False

    def _departed(self, seat: Seat[Task]) -> Departure:
        try:
            departure = departure_of(self.client, seat.state.address)
        except OSError as error:
            raise lost(self.client) from error
        preparing = seat.greeting is not None
        if seat.greeting is not None:
            seat.greeting.release()
        self.died_preparing += preparing and departure.by_task
        if any(other.prepared for other in self.seats.values()):
            self.died_preparing = 0
        sentence = farewell(seat.state, departure, preparing, bool(seat.jobs))
        if self.local and self.died_preparing >= DEATHS_IN_PREPARATION:
            raise RunError(f"{sentence} So did others before: take fewer workers=, or see the machine's log.")
        if seat.jobs or departure.by_task:
            self._tell(seat, f"left {departure.name} {preparing}", sentence)
        return departure

    def _tell(self, seat: Seat[Task], about: str, sentence: str) -> bool:
        """Say something about a worker, unless the same was said of it (or its predecessor) lately."""
        now, key = time.monotonic(), (seat.state.name, about)
        if now - self.told.get(key, -math.inf) < REMIND_SECONDS:
            return False
        self.told[key] = now
        self.notify(sentence)
        return True

    def _say_whether_any_works(self, now: float) -> None:
        if any(seat.working for seat in self.seats.values()):
            self.worked = now
            if self.reminded is not None:
                self.notify("Workers have joined; continuing.")
            self.reminded = None
            return
        waited = now - self.worked
        hopeless = self.seats and all(seat.ailment or seat.refused for seat in self.seats.values())
        preparing = any(seat.greeting is not None for seat in self.seats.values())
        if not hopeless and waited < (PREPARING_SECONDS if preparing else PATIENCE_SECONDS):
            return
        if self.reminded is not None and now - self.reminded < REMIND_SECONDS:
            return
        self.reminded = now
        address = address_of(self.client)
        self.notify(
            f"No worker at {address} can take tasks ({self._census()}): the run waits, and goes on by itself "
            "as soon as one can. Ctrl-C ends."
            if self.seats
            else f"There are no workers at {address}: waiting for 'dask worker {address} --nthreads 1'. "
            "Ctrl-C ends."
        )

    def _census(self) -> str:
        words: Counter[str] = Counter()
        for seat in self.seats.values():
            if seat.refused:
                words["refused"] += 1
            elif seat.ailment:
                words[seat.ailment.kind] += 1
            else:
                words["leaving" if seat.prepared else "preparing"] += 1
        return ", ".join(f"{count} {word}" for word, count in words.items())


def lost(client: Client) -> RunError:
    """Return the error that says that the scheduler is gone."""
    return RunError(
        f"The scheduler at {address_of(client)} is gone: start it again, then repeat the command to continue."
    )


def address_of(client: Client) -> str:
    """Return the scheduler's address, to be put into a sentence."""
    return str(client.scheduler.address) if client.scheduler else "its address"
