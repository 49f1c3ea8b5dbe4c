"""NIfTI-1 and NIfTI-2 (nifti1.h, nifti2.h; one file or a pair), and MGH of FreeSurfer, read with nibabel.

A volume is cut across an axis of the body, in whatever order its voxels are stored. Slices are shown as in an
atlas: anterior or superior is up; left is left (the neurological convention), or anterior is on the right.
"""

from __future__ import annotations

import logging
import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ...machine import amount
from ..image_file import Alpha, ImageFile, Levels, Model, Samples, full_range
from ..limits import MOST_DEFLATED, ImageError, check_size, check_unpacked, ends_early
from ..reading import Reading
from .measured import OWN_RANGE, finite, own_range, slice_number
from .packed import is_gzipped, unpacked
from .pillow_file import frame_note

_PLANES = {
    0: ("sagittal", "superior up and anterior on the right"),
    1: ("coronal", "superior up and left on the left"),
    2: ("axial", "anterior up and left on the left"),
}
"""Name of the slices across each axis of the body (left-right, posterior-anterior, inferior-superior), and
how they are shown."""

_CIFTI_INTENTS = range(3000, 3100)
"""Codes of CIFTI-2, whose files are matrices, not pictures."""


_HEADER_1, _HEADER_2 = 348, 540
"""Bytes of the headers of NIfTI-1 and NIfTI-2."""

_MOST_EXTENSIONS = 1 << 26
"""Bytes of the extensions of a header (XML, comments, DICOM headers)."""


@dataclass(frozen=True)
class _Cut:
    """Which slice is read, and how it is shown."""

    axes: tuple[int, int, int]
    """The axis of the array along each axis of the body."""
    flipped: tuple[bool, bool, bool]
    """Whether that axis runs the other way: to the left, posterior, inferior."""
    across: int
    """The axis of the body across which the volume is cut."""
    number: int
    """Of the slice, counted from left, posterior, inferior."""
    volume: int
    """Of a series of volumes."""
    shape: tuple[int, ...]
    """Of the array; three axes or more."""

    def index(self) -> tuple[int | slice, ...]:
        """Where the slice lies in the array."""
        taken: list[int | slice] = [slice(None)] * 3
        count = self.extent(self.across)
        taken[self.axes[self.across]] = count - 1 - self.number if self.flipped[self.across] else self.number
        return (*taken, *self.whole()[3:])

    def whole(self) -> tuple[int | slice, ...]:
        """Where the volume lies in the array."""
        outer = (self.volume, *[0] * len(self.shape))[: len(self.shape) - 3]
        return (*[slice(None)] * 3, *outer)

    def extent(self, body: int) -> int:
        """Number of voxels along an axis of the body."""
        return self.shape[self.axes[body]]

    @property
    def kept(self) -> tuple[int, int]:
        """The axes of the body along columns and rows."""
        first, second = [body for body in range(3) if body != self.across]
        return first, second

    def shown(self, stored: np.ndarray) -> np.ndarray:
        """Turn a slice as it lies in the array, which has lost the axis that it is cut across."""
        columns, rows = self.kept
        if self.axes[columns] < self.axes[rows]:
            stored = stored.T
        if not self.flipped[rows]:  # the first row is the highest
            stored = stored[::-1]
        return stored[:, ::-1] if self.flipped[columns] else stored


def open_file(path: Path, reading: Reading) -> ImageFile:
    """Describe a NIfTI or MGH file. Raises ImageError and nibabel's errors."""
    image = _opened(path)
    cut, notes = _cut(path, image, reading)
    columns, rows = cut.kept
    height, width = cut.extent(rows), cut.extent(columns)
    check_size(path, height, width)
    _check_length(path, image)
    data = image.dataobj
    file = ImageFile(
        path=path,
        format="NIfTI" if hasattr(image.header, "get_qform") else "MGH",
        height=height,
        width=width,
        model=Model.GREY,
        channels=1,
        bits=data.dtype.itemsize * 8,
        floating=data.dtype.kind == "f" or not _is_plain(data),
        measured=True,
        levels=_window(image.header),
        levels_by_pixels="" if _window(image.header) else OWN_RANGE,
        notes=(*notes, *_spacing_note(image, cut)),
        decode=lambda: _decode(path, cut, reading),
    )
    if data.dtype.names is not None:  # RGB24 or RGBA32
        alpha = Alpha.STRAIGHT if len(data.dtype.names) == 4 else Alpha.NONE
        return replace(
            file,
            model=Model.RGB,
            channels=3,
            alpha=alpha,
            bits=8,
            measured=False,
            levels=full_range(8),
            levels_by_pixels="",
        )
    if data.dtype.kind == "c":
        raise ImageError(f"{path} holds complex numbers: store their magnitude.")
    return replace(file, valid=lambda: _valid(path, cut)) if data.dtype.kind == "f" else file


