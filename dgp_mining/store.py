"""The store, `dgp.zarr`: what is planned, what has been fitted, and what was found.

    attributes           format, folder, chunk, fingerprint, settings, versions
    images/              name, size (height, width), nbytes, problem            written with the plan
    crops/               image, position (row, column)                          written with the plan
                         result (RESULT), sha256 (of the image file), error, status
    statistics/          count, moment, histogram, sample (see statistics.py)
    fields/              means, cholesky, colors, extent (Gaussians, channels)  with keep_fields

Arrays over crops share one chunk length. Each chunk has one writer, who writes all of a chunk at once and
its status last: a chunk without status is fitted again, by whoever resumes.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from zarr.codecs import Crc32cCodec, ZstdCodec

from splat2d import GaussianField

from . import statistics
from .images import MAX_CHANNELS
from .plan import Plan, differences
from .statistics import Statistics

FORMAT = "dgp-store/1"
PENDING, DONE, FAILED = 0, 1, 2
RESULT = ("psnr", "off_lattice_psnr", "iterations", "seconds")
_WRITE_ALL = {"array.write_empty_chunks": True}  # a chunk of zeros would leave no trace otherwise


class StoreError(ValueError):
    """A store that cannot be made, opened or gone on with; the message is one sentence naming it."""


@dataclass(frozen=True, eq=False)
class CropResult:
    """What fitting one crop has led to."""

    sha256: bytes
    """Of the image file; empty where it could not be read."""
    error: str = ""
    """Why the crop has failed, one sentence; empty where it has not."""
    result: tuple[float, float, int, float] = (math.nan, math.nan, 0, 0.0)
    """RESULT: PSNR and off-lattice PSNR in dB, iterations, seconds."""
    statistics: Statistics | None = None
    """None where the crop has failed."""
    field: GaussianField | None = None
    """The fitted field, where fields are kept."""


class Store:
    """An open store. Reading needs no lock; see the module on who may write."""

    def __init__(self, path: Path, root: zarr.Group) -> None:
        self.path, self.root = path, root
        self.settings: dict[str, Any] = root.attrs["settings"]
        self.folder: str = root.attrs["folder"]
        self.fingerprint: str = root.attrs["fingerprint"]
        self.chunk: int = root.attrs["chunk"]
        """Crops per chunk."""

    @staticmethod
    def open(path: str | Path) -> Store:
        """Open an existing store. Raises StoreError where it is missing or not one."""
        path = Path(path)
        if not path.exists():
            raise StoreError(
                f"{path} does not exist: make it with 'dgp-mine fit --images DIR --store {path}'."
            )
        if not is_store(path):
            raise StoreError(f"{path} is not a store of dgp-mine ('{FORMAT}'): name one with --store.")
        return Store(path, zarr.open_group(path, mode="r+"))

    @staticmethod
    def create(path: str | Path, plan: Plan, chunk: int, gaussians: int) -> Store:
        """Lay out a store for `plan`, aside first and then renamed, so that no half of one is ever left.

        `gaussians` is the room for the Gaussians of one crop, where fields are kept. Raises StoreError.
        """
        path = Path(path)
        aside = path.with_name(path.name + ".partial")
        try:
            shutil.rmtree(aside, ignore_errors=True)
            aside.parent.mkdir(parents=True, exist_ok=True)
            _lay_out(zarr.open_group(aside, mode="w-"), plan, chunk, gaussians)
            aside.rename(path)
        except OSError as error:
            raise StoreError(f"{path} cannot be written ({error.strerror}): name another --store.") from error
        return Store.open(path)

    @staticmethod
    def delete(path: str | Path) -> None:
        """Delete a store, and only ever a store. Raises StoreError where `path` is something else."""
        path = Path(path)
        if not path.exists():
            return
        if path.is_symlink() or not is_store(path):
            raise StoreError(
                f"{path} is not a store of dgp-mine, so --overwrite leaves it: name another --store."
            )
        try:
            shutil.rmtree(path)
        except OSError as error:
            raise StoreError(f"{path} cannot be deleted ({error.strerror}): name another --store.") from error

    def check(self, plan: Plan) -> None:
        """Raise StoreError, naming what differs, unless the store was made for this very plan."""
        differ = differences(self.settings, plan.settings)
        images = self.images()
        if len(images.name) != len(plan.names):
            differ.append(f"there are {len(images.name)} images there and {len(plan.names)} here")
        elif images.name != plan.names:
            differ.append("the images have other names")
        else:
            same = (images.size == plan.sizes).all(axis=1) & (images.nbytes == plan.nbytes)
            differ += [f"{name} has changed" for name in np.array(plan.names)[~same][:3]]
        if differ:
            raise StoreError(
                f"{self.path} was made otherwise ({'; '.join(differ)}): repeat its settings, "
                "start anew with --overwrite, or name another --store."
            )

    # --- the plan -----------------------------------------------------------------------------------------

    def images(self) -> Images:
        """The images, as planned."""
        return Images(
            name=[str(name) for name in self._read("images/name")],
            size=self._read("images/size"),
            nbytes=self._read("images/nbytes"),
            problem=[str(problem) for problem in self._read("images/problem")],
        )

    def crops(self) -> tuple[np.ndarray, np.ndarray]:
        """The image [n] and the (row, column) [n, 2] of each crop."""
        return self._read("crops/image"), self._read("crops/position")

    # --- results ------------------------------------------------------------------------------------------

    def status(self) -> np.ndarray:
        """[n] uint8: PENDING, DONE or FAILED."""
        return self._read("crops/status")

    def pending_chunks(self) -> list[int]:
        """Chunks that hold a pending crop, ascending."""
        return np.unique(np.flatnonzero(self.status() == PENDING) // self.chunk).tolist()

    def results(self) -> np.ndarray:
        """[n, 4] float64, columns RESULT; NaN where there is none."""
        return self._read("crops/result")

    def errors(self) -> list[tuple[int, str]]:
        """(crop, sentence) of each failed crop."""
        return [(i, str(text)) for i, text in enumerate(self._read("crops/error")) if text]

    def samples(self, crops: np.ndarray) -> np.ndarray:
        """The sampled Gaussians of the given crops, [len(crops), SAMPLE_SIZE, 7] float32."""
        return self._read("statistics/sample", crops)

    def counts(self) -> np.ndarray:
        """[n, 6] int64, columns `statistics.COUNTS`."""
        return self._read("statistics/count")

    def _read(self, name: str, rows: Any = slice(None)) -> np.ndarray:
        try:
            return self.root[name].oindex[rows]
        except (KeyError, ValueError, RuntimeError) as error:  # a checksum or a codec that complains
            raise StoreError(
                f"{self.path / name} is damaged ({error}): restore it, or start anew with --overwrite."
            ) from error

    def write(self, chunk: int, results: Sequence[CropResult]) -> None:
        """Write all results of one chunk, in the order of its crops; the status last."""
        crops = slice(chunk * self.chunk, chunk * self.chunk + len(results))
        blank = _blank_statistics()
        kept = [result.statistics or blank for result in results]
        columns = {
            "crops/result": [result.result for result in results],
            "crops/sha256": [np.frombuffer(result.sha256.ljust(32, b"\0"), np.uint8) for result in results],
            "crops/error": [result.error for result in results],
            "statistics/count": [s.counts for s in kept],
            "statistics/moment": [s.moments for s in kept],
            "statistics/histogram": [s.histograms for s in kept],
            "statistics/sample": [s.sample for s in kept],
        }
        with zarr.config.set(_WRITE_ALL):
            for name, column in columns.items():
                array = self.root[name]
                array[crops] = np.array(column, dtype=array.dtype)
            if "fields" in self.root:
                self._write_fields(crops, results)
            status = [FAILED if result.error else DONE for result in results]
            self.root["crops/status"][crops] = np.array(status, np.uint8)

    def _write_fields(self, crops: slice, results: Sequence[CropResult]) -> None:
        fields = self.root["fields"]
        extent = np.zeros((len(results), 2), np.int64)
        for name in ("means", "cholesky", "colors"):
            block = np.zeros((len(results), *fields[name].shape[1:]), np.float32)
            for i, result in enumerate(results):
                if result.field is not None:
                    rows = getattr(result.field, name)[0].detach().cpu().numpy()
                    block[i, : rows.shape[0], : rows.shape[1]] = rows
                    extent[i] = result.field.colors.shape[1:]
            fields[name][crops] = block
        fields["extent"][crops] = extent


@dataclass(frozen=True, eq=False)
class Images:
    """The images of a store, as planned."""

    name: list[str]
    """Paths in the folder."""
    size: np.ndarray
    """[I, 2] int64 (height, width)."""
    nbytes: np.ndarray
    """[I] int64 file sizes."""
    problem: list[str]
    """Why an image has no crops; empty where it has."""


def is_store(path: Path) -> bool:
    """Whether `path` carries the mark of a store of this format."""
    try:
        return zarr.open_group(path, mode="r").attrs.get("format") == FORMAT
    except Exception:  # zarr raises all kinds of things for what is not a group
        return False


def versions() -> dict[str, str]:
    """The versions of what results depend on."""
    found = {}
    for package in ("dgp-mining", "numpy", "torch"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:  # run from a source tree
            found[package] = "source"
    return found


def _lay_out(root: zarr.Group, plan: Plan, chunk: int, gaussians: int) -> None:
    n = plan.crops
    for name, data in (
        ("images/name", np.array(plan.names, np.dtypes.StringDType())),
        ("images/problem", np.array(plan.problems, np.dtypes.StringDType())),
        ("images/size", plan.sizes),
        ("images/nbytes", plan.nbytes),
        ("crops/image", plan.image),
        ("crops/position", plan.position),
    ):
        root.create_array(name, data=data, compressors=_codecs())

    def over_crops(name: str, shape: tuple[int, ...], dtype: Any, fill: Any, **attributes: Any) -> None:
        root.create_array(
            name,
            shape=(n, *shape),
            chunks=(chunk, *shape),
            dtype=dtype,
            fill_value=fill,
            compressors=_codecs(),
            attributes=attributes,
        )

    bins, entries = statistics.BINS, statistics.ENTRIES
    over_crops("crops/result", (len(RESULT),), "float64", math.nan, columns=RESULT)
    over_crops("crops/sha256", (32,), "uint8", 0)
    over_crops("crops/error", (), str, "")
    over_crops("crops/status", (), "uint8", PENDING, meaning=["pending", "done", "failed"])
    over_crops("statistics/count", (len(statistics.COUNTS),), "int64", 0, columns=statistics.COUNTS)
    over_crops(
        "statistics/moment", (len(statistics.MOMENTS),), "float64", math.nan, columns=statistics.MOMENTS
    )
    over_crops(
        "statistics/histogram", (len(entries), bins), "int64", 0, rows=entries, ranges=statistics.RANGES
    )
    over_crops(
        "statistics/sample",
        (statistics.SAMPLE_SIZE, len(statistics.SAMPLE)),
        "float32",
        math.nan,
        columns=statistics.SAMPLE,
    )
    if plan.settings["keep_fields"]:
        over_crops("fields/means", (gaussians, 2), "float32", 0)
        over_crops("fields/cholesky", (gaussians, 3), "float32", 0)
        over_crops("fields/colors", (gaussians, MAX_CHANNELS), "float32", 0)
        over_crops("fields/extent", (2,), "int64", 0, columns=["gaussians", "channels"])
    root.attrs.update(
        {
            "format": FORMAT,
            "folder": plan.folder,
            "chunk": chunk,
            "fingerprint": plan.fingerprint,
            "settings": plan.settings,
            "versions": versions(),
        }
    )


def _codecs() -> list[Any]:
    return [ZstdCodec(level=3), Crc32cCodec()]


def _blank_statistics() -> Statistics:
    return Statistics(
        counts=np.zeros(len(statistics.COUNTS), np.int64),
        moments=np.full(len(statistics.MOMENTS), math.nan),
        histograms=np.zeros((len(statistics.ENTRIES), statistics.BINS), np.int64),
        sample=np.full((statistics.SAMPLE_SIZE, len(statistics.SAMPLE)), math.nan, np.float32),
    )
