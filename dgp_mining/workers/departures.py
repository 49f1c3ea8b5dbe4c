"""Why a worker has left, from the events that the scheduler keeps of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import Enum
from typing import TYPE_CHECKING, Any

from .attendance import GOODBYE
from .health import WorkerState, gigabytes

if TYPE_CHECKING:
    from distributed import Client

LIKELY_SHARE = 0.7
"""Share of its memory limit above which a worker that died is taken to have died of it."""

MEMORY_TOPIC = "worker-restart-memory"
"""Topic under which nannies log that they end a worker for its memory."""


class Departure(Enum):
    """How a worker has left."""

    POLITE = "stopped"
    """It was told to stop: by a user, a batch system, a cloud. Its tasks are not to blame."""
    SILENT = "was given up by the scheduler"
    """It was not heard for minutes."""
    MEMORY = "exceeded its memory limit and was ended by its nanny"
    ABRUPT = "died"
    """Killed or crashed, perhaps by its task."""

    @property
    def by_task(self) -> bool:
        """Whether its task may have caused it."""
        return self in (Departure.MEMORY, Departure.ABRUPT)


def departure_of(client: Client, address: str) -> Departure:
    """Return how the worker that was at `address` has left. Raises OSError if the scheduler is gone."""
    nannies = [message for _, message in client.get_events(MEMORY_TOPIC) or ()]
    return classify(
        [message for _, message in client.get_events(address) or ()],
        any(isinstance(message, Mapping) and message.get("worker") == address for message in nannies),
    )


def farewell(state: WorkerState, departure: Departure, preparing: bool, had_task: bool) -> str:
    """Return the sentence about a worker that has left."""
    said = f"{state.title} {departure.value}{' while it prepared' if preparing else ''}"
    if departure is Departure.MEMORY:
        said += f" ({gigabytes(state.limit)}): restart it with a larger --memory-limit"
    elif departure is Departure.ABRUPT:
        likely = state.limit and state.memory > LIKELY_SHARE * state.limit
        limit = f" of its limit of {gigabytes(state.limit)}" if state.limit else ""
        cause = ", which is likely the cause" if likely else ""
        said += f"; it took {gigabytes(state.memory)}{limit} of memory{cause}"
    return f"{said}; its task runs again." if had_task else f"{said}."


def classify(events: Iterable[Any], over_limit: bool = False) -> Departure:
    """Return how a worker has left, from its events, oldest first.

    `over_limit`: whether its nanny has ended it for its memory.
    """
    seen: dict[str, Mapping[str, Any]] = {}
    for event in events:
        if not isinstance(event, Mapping):
            continue
        if event.get("action") == "add-worker":
            seen.clear()  # an earlier worker had the same address
        seen[str(event.get("action"))] = event
    removal = seen.get("remove-worker", {})
    if over_limit:
        return Departure.MEMORY
    if removal.get("expected") or {"closing-worker", "retired", GOODBYE} & seen.keys():
        return Departure.POLITE
    if str(removal.get("stimulus_id", "")).startswith("check-worker-ttl"):
        return Departure.SILENT
    return Departure.ABRUPT
