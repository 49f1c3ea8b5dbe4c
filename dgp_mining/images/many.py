"""Doing something with each of many image files, in threads because network shares are slow."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from ..progress import ProgressCallback

READERS = 16
"""Threads that read headers and digests."""

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_threads(
    action: Callable[[Item], Result], items: Iterable[Item], threads: int = READERS
) -> Iterator[Result]:
    """Yield the result of `action` for each item, in order.

    >>> list(in_threads(abs, [-1, 2]))
    [1, 2]
    """
    # Reading silences warnings, but that is not thread-safe: threads restore each other's filters. Here all
    # are silenced, and the filters restored.
    with warnings.catch_warnings(), ThreadPoolExecutor(threads) as pool:
        warnings.simplefilter("ignore")
        yield from pool.map(action, items)


def told(results: Iterator[Result], what: str, total: int, callback: ProgressCallback) -> Iterator[Result]:
    """Yield the results, telling the callback how many there were."""
    for done, result in enumerate(results, 1):
        yield result
        callback.on_progress(what, done, total)
