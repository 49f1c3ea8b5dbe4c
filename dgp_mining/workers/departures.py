"""Why a worker has left, from the events that the scheduler keeps of it."""

from __future__ import annotations

import math
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
    logged = list(client.get_events(address) or ())
    events = last_that_left(logged)
    joined = [when for when, event in logged if _action(event) == "add-worker"]
    since = next((when for when, event in events if _action(event) == "add-worker"), -math.inf)
    until = next((when for when in joined if when > since), math.inf)
    over_limit = any(
        since <= when < until and isinstance(event, Mapping) and event.get("worker") == address
        for when, event in client.get_events(MEMORY_TOPIC) or ()
    )
    return classify([event for _, event in events], over_limit)


def last_that_left(events: Iterable[tuple[float, Any]]) -> list[tuple[float, Any]]:
    """Return the events of the last worker that has left an address; all have times, oldest first.

    Others may have had the same address before it, and one may have it now.
    """
    life: list[tuple[float, Any]] = []
    left: list[tuple[float, Any]] = []
    for when, event in events:
        if _action(event) == "add-worker":
            life = []
        life.append((when, event))
        if _action(event) == "remove-worker":
            left = life
    return left or life


def _action(event: Any) -> str:
    return str(event.get("action")) if isinstance(event, Mapping) else ""


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
