"""The arrays of a store: their names, shapes, types and encodings.

    zarr.json              attributes: format, settings, versions, parts, digest        written last
    versions/<digest>/     zarr.json: versions, since, digest                           before the first crop
    parts/<id>/            the crops that one `fit` or `merge` has added
        zarr.json          attributes: folder, crops, images, chunk, gaussians, snapshots, digest
        images/            name, size (height, width), nbytes, problem          written with the plan
        crops/             image, position (row, column)                        written with the plan
                           result (RESULT), sha256 (of the image file), error, status
                           content (see fitting/content.py)
                           status/pieces/<chunk>/<crop>    until a chunk is complete (see pieces.py)
        statistics/        count, moment, histogram, sample (see fitting/statistics.py)
        snapshots/         psnr, count, moment, histogram: [n, snapshots, ...]   with snapshots
        fields/            means, cholesky, colors, extent (Gaussians, channels)    with keep_fields

Every chunk carries a checksum; the attributes of a store and of its parts carry a digest (see integrity.py).
Other programs may add attributes and consolidated metadata (see consolidated.py).
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

import numpy as np
import zarr
from zarr.codecs import Crc32cCodec, ZstdCodec
from zarr.errors import ContainsArrayError

from ..fitting import statistics
from ..fitting.content import CONTENT
from ..images.reader import MAX_CHANNELS
from .bounded import FREE, FREE_WIDE, RATIO, ChunkSize
from .columns import RESULT, ArrayName
from .crop_results import PENDING
from .description import Extent
from .integrity import damaged, reading
from .location import Location

FORMAT = "dgp-store/3"

LOST = -1.0
"""Fill value of ArrayName.SAMPLES. l11 is never negative, so -1 marks chunks that were never written; NaN
marks unused sample slots."""

PLAN_CHUNK = 65_536
"""Rows per chunk of the arrays that are written with the plan."""

MOST_TEXT = 1000
"""Bytes that a text has at most on average over a chunk: paths, and reasons in one sentence."""

LONG_TEXTS = 1_000_000
"""Bytes of texts beyond MOST_TEXT in a chunk or piece, which may have few and long ones."""

_NARROW = 64
"""Bytes of the longest row whose arrays are read for all crops at once, also for pending ones."""

_CROP, _LOOK, _WEIGHT = "crop", "snapshot", "weight"

_AXES = {
    ArrayName.IMAGE_NAME: ("image",),
    ArrayName.IMAGE_SIZE: ("image", "size_column"),
    ArrayName.IMAGE_NBYTES: ("image",),
    ArrayName.IMAGE_PROBLEM: ("image",),
    ArrayName.CROP_IMAGE: (_CROP,),
    ArrayName.CROP_POSITION: (_CROP, "position_column"),
    ArrayName.RESULT: (_CROP, "result_column"),
    ArrayName.SHA256: (_CROP, "byte"),
    ArrayName.ERROR: (_CROP,),
    ArrayName.CONTENT: (_CROP, "content_column"),
    ArrayName.COUNTS: (_CROP, "count_column"),
    ArrayName.MOMENTS: (_CROP, _WEIGHT, "moment_column"),
    ArrayName.HISTOGRAMS: (_CROP, _WEIGHT, "entry", "bin"),
    ArrayName.SAMPLES: (_CROP, "slot", "sample_column"),
    ArrayName.SNAPSHOT_PSNR: (_CROP, _LOOK),
    ArrayName.SNAPSHOT_COUNTS: (_CROP, _LOOK, "count_column"),
    ArrayName.SNAPSHOT_MOMENTS: (_CROP, _LOOK, _WEIGHT, "moment_column"),
    ArrayName.SNAPSHOT_HISTOGRAMS: (_CROP, _LOOK, _WEIGHT, "entry", "bin"),
    ArrayName.MEANS: (_CROP, "gaussian", "mean_column"),
    ArrayName.CHOLESKY: (_CROP, "gaussian", "cholesky_column"),
    ArrayName.COLORS: (_CROP, "gaussian", "channel"),
    ArrayName.FIELD_EXTENT: (_CROP, "extent_column"),
    ArrayName.STATUS: (_CROP,),
}
"""The `dimension_names` of each array. In xarray, a name stands for one length in all of a part's groups, and
is not the name of an array beside it."""

_CODECS = ({"bytes", "vlen-utf8"}, {"zstd"}, {"crc32c"})
"""The allowed codecs of an array, in order; others are never run on the content of a store."""


@dataclass(frozen=True)
class ArrayLayout:
    """Shape, type and fill value of one array."""

    shape: tuple[int, ...]
    chunk: int
    """Rows per chunk; a chunk spans the other axes."""
    dtype: str
    """Name of the data type; 'string' for text."""
    fill: Any
    """Value of chunks that were never written. For most arrays, no fit gives it."""
    attributes: dict[str, Any] = field(default_factory=dict)
    free: int = FREE
    """Bytes that reading it may take whatever the size of its files."""

    @property
    def row_bytes(self) -> int:
        """Bytes of a row; of texts, what they may have on average."""
        item = MOST_TEXT if self.dtype == "string" else np.dtype(self.dtype).itemsize
        return math.prod(self.shape[1:]) * item

    @property
    def chunk_size(self) -> ChunkSize:
        """What a chunk unpacks to."""
        if self.dtype == "string":
            return ChunkSize(self.chunk * self.row_bytes + LONG_TEXTS, self.chunk)
        return ChunkSize(self.chunk * self.row_bytes, free=self.free)


def plan_arrays(extent: Extent) -> dict[ArrayName, ArrayLayout]:
    """Return the arrays that are written with the plan."""
    n, images = extent.crops, extent.images
    return {
        ArrayName.IMAGE_NAME: ArrayLayout((images,), PLAN_CHUNK, "string", ""),
        ArrayName.IMAGE_SIZE: ArrayLayout(
            (images, 2), PLAN_CHUNK, "int64", -1, {"columns": ["height", "width"]}
        ),
        ArrayName.IMAGE_NBYTES: ArrayLayout((images,), PLAN_CHUNK, "int64", -1),
        ArrayName.IMAGE_PROBLEM: ArrayLayout((images,), PLAN_CHUNK, "string", ""),
        ArrayName.CROP_IMAGE: ArrayLayout((n,), PLAN_CHUNK, "int64", -1),
        ArrayName.CROP_POSITION: ArrayLayout((n, 2), PLAN_CHUNK, "int64", -1, {"columns": ["row", "column"]}),
    }


def crop_arrays(extent: Extent) -> dict[ArrayName, ArrayLayout]:
    """Return the arrays that are written chunk by chunk as crops are fitted, in the order of writing."""
    weights, bins, entries = list(statistics.WEIGHTS), statistics.BINS, list(statistics.ENTRIES)
    counts, moments, sample = list(statistics.COUNTS), list(statistics.MOMENTS), list(statistics.SAMPLE)
    room = extent.gaussians

    def over_crops(*shape: int, dtype: str, fill: Any, **attributes: Any) -> ArrayLayout:
        return ArrayLayout((extent.crops, *shape), extent.chunk, dtype, fill, attributes)

    of_snapshots = {
        ArrayName.SNAPSHOT_PSNR: over_crops(extent.snapshots, dtype="float64", fill=math.nan),
        ArrayName.SNAPSHOT_COUNTS: over_crops(
            extent.snapshots, len(counts), dtype="int64", fill=-1, columns=counts
        ),
        ArrayName.SNAPSHOT_MOMENTS: over_crops(
            *(extent.snapshots, len(weights), len(moments)),
            dtype="float64",
            fill=math.nan,
            rows=weights,
            columns=moments,
        ),
        ArrayName.SNAPSHOT_HISTOGRAMS: over_crops(
            *(extent.snapshots, len(weights), len(entries), bins),
            dtype="float64",
            fill=-1.0,
            weights=weights,
            rows=entries,
            ranges=list(statistics.RANGES),
        ),
    }
    fields = {
        ArrayName.MEANS: over_crops(room, 2, dtype="float32", fill=math.nan),
        ArrayName.CHOLESKY: over_crops(room, 3, dtype="float32", fill=math.nan),
        ArrayName.COLORS: over_crops(room, MAX_CHANNELS, dtype="float32", fill=math.nan),
        ArrayName.FIELD_EXTENT: over_crops(2, dtype="int64", fill=-1, columns=["gaussians", "channels"]),
    }
    return {
        ArrayName.RESULT: over_crops(len(RESULT), dtype="float64", fill=math.nan, columns=list(RESULT)),
        ArrayName.SHA256: over_crops(32, dtype="uint8", fill=0),
        ArrayName.ERROR: over_crops(dtype="string", fill=""),
        ArrayName.CONTENT: over_crops(len(CONTENT), dtype="float64", fill=math.nan, columns=list(CONTENT)),
        ArrayName.COUNTS: over_crops(len(counts), dtype="int64", fill=-1, columns=counts),
        ArrayName.MOMENTS: over_crops(
            len(weights), len(moments), dtype="float64", fill=math.nan, rows=weights, columns=moments
        ),
        ArrayName.HISTOGRAMS: over_crops(
            *(len(weights), len(entries), bins),
            dtype="float64",
            fill=-1.0,
            weights=weights,
            rows=entries,
            ranges=list(statistics.RANGES),
        ),
        ArrayName.SAMPLES: over_crops(
            statistics.SAMPLE_SIZE, len(sample), dtype="float32", fill=LOST, columns=sample
        ),
        **(_with_room(of_snapshots) if extent.snapshots else {}),
        **(_with_room(fields) if room else {}),
        ArrayName.STATUS: over_crops(dtype="uint8", fill=PENDING, meaning=["pending", "done", "failed"]),
    }


def _with_room(layouts: dict[ArrayName, ArrayLayout]) -> dict[ArrayName, ArrayLayout]:
    return {name: replace(layout, free=FREE_WIDE) for name, layout in layouts.items()}


def make_array(
    place: Location, name: ArrayName, layout: ArrayLayout, others: Mapping[str, Any] = MappingProxyType({})
) -> zarr.Array[Any]:
    """Create an array, or open it if it exists, because another run may be writing it.

    `others` are attributes besides those of the layout.
    """
    with contextlib.suppress(ContainsArrayError):
        zarr.create_array(
            place.open(),
            name=name,
            shape=layout.shape,
            chunks=(layout.chunk, *layout.shape[1:]),
            dtype=layout.dtype,
            fill_value=layout.fill,
            compressors=[ZstdCodec(level=3), Crc32cCodec()],
            attributes={**others, **layout.attributes},
            dimension_names=_AXES[name],
        )
    return open_array(place, name, layout)


def open_array(place: Location, name: ArrayName, layout: ArrayLayout) -> zarr.Array[Any]:
    """Open an array and check its layout. Raises DamagedError if it differs."""
    with reading(f"{place}/{name}"):
        opened = place.open(layout.chunk_size)
        array = zarr.open_array(opened, path=name, mode="r+", zarr_format=3)
        metadata: Any = array.metadata
        codecs = [codec["name"] for codec in metadata.to_dict()["codecs"]]
        differs = [
            what
            for what, found, expected in (
                ("shape", array.shape, layout.shape),
                ("chunks", array.chunks, (layout.chunk, *layout.shape[1:])),
                ("type", metadata.data_type.to_json(zarr_format=3), layout.dtype),
                ("fill value", _comparable(array.fill_value), _comparable(layout.fill)),
            )
            if found != expected
        ]
        if len(codecs) != 3 or any(
            name not in allowed for name, allowed in zip(codecs, _CODECS, strict=True)
        ):
            differs.append("encoding")
    if differs:
        raise damaged(f"{place}/{name}", f"wrong {' and '.join(differs)}")
    return array


def has_axes(array: zarr.Array[Any], name: ArrayName) -> bool:
    """Whether an array names its axes, as arrays made by version 0.1.0 do not."""
    metadata: Any = array.metadata
    return metadata.dimension_names == _AXES[name]


def check_claim(layout: ArrayLayout, rows: int, nbytes: Callable[[], int]) -> None:
    """Raise ValueError if reading so many rows takes far more memory than an array's files have bytes.

    `nbytes` returns the latter. Texts and narrow arrays have as many rows as there are crops or images, which
    are bounded.
    """
    claimed, wide = rows * layout.row_bytes, layout.dtype != "string" and layout.row_bytes > _NARROW
    if wide and claimed > layout.free and claimed > layout.free + RATIO * (found := nbytes()):
        raise ValueError(f"it claims {claimed:,} bytes, and its files have {found:,}")


def _comparable(value: Any) -> Any:
    return None if isinstance(value, float | np.floating) and np.isnan(value) else value
