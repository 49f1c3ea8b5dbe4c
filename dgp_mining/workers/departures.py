"""Why a worker has left, from the events that the scheduler keeps of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import Enum
from typing import TYPE_CHECKING, Any

from .attendance import GOODBYE

if TYPE_CHECKING:
    from distributed import Client

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
