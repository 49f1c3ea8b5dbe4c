"""A part of a store: the crops that one `fit` or `merge` has added, with their own plan and chunks.

A part is named by a digest of its plan. Therefore two runs with equal plans write the same bytes to the same
place, and runs with different plans never touch each other's chunks.
"""

from __future__ import annotations

import contextlib
import functools
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import zarr

from ..images.paths import unsafe_name
from ..planning.fingerprints import plan_fingerprint
from ..planning.plan import Plan, piece_length
from ..planning.settings import StoreSettings
from .attributes import read_attributes, write_attributes
from .chunk_file import encoded, key_of
from .columns import ArrayName
from .crop_results import PENDING
from .description import Extent, check_size, checked_part
from .integrity import DamagedError, StoreError, damaged, own, reading, unseal, writing
from .layout import check_claim, crop_arrays, has_axes, make_array, open_array, plan_arrays
from .location import Location
from .pieces import Pieces, Rows

PART = ("folder", "crops", "images", "chunk", "gaussians", "snapshots")
"""The attributes of a part. Other programs may add others, which are kept."""

_WRITE_ALL = {"array.write_empty_chunks": True}  # otherwise a chunk of zeros would leave no file
PIECES = f"{ArrayName.STATUS}/pieces"
"""Where pieces are: below an array, where no reader of Zarr looks for groups and arrays."""

MOST_PIXELS = 1 << 31
"""Pixels of the longest side of an image."""

PART_NAME = re.compile(r"[0-9a-f]{16}")
_CHUNK_FILE = re.compile(r"[0-9]{1,15}")


class Chunk(NamedTuple):
    """The permanent name of a chunk of a store, or of a piece of one."""

    part: str
    number: int
    """Number of the chunk in its part."""
    first: int | None = None
    """Number, in its part, of the first crop of a piece; None for the whole chunk."""

    def __str__(self) -> str:
        return f"{self.part}/{self.number}" + (f"/{self.first}" if self.first is not None else "")


