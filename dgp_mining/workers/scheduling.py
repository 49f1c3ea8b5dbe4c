"""The order of the work: chunks bundled into tasks of some seconds each, and what becomes of a task that
kills its workers.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from ..store.part import Chunk
from .messages import PlannedChunk, Progress, Task

TASK_SECONDS = 20.0
"""How long a task should take: long beside what it costs a scheduler, short for who waits for its end."""

MOST_CROPS = 4096
"""Crops of a task at most, which bounds what travels with it."""


class TaskQueue:
    """Hands out tasks one by one, made when their turn comes, and takes in how they have ended."""

    def __init__(
        self, task: Task, numbers: Sequence[Chunk], planned: Callable[[Chunk], PlannedChunk]
    ) -> None:
        """`task` is what all tasks are, still without chunks; `planned` says what a chunk comprises."""
        self.task, self.numbers, self.planned = task, numbers, planned
        self.taken = 0
        self.done, self.crops, self.seconds = 0, 0, 0.0
        self.urgent: deque[Task] = deque()
        self.suspects: dict[Task, tuple[_Trial, int]] = {}

    def next(self, workers: int) -> Task | None:
        """A task for one of so many workers; None where there is none, unless a running one ends badly."""
        if self.urgent:
            return self.urgent.popleft()
        numbers = self.numbers[self.taken : self.taken + self._bundle(workers)]
        self.taken += len(numbers)
        chunks = tuple(self.planned(number) for number in numbers)
        return replace(self.task, chunks=chunks) if chunks else None

    def _bundle(self, workers: int) -> int:
        """Chunks of the next task: as many as the measured rate makes TASK_SECONDS of, one before anything is
        measured, and towards the end so few that all workers finish together."""
        if not self.done:
            return 1
        by_rate = TASK_SECONDS * self.done / max(self.seconds, 1e-9)
        by_size = MOST_CROPS * self.done / self.crops
        left = len(self.numbers) - self.taken
        return max(1, int(min(by_rate, by_size, left / (2 * workers))))

    def record(self, task: Task, ends: Sequence[Progress] | None) -> Sequence[Progress]:
        """Take in how the chunks of a task have ended, and return it: nothing where ends is None, because the
        task has killed every worker that took it."""
        if ends is None:
            self._killed(task)
            return []
        if task in self.suspects:
            self._tried(task, deadly=False)
        self.done += len(ends)
        self.crops += sum(end.done + end.failed for end in ends)
        self.seconds += sum(end.seconds for end in ends)
        return ends

    def _killed(self, task: Task) -> None:
        """Arrange for what is left of a task that has killed every worker that took it: find the crops that
        do so, by fitting each alone, and record them as failed with the rest of their chunk."""
        chunk = task.chunks[0]
        if task in self.suspects:
            self._tried(task, deadly=True)
        elif len(task.chunks) > 1:
            self.urgent.extend(replace(task, chunks=(chunk,)) for chunk in task.chunks)
        elif len(chunk.crops) == 1 or chunk.deadly:  # alone, or for no crop's sake: nothing more to find out
            self._requeue(chunk, range(len(chunk.crops)))
        else:
            trial = _Trial(chunk, waiting=len(chunk.crops))
            for index, crop in enumerate(chunk.crops):
                alone = replace(task, chunks=(replace(chunk, crops=(crop,)),), trial=True)
                self.suspects[alone] = trial, index
                self.urgent.append(alone)

    def _tried(self, task: Task, deadly: bool) -> None:
        trial, index = self.suspects.pop(task)
        trial.waiting -= 1
        if deadly:
            trial.deadly.append(index)
        if not trial.waiting:
            self._requeue(trial.chunk, trial.deadly)

    def _requeue(self, chunk: PlannedChunk, deadly: Sequence[int]) -> None:
        self.urgent.append(replace(self.task, chunks=(replace(chunk, deadly=frozenset(deadly)),)))


@dataclass
class _Trial:
    """A chunk whose crops are fitted one by one to see which of them kills its worker."""

    chunk: PlannedChunk
    waiting: int
    """Crops that have not been tried yet."""
    deadly: list[int] = field(default_factory=list)
    """Crops, by their index in the chunk, that kill."""
