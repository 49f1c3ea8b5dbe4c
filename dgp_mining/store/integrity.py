"""What goes wrong with stores, in sentences; and the digests that tell a damaged description."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterator
from typing import Any

from ..retry import disk_is_full, is_unreachable, reason_of


class StoreError(ValueError):
    """A store that cannot be made, opened or gone on with; the message is one sentence naming it."""


class DamagedError(StoreError):
    """What a store holds is not what was written."""

    reason: str = ""
    """What is wrong with what, without advice."""


class StoreFullError(StoreError):
    """There is no room left where the store lies: what was being written stays pending. The cause is the
    OSError."""


@contextlib.contextmanager
def reading(what: str) -> Iterator[None]:
    """Turn all kinds of things, which Zarr raises on damaged data, into a DamagedError."""
    try:
        yield
    except StoreError:
        raise
    except Exception as error:
        if is_unreachable(error):
            raise StoreError(f"{what} cannot be read ({reason_of(error)}): repeat the command.") from error
        raise damaged(what, reason_of(error)) from error


@contextlib.contextmanager
def writing(where: str) -> Iterator[None]:
    """Turn what goes wrong in writing into a StoreError, a full disk into a StoreFullError."""
    try:
        yield
    except StoreError:
        raise
    except Exception as error:
        if disk_is_full(error):
            raise StoreFullError(
                f"There is no room left for {where}: make some, then repeat the command to go on."
            ) from error
        raise StoreError(f"{where} cannot be written ({reason_of(error)}): name another --store.") from error


def damaged(what: str, reason: str) -> DamagedError:
    """The sentence about something damaged."""
    error = DamagedError(f"{what} is damaged ({reason}): see what 'dgp-mine verify --repair' can do.")
    error.reason = f"{what} is damaged ({reason})."
    return error


def seal(attributes: dict[str, Any]) -> dict[str, Any]:
    """Attributes with a digest over them."""
    return {**attributes, "digest": _digest(attributes)}


def unseal(attributes: dict[str, Any], what: str) -> dict[str, Any]:
    """The attributes that `seal` was given. Raises DamagedError where they are not those."""
    content = {key: value for key, value in attributes.items() if key != "digest"}
    if attributes.get("digest") != _digest(content):
        raise damaged(what, "its digest does not fit its content")
    return content


def _digest(attributes: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(attributes, sort_keys=True).encode()).hexdigest()
