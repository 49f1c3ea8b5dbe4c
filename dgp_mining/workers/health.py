"""What keeps a worker from working, as far as the scheduler can see it, in one sentence with the cure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from .attendance import Greeting

SILENT_SECONDS = 10.0
"""Seconds without a heartbeat after which a worker is no longer counted on; it should send one a second."""

PREPARING_SECONDS = 60.0
"""As SILENT_SECONDS, for a worker that prepares: imports from a slow disk keep it from sending heartbeats."""

PAUSE_SHARE = 0.8
"""Share of its memory limit above which Dask pauses a worker, by default."""

IMPORTS = 500_000_000
"""The most bytes that imports take; what a worker takes beyond them is left from earlier work, and reused."""

LEAST_FREE = 64 * 2**20
"""Free bytes on its disk below which a worker is taken to have a full one."""


@dataclass(frozen=True)
class WorkerState:
    """A worker as the scheduler describes it."""

    address: str
    name: str
    folder: str
    """Its folder for temporary files, another one for each process."""
    threads: int
    status: str
    """Dask's word: init, running, paused, closing_gracefully or closing."""
    limit: int
    """Memory limit, bytes; 0 if it has none."""
    memory: int
    """Resident memory at its last heartbeat, bytes."""
    executing: int
    """Tasks that it executes, of all clients, at its last heartbeat."""
    heard: float
    """Time of its last heartbeat on the scheduler's clock, s."""

    @classmethod
    def read(cls, address: str, identity: Mapping[str, Any]) -> WorkerState:
        """Return the state in a scheduler's identity of a worker."""
        metrics = identity.get("metrics") or {}
        return cls(
            address=address,
            name=str(identity.get("name", address)),
            folder=str(identity.get("local_directory", "")),
            threads=int(identity.get("nthreads") or 1),
            status=str(identity.get("status", "running")),
            limit=int(identity.get("memory_limit") or 0),
            memory=int(metrics.get("memory") or 0),
            executing=int((metrics.get("task_counts") or {}).get("executing", 0)),
            heard=float(identity.get("last_seen") or 0),
        )

    @property
    def title(self) -> str:
        """How messages name the worker."""
        return (
            f"Worker {self.address}" if self.name == self.address else f"Worker {self.name} ({self.address})"
        )

    def capacity(self, imports: int) -> float:
        """Bytes that are left for tasks until Dask pauses the worker, if its imports take `imports` bytes."""
        return PAUSE_SHARE * self.limit - imports if self.limit else math.inf


class Silence:
    """How long a worker has not been heard, by the client's clock.

    The scheduler's clock may be another one, and a client or scheduler that is itself held up must not take
    its workers for silent: time in which nobody looked does not count.
    """

    def __init__(self) -> None:
        self.heard, self.looked, self.seconds = -1.0, 0.0, 0.0

    def look(self, heard: float, now: float, most: float) -> float:
        """Take note of the time of the last heartbeat; return the seconds of silence since.

        `most`: what the time since the previous look counts at most, s.
        """
        if heard != self.heard:
            self.heard, self.seconds = heard, 0.0
        else:
            self.seconds += min(now - self.looked, most)
        self.looked = now
        return self.seconds


class Ailment(NamedTuple):
    """What keeps a worker from taking tasks."""

    kind: str
    """"paused" or "without heartbeat"."""
    sentence: str
    """What is wrong and what helps."""


def ailment_of(state: WorkerState, silent: float, prepared: bool, workers: int = 1) -> Ailment | None:
    """Return what keeps a worker from taking tasks; None if nothing does.

    Args:
        silent: seconds without a heartbeat.
        prepared: whether it has been prepared.
        workers: number of workers; heartbeats are rarer if there are many.
    """
    patience = (SILENT_SECONDS if prepared else PREPARING_SECONDS) + workers / 20
    if silent > patience:
        return Ailment(
            "without heartbeat",
            f"{state.title} has sent no heartbeat for {silent:.0f} s: see whether its machine is on, "
            "reachable and not short of memory; its tasks go to others.",
        )
    if state.status == "paused":
        return Ailment(
            "paused",
            f"{state.title} is paused, because its memory is near its limit of {gigabytes(state.limit)}: "
            "restart it with a larger --memory-limit; its tasks go to others.",
        )
    return None


def too_small(state: WorkerState, need: float, last: bool = False) -> str:
    """Return the sentence about a worker whose memory limit is below what it needs for a task, bytes.

    `last`: no other worker may take more.
    """
    rest = "no worker can take it, so it waits. Ctrl-C ends." if last else "the task goes to another."
    return (
        f"{state.title} has a memory limit of {gigabytes(state.limit)}, but a task of this run needs about "
        f"{gigabytes(need)}: restart it with --memory-limit {gigabytes(need / PAUSE_SHARE, '')}GB or more; "
        f"{rest}"
    )


def differences(state: WorkerState, greeting: Greeting, here: Mapping[str, str]) -> list[str]:
    """Return the sentences about a prepared worker that works, but not as it should.

    `here` are this process's versions, as `Greeting.versions`.
    """
    sentences = []
    others = [
        f"{package} {greeting.versions.get(package, 'none')} ({version} here)"
        for package, version in here.items()
        if greeting.versions.get(package) != version
    ]
    if others:
        sentences.append(
            f"{state.title} has {', '.join(others)}: results may differ in their last bits; install the same "
            "versions on every machine."
        )
    if greeting.free < LEAST_FREE:
        sentences.append(
            f"{state.title} has a full disk at {greeting.folder}: make room, or start it with another "
            "--local-directory."
        )
    return sentences


def gigabytes(nbytes: float, unit: str = " GB") -> str:
    """Return a number of bytes in GB, rounded up to two decimals.

    >>> gigabytes(1_500_000_001)
    '1.51 GB'
    """
    return f"{-(-nbytes // 10_000_000) / 100:.2f}{unit}"