class Part:
    """One part. Opening it reads one small file; arrays are opened and checked on first use."""

    def __init__(
        self, store: Location, name: str, settings: StoreSettings, about: dict[str, Any] | None = None
    ) -> None:
        """`about` replaces the attributes PART of the file. Raises DamagedError if these have changed."""
        if not isinstance(name, str) or not PART_NAME.fullmatch(name):
            raise damaged(str(store), f"it cannot have a part {name!r}")
        self.place, self.name, self.settings = store / "parts" / name, name, settings
        with reading(str(self.place)):
            about = about or unseal(read_attributes(self.place), PART, str(self.place))
            description = checked_part(about, settings)
            self.folder = description.folder
            """The folder of images as the user named it; None if there were several."""
            self.extent = description.extent
            check_size(self.extent.crops, self.extent.images, lambda: self.plan_bytes)
            self._layouts = plan_arrays(self.extent) | crop_arrays(self.extent)
        self._arrays: dict[ArrayName, zarr.Array[Any]] = {}
        self._pieces = Pieces(self.place / PIECES, crop_arrays(self.extent))
        self._piece = min(self.extent.chunk, piece_length(settings.crop, settings.iterations))
        self._in_pieces = self._piece < self.extent.chunk
        self._seen_fitted: set[tuple[int, int]] = set()
        """Pieces that have been read and are not pending."""
        self._seen_complete: bool | None = None
        """Whether all chunks are; None if nobody has looked yet, or since a chunk was marked as pending."""

    @staticmethod
    def create(store: Location, plan: Plan, chunk: int, gaussians: int) -> Part:
        """Lay out a part for the crops of `plan`, or complete one that a killed run has begun.

        `chunk` is the number of crops per chunk, `gaussians` the capacity of a crop's field. The attributes
        are written last; only then is it a part.
        """
        keeps = plan.settings.keep_fields
        snapshots = len(plan.settings.snapshots or ())
        extent = Extent(plan.crops, len(plan.names), chunk, gaussians if keeps else 0, snapshots)
        name = plan_fingerprint(plan, list(extent.numbers.values()))
        place = store / "parts" / name
        columns = {
            ArrayName.IMAGE_NAME: plan.names,
            ArrayName.IMAGE_SIZE: plan.sizes,
            ArrayName.IMAGE_NBYTES: plan.nbytes,
            ArrayName.IMAGE_PROBLEM: plan.problems,
            ArrayName.CROP_IMAGE: plan.image,
            ArrayName.CROP_POSITION: plan.position,
        }
        with writing(str(store)), zarr.config.set(_WRITE_ALL):
            for array_name, layout in (plan_arrays(extent) | crop_arrays(extent)).items():
                array = make_array(place, array_name, layout)
                if array_name in columns:
                    array[...] = np.array(columns[array_name], dtype=array.dtype)
            write_attributes(place, {"folder": plan.folder, **extent.numbers})
        return Part(store, name, plan.settings)

    @functools.cached_property
    def plan(self) -> Plan:
        """The part's plan.

        Raises DamagedError if it has changed, StoreError if it names a file outside the folder of images or
        has a crop outside its image.
        """
        plan = Plan(
            folder=self.folder,
            settings=self.settings,
            names=[str(name) for name in self.read(ArrayName.IMAGE_NAME)],
            sizes=self.read(ArrayName.IMAGE_SIZE),
            nbytes=self.read(ArrayName.IMAGE_NBYTES),
            problems=[str(problem) for problem in self.read(ArrayName.IMAGE_PROBLEM)],
            image=self.read(ArrayName.CROP_IMAGE),
            position=self.read(ArrayName.CROP_POSITION),
        )
        if plan_fingerprint(plan, list(self.extent.numbers.values())) != self.name:
            raise damaged(str(self.place), "its plan is not the one that it was made for")
        if plan.crops and not 0 <= plan.image.min() <= plan.image.max() < len(plan.names):
            raise StoreError(f"{self.place} has crops of images that it does not list: do not use it.")
        for name in (plan.names[image] for image in np.unique(plan.image)):
            if reason := unsafe_name(name):
                raise StoreError(f"{self.place} names an image {name!r}, which {reason}: do not use it.")
        room = plan.sizes[plan.image] - self.settings.crop
        if (plan.sizes < 0).any() or (plan.sizes > MOST_PIXELS).any():
            raise StoreError(f"{self.place} has images of impossible sizes: do not use it.")
        if (plan.position < 0).any() or (plan.position > room).any():
            raise StoreError(f"{self.place} has crops that lie outside of their images: do not use it.")
        return plan

    @functools.cached_property
    def plan_bytes(self) -> tuple[int, int]:
        """The bytes of the files that have the plan's crops, and of those that have its images."""
        arrays = (ArrayName.CROP_IMAGE, ArrayName.CROP_POSITION)
        return sum((self.place / name / "c").nbytes() for name in arrays), (self.place / "images").nbytes()

    # --- chunks -------------------------------------------------------------------------------------------

    @property
    def chunks(self) -> int:
        """Number of chunks."""
        return -(-self.extent.crops // self.extent.chunk)

    def rows(self, index: int, first: int | None = None) -> slice:
        """Return the crops of a chunk, or of its piece from `first` on, as indices in this part."""
        begin = index * self.extent.chunk
        end = min(begin + self.extent.chunk, self.extent.crops)
        return slice(begin, end) if first is None else slice(first, min(first + self._piece, end))

    def length(self, index: int, first: int | None = None) -> int:
        """Return the number of crops of a chunk or piece."""
        rows = self.rows(index, first)
        return int(rows.stop - rows.start)

    def containing(self, crops: np.ndarray) -> list[Chunk]:
        """Return the chunks, or the pieces of them, that contain the given crops of this part, ascending."""
        chunk = self.extent.chunk
        if not self._in_pieces:
            return [Chunk(self.name, index) for index in np.unique(crops // chunk).tolist()]
        firsts = np.unique(crops - crops % chunk % self._piece)
        return [Chunk(self.name, first // chunk, first) for first in firsts.tolist()]

    def finished(self) -> dict[int, float]:
        """Return the chunks that have a status, ascending, with the time it was written (s since 1970)."""
        with reading(f"{self.place}/{ArrayName.STATUS}"):
            files = (self.place / ArrayName.STATUS / "c").modified()
        written = {int(name): time for name, time in files.items() if _CHUNK_FILE.fullmatch(name)}
        return {index: written[index] for index in sorted(written) if index < self.chunks}

    def unfinished(self) -> np.ndarray:
        """Return whether each crop has neither a status in its chunk nor a piece, [n] bool."""
        pieces = self.pieces()  # first: they are removed after the status is written
        chunks = np.ones(self.chunks, bool)
        chunks[list(self.finished())] = False
        crops = np.repeat(chunks, self.extent.chunk)[: self.extent.crops]
        for piece in pieces:
            crops[self.rows(*piece)] = False
        return crops

    def mark_pending(self, index: int, first: int | None = None) -> None:
        """Mark a chunk or a piece as pending; the other crops of its chunk stay as they are.

        Another run may do the same at once.
        """
        self._seen_complete = None
        status, stay = None, set[int]()
        with writing(str(self.place)):
            if first is not None:
                status = self._finished_status(index)
                if status is None:
                    stay = self._pieces.of_chunk(index) - {first}
                else:
                    stay = set(self._firsts(index)) - {first}
                    self._split(index, stay, status)
            if self._in_pieces:
                self._pieces.remove(index, self._pieces.of_chunk(index) - stay)
            self.place.remove(f"{ArrayName.STATUS}/c/{index}")
            if status is not None:  # until now another run took the pieces for leftovers of a killed one
                self._split(index, stay - self._pieces.of_chunk(index), status)

    # --- pieces -------------------------------------------------------------------------------------------

    def pieces(self) -> list[tuple[int, int]]:
        """Return (chunk, first crop) of the fitted pieces of chunks that are not complete.

        The first call reads the status of each.
        """
        if not self._in_pieces or self._seen_complete:
            return []
        with reading(str(self._pieces.place)):
            listed = self._pieces.listed()
        if not listed and self._seen_complete is None:
            self._seen_complete = len(self.finished()) == self.chunks
        finished = self.finished() if listed else {}  # a killed run may have left the pieces of these
        return [
            (index, first)
            for index, firsts in listed.items()
            if index not in finished
            for first in firsts
            if first in self._firsts(index) and self._is_fitted(index, first)
        ]

    def read_piece(self, index: int, first: int, names: Iterable[ArrayName] | None = None) -> Rows | None:
        """Return the rows of a piece; None if it is not there any more. Raises DamagedError."""
        return self._pieces.read(index, first, self.length(index, first), names)

    def write_piece(self, index: int, first: int, columns: Mapping[ArrayName, Any]) -> None:
        """Write the results of a piece, and its chunk if it was the last one."""
        with writing(str(self.place)):
            self._pieces.write(index, first, columns)
            there = self._pieces.of_chunk(index)
        self._complete(index, there)

    def complete_chunks(self) -> None:
        """Write the chunks of which all pieces are there, and remove the pieces of those that are written."""
        if self._in_pieces:
            with reading(str(self._pieces.place)):
                listed = self._pieces.listed()
            for index, firsts in listed.items():
                self._complete(index, set(firsts))

    def _complete(self, index: int, there: set[int]) -> None:
        if not self._is_finished(index):
            if not there.issuperset(self._firsts(index)):
                return
            pieces = [self.read_piece(index, first) for first in self._firsts(index)]
            rows = [piece for piece in pieces if piece is not None]
            if any((one[ArrayName.STATUS] == PENDING).any() for one in rows):
                return
            if len(rows) == len(pieces):
                names = self._pieces.layouts
                self.write(index, {name: np.concatenate([one[name] for one in rows]) for name in names})
            elif not self._is_finished(index):  # otherwise another process has written it meanwhile
                return
        with writing(str(self.place)):
            self._pieces.remove(index, there)

    def _split(self, index: int, firsts: Iterable[int], status: np.ndarray) -> None:
        """Write pieces of a chunk that was complete, with its status as read while it was."""
        for first in firsts:
            rows = self.rows(index, first)
            begin = first - self.rows(index).start
            columns: dict[ArrayName, np.ndarray] = {
                ArrayName.STATUS: status[begin : begin + self.length(index, first)]
            }
            for name in self._pieces.layouts.keys() - columns.keys():
                columns[name] = self._read(name, rows)
            self._pieces.write(index, first, columns)

    def _finished_status(self, index: int) -> np.ndarray | None:
        """Return the status of a chunk, read once; None if another run has just removed it."""
        status = self.read_chunk(ArrayName.STATUS, index)
        return None if (status == PENDING).any() else status

    def _is_fitted(self, index: int, first: int) -> bool:
        """Whether a piece is there and not pending; a damaged one counts, for `verify` to name it."""
        if (index, first) in self._seen_fitted:
            return True
        try:
            piece = self.read_piece(index, first, [ArrayName.STATUS])
        except DamagedError:
            return True
        if piece is None or (piece[ArrayName.STATUS] == PENDING).any():
            return False
        self._seen_fitted.add((index, first))
        return True

    def _firsts(self, index: int) -> range:
        """Return the first crops of all pieces that a chunk has."""
        rows = self.rows(index)
        return range(rows.start, rows.stop, self._piece)

    def _is_finished(self, index: int) -> bool:
        with reading(f"{self.place}/{ArrayName.STATUS}"):
            try:
                return bool(self.place.read(f"{ArrayName.STATUS}/c/{index}"))
            except FileNotFoundError:
                return False

    # --- arrays -------------------------------------------------------------------------------------------

    def read(self, name: ArrayName, rows: Any = slice(None)) -> np.ndarray:
        """Read rows of an array. Raises DamagedError if they differ from what was written."""
        # The pieces first: they are removed after their chunk is written.
        pieces = list(self._in_read_pieces(name, rows)) if name in self._pieces.layouts else []
        values = self._read(name, rows)
        for places, found in pieces:
            values[places] = found
        return values

    def read_chunk(self, name: ArrayName, index: int) -> np.ndarray:
        """Read the rows of a complete chunk. Raises DamagedError if they differ from what was written."""
        return self._read(name, self.rows(index))

    def _read(self, name: ArrayName, rows: Any) -> np.ndarray:
        array = self._array(name)
        with reading(f"{self.place}/{name}"):
            many = len(range(array.shape[0])[rows]) if isinstance(rows, slice) else np.size(rows)
            check_claim(self._layouts[name], many, (self.place / name).nbytes)
            return np.asarray(array.oindex[rows])

    def _in_read_pieces(self, name: ArrayName, rows: Any) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield what pieces hold of the given rows of an array: places among these, and values."""
        if not (pieces := self.pieces()):
            return
        wanted = np.arange(self.extent.crops)[rows]
        order = np.argsort(wanted, kind="stable")
        for index, first in pieces:
            of_piece = self.rows(index, first)
            begin, end = np.searchsorted(wanted[order], [of_piece.start, of_piece.stop])
            if begin < end and (piece := self.read_piece(index, first, [name])) is not None:
                places = order[begin:end]
                yield places, piece[name][wanted[places] - first]

    def write(self, index: int, columns: Mapping[ArrayName, Any]) -> None:
        """Write a chunk of every array over crops; the status last, which completes the chunk."""
        with writing(str(self.place)):
            for name in crop_arrays(self.extent):
                array = self._array(name)
                rows = np.array(columns[name], dtype=array.dtype)
                self.place.write(f"{name}/{key_of(array, index)}", encoded(array, rows))

    def damaged_descriptions(self) -> list[ArrayName]:
        """Return the arrays whose Zarr metadata are missing or have changed."""
        found = []
        for name, layout in self._layouts.items():
            try:
                with reading(f"{self.place}/{name}"):  # the attributes may be of any type
                    attributes = open_array(self.place, name, layout).attrs.asdict()
            except DamagedError:
                found.append(name)
            else:
                if own(attributes, layout.attributes) != json.loads(json.dumps(layout.attributes)):
                    found.append(name)
        return found

    def without_axes(self) -> list[ArrayName]:
        """Return the arrays whose axes have no names; the metadata must be undamaged."""
        return [name for name in self._layouts if not has_axes(self._array(name), name)]

    def restore_description(self, name: ArrayName) -> None:
        """Rewrite the Zarr metadata of an array; its chunks stay, and attributes of other programs."""
        layout, others = self._layouts[name], {}
        with contextlib.suppress(Exception):
            others = zarr.open_array(self.place.open(), path=name, mode="r", zarr_format=3).attrs.asdict()
        with writing(str(self.place)):
            self.place.remove(f"{name}/zarr.json")
            make_array(self.place, name, layout, others)
        self._arrays.pop(name, None)

    def _array(self, name: ArrayName) -> zarr.Array[Any]:
        if name not in self._arrays:
            self._arrays[name] = open_array(self.place, name, self._layouts[name])
        return self._arrays[name]
