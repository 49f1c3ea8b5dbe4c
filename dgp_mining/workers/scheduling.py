"""Scheduling: chunks are bundled into tasks of about TASK_SECONDS; tasks that kill workers are split."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from ..store.part import Chunk
from .messages import PlannedChunk, Progress, Task

TASK_SECONDS = 20.0
"""Intended duration of a task: long compared with scheduling overhead, short enough to stop soon."""

MOST_CROPS = 4096
"""Largest number of crops of a task, which bounds the size of its message."""


class TaskQueue:
    """Makes tasks on demand, one at a time, and records their outcomes."""

    def __init__(
        self, task: Task, numbers: Sequence[Chunk], planned: Callable[[Chunk], PlannedChunk]
    ) -> None:
        """`task` is a template without chunks; `planned` returns the crops of a chunk."""
        self.task, self.numbers, self.planned = task, numbers, planned
        self.taken = 0
        self.workers = 1
        self.done, self.crops, self.seconds = 0, 0, 0.0
        self.urgent: deque[Task] = deque()
        self.suspects: dict[Task, tuple[_Trial, int]] = {}

    def next(self, workers: int) -> Task | None:
        """Return the next task for one of `workers`; None if there is none, unless a task fails later."""
        self.workers = workers
        if self.urgent:
            return self.urgent.popleft()
        numbers = self.numbers[self.taken : self.taken + self._bundle(workers)]
        self.taken += len(numbers)
        chunks = tuple(self.planned(number) for number in numbers)
        return replace(self.task, chunks=chunks) if chunks else None

    def _bundle(self, workers: int) -> int:
        """Return the number of chunks of the next task: as many as take TASK_SECONDS at the measured rate.

        One before a rate was measured; fewer towards the end, so that all workers finish together.
        """
        if not self.done:
            return 1
        by_rate = TASK_SECONDS * self.done / max(self.seconds, 1e-9)
        by_size = MOST_CROPS * self.done / self.crops
        left = len(self.numbers) - self.taken
        return max(1, int(min(by_rate, by_size, left / (2 * workers))))

    def record(self, task: Task, ends: Sequence[Progress] | None) -> Sequence[Progress]:
        """Record the outcomes of a task's chunks and return them.

        `ends` is None if the task has killed every worker that took it; the result is empty then.
        """
        if ends is None:
            self._killed(task)
            return []
        if task in self.suspects:
            self._tried(task, deadly=False)
        self.done += len(ends)
        self.crops += sum(end.done + end.failed for end in ends)
        self.seconds += sum(end.seconds for end in ends)
        return [replace(end, workers=self.workers) for end in ends]

    def _killed(self, task: Task) -> None:
        """Split a task that has killed every worker that took it.

        Its chunks become separate tasks; of a single chunk, each crop is fitted alone to find the deadly
        ones, and then the chunk without these.
        """
        chunk = task.chunks[0]
        if task in self.suspects:
            self._tried(task, deadly=True)
        elif len(task.chunks) > 1:
            self.urgent.extend(replace(task, chunks=(chunk,)) for chunk in task.chunks)
        elif len(chunk.crops) == 1 or chunk.deadly:  # nothing left to split
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
    """A chunk whose crops are fitted one by one, to find those that kill their worker."""

    chunk: PlannedChunk
    waiting: int
    """Crops that have not been tried yet."""
    deadly: list[int] = field(default_factory=list)
    """Crops, by their index in the chunk, that kill."""
