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

from ..array_file import Form, read_npz
from .columns import ArrayName
from .integrity import reading
from .layout import LONG_TEXTS, ArrayLayout, check_claim
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
        wanted = list(names or self.layouts)
        forms: dict[str, Form] = {name: _form(self.layouts[name], length) for name in wanted}
        with reading(what):
            try:
                most = sum(2 * _form(layout, length).most + 1000 for layout in self.layouts.values())
                content = self.place.read(f"{chunk}/{first}", most)
            except FileNotFoundError:
                return None
            for name in wanted:
                check_claim(self.layouts[name], length, lambda: len(content))
            found = read_npz(content, forms)  # which compares checksums
        return {name: found[name] for name in wanted}

    def remove(self, chunk: int, firsts: Iterable[int]) -> None:
        """Remove pieces, if they exist."""
        for first in firsts:
            self.place.remove(f"{chunk}/{first}")
        self.place.remove_folder(str(chunk))


def _form(layout: ArrayLayout, length: int) -> Form:
    most = length * layout.row_bytes
    if layout.dtype == "string":  # of which each takes four bytes a character, and all as many as the longest
        most = 4 * (most + LONG_TEXTS)
    return Form(_dtype(layout).kind, (length, *layout.shape[1:]), most)


def _typed(values: Any, layout: ArrayLayout) -> np.ndarray:
    if layout.dtype == "string":
        values = [str(value) for value in values]  # NumPy does not convert its own StringDType
    return np.array(values, _dtype(layout))


def _dtype(layout: ArrayLayout) -> np.dtype[Any]:
    return np.dtype(str if layout.dtype == "string" else layout.dtype)