def _opened(path: Path) -> Any:
    import nibabel

    logging.getLogger("nibabel.global").setLevel(logging.CRITICAL)  # what matters of a header is said by us
    _check_extensions(path)
    image: Any = nibabel.load(path)
    if not hasattr(image, "affine") or int(image.header.get("intent_code", 0)) in _CIFTI_INTENTS:
        raise ImageError(f"{path} holds a matrix of CIFTI, not a picture: remove it.")
    if min(image.shape, default=0) <= 0:
        raise ImageError(f"{path} has a volume of {'x'.join(map(str, image.shape))}: replace or remove it.")
    return image


def _check_extensions(path: Path) -> None:
    """Raise ImageError if what stands between header and pixels is longer than any honest text.

    nibabel reads it whole, and of a compressed file, a kilobyte can hold a megabyte of it.
    """
    with unpacked(path) as file:
        head = file.read(_HEADER_2)
        order = "<" if head[:1] != b"\0" else ">"
        length = struct.unpack(f"{order}i", head[:4].ljust(4, b"\0"))[0]
        if length not in (_HEADER_1, _HEADER_2) or len(head) < length:  # others have no extensions
            return
        where, form = (108, "f") if length == _HEADER_1 else (168, "q")
        left = struct.unpack_from(f"{order}{form}", head, where)[0] - length - 4
        file.seek(length)
        held, extended = 0, file.read(4)[:1] not in (b"", b"\0")
        while extended and left - held >= 16 and len(start := file.read(8)) == 8:
            size = struct.unpack(f"{order}i", start[:4])[0]
            held += max(size, 8)
            if held > _MOST_EXTENSIONS:
                raise ImageError(f"{path} has more than {amount(_MOST_EXTENSIONS)} of texts: remove them.")
            file.seek(max(size, 8) - 8, 1)


def _check_length(path: Path, image: Any) -> None:
    """Raise ImageError if the file is shorter than its header says; of a compressed one, by far."""
    held = Path(image.file_map["image"].filename)
    if not held.exists():
        raise ImageError(f"{path} is the header of {held.name}, which does not exist: put it there.")
    promised = image.dataobj.offset + image.dataobj.dtype.itemsize * _product(image.shape)
    ratio = MOST_DEFLATED if is_gzipped(held) else 1
    if promised > held.stat().st_size * ratio:
        raise ends_early(path)


def _product(shape: tuple[int, ...]) -> int:
    count = 1
    for extent in shape:
        count *= int(extent)
    return count


