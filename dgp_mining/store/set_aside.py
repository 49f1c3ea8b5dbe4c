"""Replacing a store: the former one stands aside, and is deleted when the new one has its first results."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from .integrity import StoreError, writing
from .location import Location
from .store import Store

SUFFIX = ".former"
"""Of the folder that a store to be replaced is renamed to. A run that is killed leaves it."""


class Replacement:
    """A store that is about to be replaced: `begin`, then `commit`, or else `put_back`."""

    def __init__(self, path: str | Path) -> None:
        self.place = Location(str(path))
        self.former = Location(str(self.place).rstrip("/") + SUFFIX)
        self.begun = False
        """Whether the former store stands aside."""
        self.was_put_back = False

    def begin(self) -> None:
        """Set the store aside; one on S3, which renames nothing, is deleted.

        Where an earlier run was killed before its first results, the store that this run had set aside stays
        there, and what it had begun is deleted. Raises StoreError if `path` is anything else than a store, or
        is or would be in the way of the former one.
        """
        if self.begun:
            return
        path = str(self.place)
        there = Store.can_delete(path)
        if self.place.remote:
            Store.delete(path)
            return
        if os.path.lexists(str(self.former)):
            if not Store.can_delete(str(self.former)):
                raise StoreError(f"{self.former} is in the way of the store that is replaced: move it.")
            if there and has_results(path):
                Store.delete(str(self.former))
            elif there:
                Store.delete(path)
                there = False
            self.begun = True
        if there:
            with writing(path):
                os.rename(path, str(self.former))
            self.begun = True

    def commit(self) -> None:
        """Delete the former store, since the new one has results."""
        if self.begun:
            self.begun = False
            with writing(str(self.former)):
                self.former.delete()

    def put_back(self) -> None:
        """Delete what has been begun, and give the former store its name again."""
        if self.begun:
            self.begun = False
            with writing(str(self.place)):
                if os.path.lexists(str(self.place)):
                    self.place.delete()
                os.rename(str(self.former), str(self.place))
            self.was_put_back = True


@contextlib.contextmanager
def replacing(path: str | Path) -> Iterator[Replacement]:
    """Yield the Replacement of the store at `path`, which is put back at the end unless it was committed."""
    replacement = Replacement(path)
    try:
        yield replacement
    finally:
        replacement.put_back()


def has_results(path: str | Path) -> bool:
    """Whether a store has any crop that is fitted or has failed; one that cannot be read counts as one."""
    try:
        return not bool(Store.open(path).unfinished().all())
    except StoreError:
        return True


def former_of(path: str | Path) -> str | None:
    """Return the store that a killed run has set aside from `path`, if there is one."""
    former = Replacement(path).former
    return str(former) if not former.remote and os.path.isdir(str(former)) else None
