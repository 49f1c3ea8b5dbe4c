"""OME-Zarr (OME-NGFF 0.1 to 0.5; Zarr formats 2 and 3), read with zarr: a plane of the largest resolution."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from ..image_file import ImageFile, Levels, Model, Samples, full_range
from ..limits import ImageError, check_size
from ..reading import Reading
from .measured import OWN_RANGE, finite, range_levels, slice_number
from .pillow_file import frame_note
from .zarr_attributes import ome_attributes, zarr_attributes

_OLD_AXES = ("t", "c", "z", "y", "x")
"""Axes of 0.1 and 0.2, which do not name them."""

_RGB = ["FF0000", "00FF00", "0000FF"]
"""Colours of the channels of a photograph."""

_MAX_CHUNK = 1 << 32
"""Upper limit of the bytes of a chunk, which is decompressed as a whole."""


@dataclass(frozen=True)
class _Plane:
    """What is read of an array."""

    array: Any
    """Of zarr."""
    index: dict[str, int]
    """The element that is taken of each axis that is neither rows, columns nor channels."""
    rows: str
    """Name of the axis that is shown as rows."""
    columns: str
    """As `rows`."""
    axes: tuple[str, ...]
    """Names of the array's axes."""
    notes: tuple[str, ...]

    def extent(self, axis: str) -> int:
        """Number of elements along an axis; 1 if there is no such axis."""
        return int(self.array.shape[self.axes.index(axis)]) if axis in self.axes else 1

    def read(self) -> np.ndarray:  # [H, W, C]
        """Read the chunks that the plane meets."""
        pixels = np.asarray(self.array[tuple(self.index.get(axis, slice(None)) for axis in self.axes)])
        kept = [axis for axis in self.axes if axis not in self.index]
        if "c" not in kept:
            pixels, kept = pixels[..., None], [*kept, "c"]
        return pixels.transpose([kept.index(axis) for axis in (self.rows, self.columns, "c")])


def open_file(path: Path, reading: Reading) -> ImageFile:
    """Describe an OME-Zarr image. Raises ImageError and zarr's errors."""
    folder, metadata, notes = _image_of(path)
    plane = _plane(path, folder, metadata, reading)
    height, width, channels = plane.extent(plane.rows), plane.extent(plane.columns), plane.extent("c")
    check_size(path, height, width)
    dtype = plane.array.dtype
    if dtype.kind not in "uif":
        raise ImageError(f"{path} holds numbers of the type {dtype}, which are not read: convert them.")
    rgb = channels == 3 and dtype == np.uint8 and _colours(metadata) == _RGB
    return ImageFile(
        path=path,
        format="OME-Zarr",
        height=height,
        width=width,
        model=Model.RGB if rgb else Model.GREY if channels == 1 else Model.CHANNELS,
        channels=channels,
        bits=dtype.itemsize * 8,
        floating=dtype.kind == "f",
        measured=not rgb,
        levels=_levels(metadata, dtype, channels, rgb),
        levels_by_pixels="" if _levels(metadata, dtype, channels, rgb) else OWN_RANGE,
        notes=(*notes, *plane.notes),
        decode=lambda: _decode(plane, metadata, reading, rgb),
        valid=(lambda: _valid(plane)) if dtype.kind == "f" else None,
    )


def _image_of(path: Path) -> tuple[Path, dict[str, Any], tuple[str, ...]]:
    """The group that holds the image: the path, or the first of a collection. Raises ImageError."""
    metadata = ome_attributes(zarr_attributes(path))
    if "plate" in metadata or "well" in metadata:
        raise ImageError(f"{path} is a plate of many images: copy the fields that are wanted out of it.")
    if metadata.get("multiscales"):
        return path, metadata, ()
    series = metadata.get("series") or ome_attributes(zarr_attributes(path / "OME")).get("series")
    names = series or sorted((p.name for p in path.iterdir() if p.name.isdecimal()), key=int)
    if not names:
        raise ImageError(f"{path} is OME-Zarr without an image: replace or remove it.")
    first = _inside(path, names[0])
    inner = ome_attributes(zarr_attributes(first))
    if not inner.get("multiscales"):
        raise ImageError(f"{path} is OME-Zarr whose first image is missing: replace or remove it.")
    return first, inner, frame_note(0, len(names), "images")


def _inside(path: Path, name: object) -> Path:
    """A path in a store. Raises ImageError if it leads out of it."""
    parts = PurePosixPath(str(name)).parts
    if not parts or ".." in parts or str(name).startswith("/") or "\\" in str(name):
        raise ImageError(f"{path} names {str(name)!r} as its image: replace or remove it.")
    return path.joinpath(*parts)