def _cut(path: Path, image: Any, reading: Reading) -> tuple[_Cut, tuple[str, ...]]:
    """Choose the slice, and say which it is. Raises ImageError."""
    axes, flipped, notes = _orientation(image)
    shape = _shape(image)
    if reading.axis in ("x", "y", "z"):
        across = "xyz".index(reading.axis)
    else:  # across the axis of one voxel, if there is one, since nothing else is a picture; else axial
        single = [body for body in range(3) if shape[axes[body]] == 1]
        across = single[0] if len(single) == 1 else 2
    volumes = shape[3] if len(shape) > 3 else 1
    if reading.axis == "t":
        volume = slice_number(path, reading, volumes, "volumes", 0)
        number = shape[axes[across]] // 2
    else:
        volume, count = 0, shape[axes[across]]
        number = slice_number(path, reading, count, f"{_PLANES[across][0]} slices", count // 2)
    cut = _Cut(axes, flipped, across, number, volume, shape)
    name, shown = _PLANES[across]
    notes += tuple(f"{note}, {shown}" for note in frame_note(number, shape[axes[across]], f"{name} slices"))
    notes += frame_note(volume, volumes, "volumes")
    if _product(shape[4:]) > 1:
        notes += ("further axes are read at their first element",)
    return cut, notes


def _shape(image: Any) -> tuple[int, ...]:
    """The shape of the array, of three axes or more."""
    return (*(int(extent) for extent in image.shape), 1, 1)[: max(3, len(image.shape))]


def _orientation(image: Any) -> tuple[tuple[int, int, int], tuple[bool, bool, bool], tuple[str, ...]]:
    """Along which axes of the array those of the body lie, whether they run the other way, and notes."""
    import nibabel

    found = nibabel.io_orientation(image.affine)  # [3, 2]: axis of the body, direction; of each array axis
    if not np.isfinite(found).all():
        return (
            (0, 1, 2),
            (False, False, False),
            ("its orientation is damaged: its axes are taken for x, y, z",),
        )
    header = image.header
    notes: tuple[str, ...] = ()
    if hasattr(header, "get_qform") and not header["qform_code"] and not header["sform_code"]:
        notes = ("it does not say which side is left",)
    order = np.argsort(found[:, 0])
    first, second, third = (int(axis) for axis in order)
    right, anterior, superior = (bool(direction < 0) for direction in found[order, 1])
    return (first, second, third), (right, anterior, superior), notes


def _window(header: Any) -> Levels | None:
    """The display range of the header (cal_min, cal_max), if it is one."""
    if "cal_max" not in header:
        return None
    low, high = float(header["cal_min"]), float(header["cal_max"])
    return Levels(low, high, beyond="clip") if np.isfinite([low, high]).all() and low < high else None


def _spacing_note(image: Any, cut: _Cut) -> Iterator[str]:
    zooms = [float(zoom) for zoom in image.header.get_zooms()[:3]] + [1.0] * 3
    width, height = (zooms[cut.axes[body]] for body in cut.kept)
    if min(width, height) > 0 and max(width, height) / min(width, height) > 1.01:
        yield f"its pixels are {width:.3g} wide and {height:.3g} high in mm, and are not resampled"


def _is_plain(data: Any) -> bool:
    """Whether stored numbers are not scaled."""
    return (data.slope, data.inter) == (1, 0)


def _decode(path: Path, cut: _Cut, reading: Reading) -> Samples:
    image = _opened(path)
    stored = _unscaled(image)
    if stored.dtype.names is not None:
        colours = stored[cut.index()]
        return Samples(np.stack([cut.shown(colours[name]) for name in colours.dtype.names], axis=2))
    levels = _window(image.header)
    notes: tuple[str, ...] = ()
    if levels is None and reading.levels is None:
        check_unpacked(path, "a volume", stored.dtype.itemsize * _product(cut.shape[:3]))
        volume = np.asarray(stored[cut.whole()])
        levels, note = own_range(*_extent(volume, image.dataobj), of="volume")
        notes = (note,)
        plane = volume[cut.index()[:3]]
    else:
        plane = np.asarray(stored[cut.index()])
        if levels is not None and reading.levels is None:
            notes = (f"cal_min, {levels.black:g}, and cal_max, {levels.white:g}, are black and white",)
    pixels = np.ascontiguousarray(cut.shown(_scaled(plane, image.dataobj)))[..., None]
    return Samples(pixels, notes, levels, finite(pixels))


def _unscaled(image: Any) -> Any:
    """The stored numbers, of which indexing reads a part."""
    from nibabel.arrayproxy import ArrayProxy

    data = image.dataobj
    return ArrayProxy(data.file_like, (_shape(image), data.dtype, data.offset), mmap=False)


def _scaled(stored: np.ndarray, data: Any) -> np.ndarray:
    native = stored.astype(stored.dtype.newbyteorder("="))
    if stored.dtype.kind == "f" and stored.dtype.itemsize not in (4, 8):
        native = native.astype(np.float64)
    return native if _is_plain(data) else native * np.float64(data.slope) + np.float64(data.inter)


def _extent(volume: np.ndarray, data: Any) -> tuple[float, float]:
    """The least and the greatest value of a volume, slice by slice to save memory; 0 if none is finite."""
    ends: list[float] = []
    for plane in np.moveaxis(volume, -1, 0):
        values = plane[np.isfinite(plane)] if plane.dtype.kind == "f" else plane
        if values.size:
            ends += [values.min(), values.max()]
    if not ends:
        return 0.0, 0.0
    low, high = sorted(float(v) for v in _scaled(np.array([min(ends), max(ends)]), data))
    return low, high


def _valid(path: Path, cut: _Cut) -> np.ndarray:
    plane = cut.shown(np.asarray(_unscaled(_opened(path))[cut.index()]))
    return np.isfinite(plane)
