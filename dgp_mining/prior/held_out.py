"""Which crops are held out from a dictionary, to measure its coverage on what it was not made of."""

from __future__ import annotations

import numpy as np

from ..store.store import Store

HOLD_OUT = 10
"""Every tenth fitted crop is held out from the dictionary, to measure its coverage."""

FEWEST_TO_HOLD_OUT = 20
"""With fewer fitted crops, none is held out, and coverage is measured on the crops of the dictionary."""


def split(done: np.ndarray, together: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Split the fitted crops [n] into (held out, used); if there are few, none is held out.

    Crops with equal numbers in `together` [n] stay on one side, and count as one.
    """
    if len(done) < FEWEST_TO_HOLD_OUT:
        return done[:0], done
    _, first, number = np.unique(
        np.arange(len(done)) if together is None else together, return_index=True, return_inverse=True
    )
    rank = np.argsort(np.argsort(first))[number]  # in the order in which they come
    held_out = rank % HOLD_OUT == HOLD_OUT - 1
    return done[held_out], done[~held_out]


def of_one_image(store: Store, crops: np.ndarray) -> np.ndarray:
    """Return numbers [n] of the given crops, equal if they are of two files with the same content.

    Such files have grids of crops at different offsets, so that any two of their crops may overlap. Crops of
    one file do not, and have different numbers. A store has such files if it was merged, or extended, or made
    before copies were noticed.
    """
    numbers = np.arange(len(crops))
    content = [digest.tobytes() for digest in store.at(crops).sha256]
    image = store.plan.image[crops].tolist()
    files: dict[bytes, set[int]] = {}
    for digest, number in zip(content, image, strict=True):
        files.setdefault(digest, set()).add(number)
    first: dict[bytes, int] = {}
    for i, digest in enumerate(content):
        if len(files[digest]) > 1:
            numbers[i] = first.setdefault(digest, i)
    return numbers
