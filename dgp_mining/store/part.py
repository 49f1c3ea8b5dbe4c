"""A part of a store: the crops that one `fit` or `merge` has added, with their own plan and chunks.

A part is named by a digest of its plan. Therefore two runs with equal plans write the same bytes to the same
place, and runs with different plans never touch each other's chunks.
"""

from __future__ import annotations

import contextlib
import functools
import json
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import zarr

from ..images.paths import unsafe_name
from ..planning.fingerprints import plan_fingerprint
from ..planning.plan import Plan
from ..planning.settings import StoreSettings
from .attributes import read_attributes, write_attributes
from .columns import ArrayName
from .integrity import DamagedError, StoreError, damaged, own, reading, unseal, writing
from .layout import Extent, crop_arrays, has_axes, make_array, open_array, plan_arrays
from .location import Location

PART = ("folder", "crops", "images", "chunk", "gaussians", "snapshots")
"""The attributes of a part. Other programs may add others, which are kept."""

_WRITE_ALL = {"array.write_empty_chunks": True}  # otherwise a chunk of zeros would leave no file
PART_NAME = re.compile(r"[0-9a-f]{16}")
_CHUNK_FILE = re.compile(r"[0-9]{1,15}")


class Chunk(NamedTuple):
    """The permanent name of a chunk of a store: its part and its number in that part."""

    part: str
    number: int

    def __str__(self) -> str:
        return f"{self.part}/{self.number}"


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
            self.folder: str | None = about["folder"]
            """The folder of images as the user named it; None if there were several."""
            self.extent = Extent(
                crops=int(about["crops"]),
                images=int(about["images"]),
                chunk=int(about["chunk"]),
                gaussians=int(about["gaussians"]),
                snapshots=int(about.get("snapshots", 0)),
            )
            self._layouts = plan_arrays(self.extent) | crop_arrays(self.extent)
        self._arrays: dict[ArrayName, zarr.Array[Any]] = {}

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
        ends = plan.position + self.settings.crop
        if (plan.position < 0).any() or (ends > plan.sizes[plan.image]).any():
            raise StoreError(f"{self.place} has crops that lie outside of their images: do not use it.")
        return plan

    # --- chunks -------------------------------------------------------------------------------------------

    @property
    def chunks(self) -> int:
        """Number of chunks."""
        return -(-self.extent.crops // self.extent.chunk)

    def rows(self, index: int) -> slice:
        """Return the crops of a chunk, as indices in this part."""
        first = index * self.extent.chunk
        return slice(first, min(first + self.extent.chunk, self.extent.crops))

    def length(self, index: int) -> int:
        """Return the number of crops of a chunk."""
        rows = self.rows(index)
        return int(rows.stop - rows.start)

    def finished(self) -> dict[int, float]:
        """Return the chunks that have a status, ascending, with the time it was written (s since 1970)."""
        with reading(f"{self.place}/{ArrayName.STATUS}"):
            files = (self.place / ArrayName.STATUS / "c").modified()
        written = {int(name): time for name, time in files.items() if _CHUNK_FILE.fullmatch(name)}
        return {index: written[index] for index in sorted(written) if index < self.chunks}

    def unfinished(self) -> np.ndarray:
        """Return whether each crop's chunk lacks a status, [n] bool."""
        chunks = np.ones(self.chunks, bool)
        chunks[list(self.finished())] = False
        return np.repeat(chunks, self.extent.chunk)[: self.extent.crops]

    def mark_pending(self, index: int) -> None:
        """Mark a chunk as pending by removing its status."""
        with writing(str(self.place)):
            self.place.remove(f"{ArrayName.STATUS}/c/{index}")

    # --- arrays -------------------------------------------------------------------------------------------

    def read(self, name: ArrayName, rows: Any = slice(None)) -> np.ndarray:
        """Read rows of an array. Raises DamagedError if they differ from what was written."""
        array = self._array(name)
        with reading(f"{self.place}/{name}"):
            return np.asarray(array.oindex[rows])

    def write(self, index: int, columns: Mapping[ArrayName, Any]) -> None:
        """Write a chunk of every array over crops; the status last, which completes the chunk."""
        with writing(str(self.place)), zarr.config.set(_WRITE_ALL):
            for name in crop_arrays(self.extent):
                array = self._array(name)
                array[self.rows(index)] = np.array(columns[name], dtype=array.dtype)

    def damaged_descriptions(self) -> list[ArrayName]:
        """Return the arrays whose Zarr metadata are missing or have changed."""
        found = []
        for name, layout in self._layouts.items():
            try:
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
