"""What goes wrong with stores, in sentences; and the digests that tell a damaged description."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
from collections.abc import Iterator
from typing import Any

from ..retry import _out_of_reach, _reason

_FULL = {errno.ENOSPC, errno.EDQUOT}


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
        if _out_of_reach(error):
            raise StoreError(f"{what} cannot be read ({_reason(error)}): repeat the command.") from error
        raise damaged(what, _reason(error)) from error


@contextlib.contextmanager
def writing(where: str) -> Iterator[None]:
    """Turn what goes wrong in writing into a StoreError, a full disk into a StoreFullError."""
    try:
        yield
    except StoreError:
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno in _FULL:
            raise StoreFullError(
                f"There is no room left for {where}: make some, then repeat the command to go on."
            ) from error
        raise StoreError(f"{where} cannot be written ({_reason(error)}): name another --store.") from error


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
