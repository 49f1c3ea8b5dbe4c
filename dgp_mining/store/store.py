"""The store, `dgp.zarr`: the plan, the results of every crop, and their statistics (see layout.py).

A store consists of parts, each with its own plan; `fit` adds a part if there is more to fit than before. Each
chunk of a part is written in one go, its status last: a chunk without status is pending and will be fitted.

Concurrent runs on one store are safe without a lock: they may duplicate work, but write identical bytes
atomically; only the recorded timings differ. If another run recreates the store, this one stops with an
error.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from splat2d import GaussianField

from ..planning.fingerprints import settings_fingerprint
from ..planning.plan import Plan
from ..planning.plan_sets import describe_images, missing_crops, sorted_crops, union
from ..planning.settings import SettingsKeysError, StoreSettings, differences
from .columns import ArrayName, CropColumns, StatisticsColumns
from .crop_results import DONE, FAILED, PENDING, CropResult, columns
from .description import check_size, checked_root
from .integrity import DamagedError, StoreError, damaged, reading, unseal, writing
from .layout import FORMAT, LOST
from .location import Location
from .part import Chunk, Part
from .root import ROOT, check_room, is_a_format, is_vacant, read_root, write_root
from .versions import Writer, record_this_writer, versions, writers

__all__ = ["DONE", "FAILED", "PENDING", "Chunk", "CropResult", "Store", "StoreError"]


class Store:
    """An open store. Crops are numbered across all parts, in the order in which they were planned.

    >>> import tempfile
    >>> from PIL import Image
    >>> from dgp_mining import Settings, mine
    >>> folder = tempfile.TemporaryDirectory()
    >>> Image.effect_noise((32, 32), 50).convert("RGB").save(f"{folder.name}/noise.png")
    >>> settings = Settings(crop=16, max_crops=2, iterations=4)
    >>> store = mine(folder.name, f"{folder.name}/a.zarr", settings, scheduler="sync")
    >>> store = Store.open(f"{folder.name}/a.zarr")
    >>> store.settings.crop, store.status.tolist()
    (16, [1, 1])
    >>> store.psnr.shape, store.statistics.counts.shape, store.at(np.array([1])).content.shape
    ((2,), (2, 6), (1, 6))
    """

    def __init__(self, place: Location, settings: StoreSettings, attributes: dict[str, Any]) -> None:
        self.place = place
        self.path = str(place)
        """The store as the user named it."""
        self.settings = settings
        self._attributes = attributes
        self._parts: dict[str, Part] = {}
        self._checked = False
        """Whether the parts are known not to claim too much together."""

    @staticmethod
    def open(path: str | Path) -> Store:
        """Open an existing store. Raises StoreError if it is missing, damaged or not a store."""
        place = Location(str(path))
        attributes = read_root(place)
        if attributes is None:
            raise StoreError(
                f"{place} does not exist: make it with 'dgp-mine fit --images DIR --store {place}'."
            )
        if (found := attributes.get("format")) != FORMAT:
            if not is_a_format(found):
                raise StoreError(f"{place} is not a store of dgp-mine: name one with store=.")
            raise StoreError(
                f"{place} was made by another version of dgp-mine ('{found}', this one makes "
                f"'{FORMAT}'): use that version, start over with overwrite=True, or name another store=."
            )
        try:
            with reading(f"{place}/zarr.json"):
                content = unseal(attributes, ROOT, f"{place}/zarr.json")
                checked_root(content)
                return Store(place, StoreSettings.from_json(content["settings"]), content)
        except DamagedError as error:
            if not isinstance(error.__cause__, SettingsKeysError):
                raise
            raise StoreError(
                f"{place} was made by another version of dgp-mine (its list of settings {error.__cause__}): "
                "use that version, start over with overwrite=True, or name another store=."
            ) from None

    @staticmethod
    def create(path: str | Path, plan: Plan, chunk: int, gaussians: int) -> Store:
        """Lay out a store for `plan`, in chunks of `chunk` crops.

        `gaussians` is the capacity of a crop's field, if fields are kept. The attributes are written last, so
        that an incomplete store is never opened. Raises StoreError if `path` has other content or cannot be
        written.
        """
        place = Location(str(path))
        with writing(str(place)):
            if not is_vacant(place.modified()):
                raise StoreError(f"{place} exists, and is not a store of dgp-mine: name another store=.")
        about = {
            "format": FORMAT,
            "settings": plan.settings.to_json(),
            "versions": versions(),
            "parts": [],
        }
        return Store(place, plan.settings, about).add(plan, chunk, gaussians)

    @staticmethod
    def exists(path: str | Path) -> bool:
        """Whether `path` has a store or other files, so that `create` is not possible there."""
        return read_root(Location(str(path))) is not None

    @staticmethod
    def can_delete(path: str | Path) -> bool:
        """Whether there is a store to be deleted. Raises StoreError if there is anything else."""
        place = Location(str(path))
        attributes = read_root(place)
        if attributes is None:
            return False
        if not is_a_format(attributes.get("format")) or (not place.remote and Path(path).is_symlink()):
            raise StoreError(
                f"{place} is not a store of dgp-mine, so overwrite=True leaves it: name another store=."
            )
        return True

    @staticmethod
    def delete(path: str | Path) -> None:
        """Delete a store, and nothing else: raises StoreError if `path` is not a store."""
        if Store.can_delete(path):
            with writing(str(path)):
                Location(str(path)).delete()

    @property
    def address(self) -> str:
        """Absolute path or URL of the store."""
        return str(self.place.absolute())

    @property
    def fingerprint(self) -> str:
        """Digest of the settings; stores with equal fingerprints can be merged."""
        return settings_fingerprint(self.settings)

    @property
    def folder(self) -> str | None:
        """The folder of images as the user named it; None if there are several."""
        folders = {part.folder for part in self.parts}
        return folders.pop() if len(folders) == 1 else None

    @property
    def writers(self) -> list[Writer]:
        """The software that wrote crops, the earliest first."""
        return writers(self.place, self._attributes.get("versions", {}))

    def record_writer(self) -> None:
        """List the software of this process among `writers`, before it writes crops."""
        created = self._attributes.get("versions", {})
        record_this_writer(self.place, created, begun=lambda: not self.unfinished().all())

    # --- the plan -----------------------------------------------------------------------------------------

    @property
    def parts(self) -> list[Part]:
        """The parts, in the order in which they were added."""
        parts = [self.part(name) for name in self._attributes["parts"]]
        if len(parts) > 1 and not self._checked:
            crops, images = (
                sum(getattr(part.extent, name) for part in parts) for name in ("crops", "images")
            )
            with reading(self.path):
                check_size(crops, images, lambda: _added(part.plan_bytes for part in parts))
            self._checked = True
        return parts

    def part(self, name: str) -> Part:
        """Return the part of this name. Raises StoreError if the store has no such part."""
        if name not in self._attributes["parts"]:
            raise StoreError(f"{self.path} was recreated or extended by another run: repeat the command.")
        if name not in self._parts:
            self._parts[name] = Part(self.place, name, self.settings)
        return self._parts[name]

    @functools.cached_property
    def plan(self) -> Plan:
        """The plans of all parts as one. Raises StoreError if they are damaged."""
        return union([part.plan for part in self.parts], self.settings, self.folder)

    def __len__(self) -> int:
        """Number of crops, n."""
        return sum(part.extent.crops for part in self.parts)

    def order(self) -> np.ndarray:
        """Return the indices [n] that sort the crops by image name, row and column.

        Dictionaries are made in this order, which does not depend on when or where a crop was mined.
        """
        return sorted_crops(self.plan)

    def check(self, plan: Plan) -> None:
        """Raise StoreError, naming the differences, if the store cannot be extended by `plan`.

        It cannot if settings differ, images have changed, or images with pending crops are missing.
        """
        differ = differences(self.settings, plan.settings)
        most = plan.settings.max_crops
        if most is not None and most < len(self):
            differ.append(f"it has {len(self)} crops, more than max_crops={most}")
        here = describe_images(plan)
        changed = [
            name
            for name, described in describe_images(self.plan, np.unique(self.plan.image)).items()
            if here.get(name, described) != described
        ]
        differ += [f"{name} has changed, and must get a new name" for name in changed[:3]]
        if not differ:
            pending = np.unique(self.plan.image[self.unfinished()])
            missing = describe_images(self.plan, pending).keys() - here.keys()
            differ += [
                f"{name} is still to be fitted, and is not in {plan.folder}" for name in sorted(missing)[:3]
            ]
        if differ:
            raise StoreError(
                f"{self.path} does not match this run ({'; '.join(differ)}): repeat its settings, "
                "start over with overwrite=True, or name another store=."
            )

    def missing_crops(self, plan: Plan) -> Plan:
        """Return the crops of `plan` that the store lacks; see `plan_sets.missing_crops`."""
        return missing_crops(plan, self.plan)

    def add(self, plan: Plan, chunk: int, gaussians: int) -> Store:
        """Return the store with one more part: all crops of `plan`, none of which it may already have.

        `chunk` and `gaussians` are those of `create`. Raises StoreError if it cannot be written.
        """
        check_room(self.place, self._attributes)
        part = Part.create(self.place, plan, chunk, gaussians)
        before = [name for name in self._attributes["parts"] if name != part.name]
        settings = replace(self.settings, max_crops=plan.settings.max_crops)
        about = self._attributes | {"parts": [*before, part.name], "settings": settings.to_json()}
        with writing(self.path):
            write_root(self.place, about)
        return Store(self.place, settings, about)

    def remove_stale_files(self) -> None:
        """Delete the temporary files of killed writers."""
        with writing(self.path):
            self.place.remove_stale_files()

    # --- chunks -------------------------------------------------------------------------------------------

    def pending_chunks(self) -> list[Chunk]:
        """Return the chunks, or pieces of chunks, that are still to be fitted."""
        return [chunk for part in self.parts for chunk in part.containing(np.flatnonzero(part.unfinished()))]

    def failed_chunks(self) -> list[Chunk]:
        """Return the chunks, or pieces of chunks, that have failed crops."""
        return [
            chunk
            for part in self.parts
            for chunk in part.containing(np.flatnonzero(part.read(ArrayName.STATUS) == FAILED))
        ]

    def complete_chunks(self) -> None:
        """Write the chunks that have all their pieces, which a killed worker did not."""
        for part in self.parts:
            part.complete_chunks()

    def chunk_crops(self, chunk: Chunk) -> list[tuple[str, int, int]]:
        """Return the crops of a chunk or piece: name of the image in the folder, row and column."""
        part = self.part(chunk.part)
        rows, plan = part.rows(chunk.number, chunk.first), part.plan
        names = [plan.names[image] for image in plan.image[rows]]
        return [(name, *at) for name, at in zip(names, plan.position[rows].tolist(), strict=True)]

    def write(self, chunk: Chunk, results: Sequence[CropResult]) -> None:
        """Write all results of one chunk, in the order of its crops; the status last.

        Those of a piece are kept apart until the other pieces of its chunk are there.

        Raises StoreFullError if the disk is full, StoreError for other failures; the chunk stays pending.
        """
        part = self.part(chunk.part)
        found = columns(results, part.extent.gaussians, part.extent.snapshots)
        if chunk.first is None:
            part.write(chunk.number, found)
        else:
            part.write_piece(chunk.number, chunk.first, found)

    def mark_pending(self, chunk: Chunk) -> None:
        """Mark a chunk or piece as pending, so that the next run fits it again."""
        self.part(chunk.part).mark_pending(chunk.number, chunk.first)

    # --- results ------------------------------------------------------------------------------------------

    def unfinished(self) -> np.ndarray:
        """Return whether each crop is still to be fitted, [n] bool. Fast: reads no complete chunk."""
        return np.concatenate([part.unfinished() for part in self.parts])

    @property
    def status(self) -> np.ndarray:
        """[n] uint8: PENDING, DONE or FAILED. Read again at each access, like all that follow."""
        return self.read(ArrayName.STATUS)

    @property
    def psnr(self) -> np.ndarray:
        """[n] float64, PSNR on the fitted pixels, dB; NaN for pending and failed crops."""
        return self.at().psnr

    @property
    def held_out_psnr(self) -> np.ndarray:
        """[n] float64, held-out-pixel PSNR, dB; NaN for pending, failed and unmeasured crops."""
        return self.at().held_out_psnr

    @property
    def iterations(self) -> np.ndarray:
        """[n] float64, optimiser steps done; NaN for pending crops, 0 for failed ones."""
        return self.at().iterations

    @property
    def seconds(self) -> np.ndarray:
        """[n] float64, fitting time, s; NaN for pending crops, 0 for failed ones."""
        return self.at().seconds

    @property
    def statistics(self) -> StatisticsColumns:
        """The statistics of all crops; read large stores in blocks, with `at`."""
        return self.at().statistics

    @property
    def errors(self) -> list[tuple[int, str]]:
        """(crop, sentence) of each failed crop."""
        failed = np.flatnonzero(self.status == FAILED)
        return [(int(i), str(text)) for i, text in zip(failed, self.at(failed).error, strict=True)]

    def at(self, crops: np.ndarray | None = None) -> CropColumns:
        """Return the arrays over the given crops, in their order, or over all; each is read on first use."""
        return CropColumns(lambda name: self.read(name, crops))

    def samples(self, crops: np.ndarray) -> np.ndarray:
        """Return the sampled Gaussians of the given fitted crops, [len(crops), SAMPLE_SIZE, 7] float32.

        Raises DamagedError if some are missing.
        """
        sampled = self.read(ArrayName.SAMPLES, crops)
        if (sampled[:, 0, 0] == LOST).any():
            raise damaged(f"{self.path}: statistics/sample", "some of it is missing")
        return sampled

    def field(self, crop: int) -> GaussianField | None:
        """Return the fitted field of a crop, in pixels of the crop; None if it failed or was not kept."""
        if not self.settings.keep_fields:
            return None
        fields = self.at(np.array([crop])).fields
        gaussians, channels = fields.extent[0].tolist()
        if gaussians <= 0:
            return None
        means, cholesky, colors = (
            torch.from_numpy(values[:, :gaussians])
            for values in (fields.means, fields.cholesky, fields.colors)
        )
        side = self.settings.crop
        return GaussianField(means, cholesky, colors[..., :channels].contiguous(), size=(side, side))

    def read(self, name: ArrayName, crops: np.ndarray | None = None) -> np.ndarray:
        """Read an array over crops, for all crops or the given ones in their order. Raises DamagedError."""
        if crops is None:
            return np.concatenate([part.read(name) for part in self.parts])
        blocks, places, first = [], [], 0
        for part in self.parts:
            inside = np.flatnonzero((crops >= first) & (crops < first + part.extent.crops))
            if len(inside):
                blocks.append(part.read(name, crops[inside] - first))
                places.append(inside)
            first += part.extent.crops
        if not blocks:
            return self.parts[0].read(name, slice(0, 0))
        return np.concatenate(blocks)[np.argsort(np.concatenate(places))]


def _added(pairs: Iterable[tuple[int, int]]) -> tuple[int, int]:
    first, second = zip(*pairs, strict=True)
    return sum(first), sum(second)
