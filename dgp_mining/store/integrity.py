"""The errors of stores, as sentences, and digests that detect damaged attributes."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Collection, Iterator
from typing import Any

from ..retry import disk_is_full, is_unreachable, memory_is_used_up, reason_of


class StoreError(ValueError):
    """A store cannot be created, opened, read, extended or merged; the message is one sentence naming it."""


class DamagedError(StoreError):
    """The content of a store differs from what was written."""

    reason: str = ""
    """One sentence on what is damaged, without advice."""


class StoreFullError(StoreError):
    """The disk of the store is full; the unfinished chunk stays pending. The cause is the OSError."""


NO_FOLDER = "a file, or a link that leads nowhere, is where its folder would be"
"""What the system calls "File exists", which says nothing of what to do."""

_NO_MEMORY = (
    "since the memory does not suffice: end other programs, or raise the limit of this shell, container or "
    "batch job, and repeat the command"
)


@contextlib.contextmanager
def reading(what: str) -> Iterator[None]:
    """Turn errors of reading into a DamagedError, or a StoreError if the data could not be reached."""
    try:
        yield
    except StoreError:
        raise
    except Exception as error:
        if is_unreachable(error):
            raise StoreError(f"{what} cannot be read ({reason_of(error)}): repeat the command.") from error
        if memory_is_used_up(error):  # what is sound must not be called damaged, and then repaired
            raise StoreError(f"{what} cannot be read, {_NO_MEMORY}.") from error
        raise damaged(what, reason_of(error)) from error


@contextlib.contextmanager
def writing(where: str) -> Iterator[None]:
    """Turn errors of writing into a StoreError; for a full disk, a StoreFullError."""
    try:
        yield
    except StoreError:
        raise
    except Exception as error:
        if disk_is_full(error):
            raise StoreFullError(
                f"There is no room left for {where}: make some, then repeat the command to continue."
            ) from error
        if memory_is_used_up(error):
            raise StoreError(f"{where} cannot be written, {_NO_MEMORY}.") from error
        reason = NO_FOLDER if isinstance(error, FileExistsError) else reason_of(error)
        raise StoreError(f"{where} cannot be written ({reason}): name another store=.") from error


def damaged(what: str, reason: str) -> DamagedError:
    """Return the error for damage to `what`; `reason` is a clause without a full stop."""
    error = DamagedError(f"{what} is damaged ({reason}): see what 'dgp-mine verify --repair' can do.")
    error.reason = f"{what} is damaged ({reason})."
    return error


def seal(attributes: dict[str, Any]) -> dict[str, Any]:
    """Return the attributes with a digest added."""
    return {**attributes, "digest": _digest(attributes)}


def unseal(attributes: dict[str, Any], ours: Collection[str], what: str) -> dict[str, Any]:
    """Return the attributes that `seal` was given.

    `ours` are the names that `seal` may have been given. Other attributes, which other programs have added,
    are left out. Raises DamagedError if one of ours has changed, is missing, or was added.
    """
    content = own(attributes, ours)
    if attributes.get("digest") != _digest(content):
        raise damaged(what, "its digest does not fit its content")
    return content


def own(attributes: dict[str, Any], ours: Collection[str]) -> dict[str, Any]:
    """Return the attributes whose names are `ours`."""
    return {key: value for key, value in attributes.items() if key in ours}


def _digest(attributes: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(attributes, sort_keys=True).encode()).hexdigest()
