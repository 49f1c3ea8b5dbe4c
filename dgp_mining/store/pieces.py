"""Pieces: results of a few crops, kept until all crops of their chunk are fitted.

A chunk of a dozen crops that take minutes each would be the work of hours, and lost with its worker. Each
piece of it is therefore written on its own, as one file, and the worker that finds all of a chunk's there
writes the chunk and removes them. Two workers may do so at once: they write the same bytes.
"""

from __future__ import annotations

import io
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from .columns import ArrayName
from .integrity import damaged, reading
from .layout import ArrayLayout
from .location import Location

Rows = Mapping[ArrayName, np.ndarray]
"""The same rows of several arrays over crops."""


class Pieces:
    """The pieces of a part: files `place/<chunk>/<first crop>`, in NumPy's format npz."""

    def __init__(self, place: Location, layouts: Mapping[ArrayName, ArrayLayout]) -> None:
        self.place, self.layouts = place, layouts

    def listed(self) -> dict[int, list[int]]:
        """Return the first crops of all pieces, ascending, by chunk."""
        found: dict[int, list[int]] = defaultdict(list)
        for chunk, _, first in (name.partition("/") for name in self.place.files()):
            if chunk.isdecimal() and first.isdecimal():
                found[int(chunk)].append(int(first))
        return {chunk: sorted(found[chunk]) for chunk in sorted(found)}

    def of_chunk(self, chunk: int) -> set[int]:
        """Return the first crops of the pieces of a chunk."""
        return {int(name) for name in (self.place / str(chunk)).modified() if name.isdecimal()}

    def write(self, chunk: int, first: int, columns: Mapping[ArrayName, Any]) -> None:
        """Write a piece, in place of an older one. Raises what the operating system or S3 raises."""
        content = io.BytesIO()
        arrays: dict[str, Any] = {
            name: _typed(columns[name], layout) for name, layout in self.layouts.items()
        }
        np.savez_compressed(content, **arrays)
        self.place.write(f"{chunk}/{first}", content.getvalue())

    def read(
        self, chunk: int, first: int, length: int, names: Iterable[ArrayName] | None = None
    ) -> Rows | None:
        """Return `length` rows of the given arrays, or of all; None if there is no piece (any more).

        Raises DamagedError.
        """
        what = f"{self.place}/{chunk}/{first}"
        with reading(what):
            try:
                content = self.place.read(f"{chunk}/{first}")
            except FileNotFoundError:
                return None
            with np.load(io.BytesIO(content), allow_pickle=False) as piece:  # which compares checksums
                found = {name: piece[name] for name in names or self.layouts}
        for name, values in found.items():
            layout = self.layouts[name]
            if values.shape != (length, *layout.shape[1:]) or values.dtype.kind != _dtype(layout).kind:
                raise damaged(what, f"wrong shape or type of {name}")
        return found

    def remove(self, chunk: int, firsts: Iterable[int]) -> None:
        """Remove pieces, if they exist."""
        for first in firsts:
            self.place.remove(f"{chunk}/{first}")
        self.place.remove_folder(str(chunk))


def _typed(values: Any, layout: ArrayLayout) -> np.ndarray:
    if layout.dtype == "string":
        values = [str(value) for value in values]  # NumPy does not convert its own StringDType
    return np.array(values, _dtype(layout))


def _dtype(layout: ArrayLayout) -> np.dtype[Any]:
    return np.dtype(str if layout.dtype == "string" else layout.dtype)