def _plane(path: Path, folder: Path, metadata: dict[str, Any], reading: Reading) -> _Plane:
    """Choose the plane that is read. Raises ImageError."""
    import zarr

    scales = metadata["multiscales"][0]
    array = zarr.open_array(_inside(folder, scales["datasets"][0]["path"]), mode="r")
    if math.prod(array.chunks) * array.dtype.itemsize > _MAX_CHUNK:
        raise ImageError(f"{path} has chunks of more than {_MAX_CHUNK >> 30} GB: store it in smaller ones.")
    named = scales.get("axes") or _OLD_AXES[-array.ndim :]
    axes = tuple(axis["name"] if isinstance(axis, dict) else str(axis) for axis in named)
    if len(axes) != array.ndim or len(set(axes)) != array.ndim or not {"x", "y"} <= set(axes):
        raise ImageError(f"{path} has the axes {', '.join(axes)}, but x and y are needed: convert it.")
    types = {axis["name"]: axis.get("type") for axis in named if isinstance(axis, dict)}
    axes = tuple({"channel": "c", "time": "t"}.get(types.get(axis) or "", axis) for axis in axes)
    sizes = dict(zip(axes, array.shape, strict=True))
    along = _axis(path, reading, sizes)
    outer = {axis: 0 for axis in axes if axis not in ("x", "y", "c")}
    if "z" in outer:
        outer["z"] = sizes["z"] // 2
    rows, columns = "y", "x"
    if along in ("x", "y"):
        rows, columns = "z", ("y" if along == "x" else "x")
        del outer["z"]
    default = outer.get(along, sizes.get(along, 1) // 2)
    outer[along] = slice_number(path, reading, sizes.get(along, 1), f"planes across {along}", default)
    notes = tuple(
        note
        for axis, number in outer.items()
        for note in frame_note(number, sizes.get(axis, 1), f"planes across {axis}")
    )
    return _Plane(array, {k: v for k, v in outer.items() if k in sizes}, rows, columns, axes, notes)


def _axis(path: Path, reading: Reading, sizes: dict[str, int]) -> str:
    """The axis across which the image is cut. Raises ImageError if it lacks the one asked for."""
    if reading.axis is None:
        return "t" if sizes.get("z", 1) == 1 and sizes.get("t", 1) > 1 else "z"
    if reading.axis not in sizes or (reading.axis in ("x", "y") and "z" not in sizes):
        raise ImageError(f"{path} has the axes {', '.join(sizes)}, so axis={reading.axis} is not possible.")
    return reading.axis


def _colours(metadata: dict[str, Any]) -> list[str]:
    return [str(channel.get("color", "")).upper() for channel in _channels(metadata)]


def _channels(metadata: dict[str, Any]) -> list[dict[str, Any]]:
    """What omero says of the channels; [] if nothing."""
    channels = (metadata.get("omero") or {}).get("channels") or []
    return [channel for channel in channels if isinstance(channel, dict)]


def _levels(metadata: dict[str, Any], dtype: np.dtype, channels: int, rgb: bool) -> Levels | None:
    """The windows of the metadata; else the whole range of uint8; else None."""
    windows = [channel.get("window") or {} for channel in _channels(metadata)]
    ends: list[tuple[Any, Any]] = [(window.get("start"), window.get("end")) for window in windows]
    numbers = all(isinstance(end, (int, float)) and math.isfinite(end) for pair in ends for end in pair)
    if len(ends) == channels and numbers and all(low < high for low, high in ends) and not rgb:
        return Levels(
            tuple(float(low) for low, _ in ends), tuple(float(high) for _, high in ends), beyond="clip"
        )
    return full_range(8) if dtype == np.uint8 else None


def _decode(plane: _Plane, metadata: dict[str, Any], reading: Reading, rgb: bool) -> Samples:
    pixels = plane.read()
    pixels = pixels.astype(pixels.dtype.newbyteorder("="))
    valid = finite(pixels)
    levels = _levels(metadata, pixels.dtype, pixels.shape[2], rgb)
    if reading.levels is not None or (levels is not None and levels.beyond == "refuse"):
        return Samples(pixels, valid=valid)
    if levels is not None:
        return Samples(pixels, (f"its windows, {_said(levels)}, are black to white",), levels, valid)
    data = pixels.reshape(-1, pixels.shape[2]) if valid is None else pixels[valid]
    if pixels.shape[2] == 1:
        levels, note = range_levels(data, "plane")
        return Samples(pixels, (note,), levels, valid)
    each = [range_levels(channel, "channel")[0] for channel in data.T]
    levels = Levels(
        tuple(float(np.mean(one.black)) for one in each),
        tuple(float(np.mean(one.white)) for one in each),
        beyond="clip",
    )
    note = f"its channels' own minima and maxima, {_said(levels)}, are black and white"
    return Samples(pixels, (note,), levels, valid)


def _said(levels: Levels) -> str:
    ends = zip(np.atleast_1d(levels.black), np.atleast_1d(levels.white), strict=True)
    return ", ".join(f"{low:g} to {high:g}" for low, high in ends)


def _valid(plane: _Plane) -> np.ndarray:
    return np.isfinite(plane.read()).all(axis=2)
