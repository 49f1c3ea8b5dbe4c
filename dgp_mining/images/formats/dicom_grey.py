"""From the stored numbers of grey DICOM images to the values that are shown (PS3.3, C.11.1 and C.11.2).

Stored numbers become physical ones by the modality lookup table or rescale; these are mapped to black and
white by the file's own window (VOI), unless the user gives one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..image_file import UNIT, Levels, Samples, full_range
from ..limits import ImageError
from ..reading import Reading
from .measured import OWN_RANGE, range_levels


@dataclass(frozen=True)
class Table:
    """A lookup table (C.11.1.1)."""

    first: int
    """The number that the first entry is for; smaller ones are mapped as it, larger ones as the last."""
    entries: np.ndarray
    """[n] uint16."""
    bits: int
    """Of an entry."""

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """Look values up; those that are no integers are rounded."""
        index = np.rint(values).astype(np.int64) - self.first
        found: np.ndarray = self.entries[index.clip(0, len(self.entries) - 1)]
        return found


@dataclass(frozen=True)
class Window:
    """A window (C.11.2.1.2, C.11.2.1.3)."""

    centre: float
    width: float
    function: str
    """LINEAR, LINEAR_EXACT or SIGMOID."""
    of: int
    """Number of windows in the file, of which this is the first."""

    @property
    def levels(self) -> Levels:
        """Black and white of a linear window of some width."""
        centre, width = self.centre, self.width
        if self.function == "LINEAR":  # of integers: 256 of them are one window of width 256
            centre, width = centre - 0.5, width - 1
        return Levels(centre - width / 2, centre + width / 2, beyond="clip")

    @property
    def is_linear(self) -> bool:
        """Whether `levels` says all: it is no curve and no threshold."""
        return self.function != "SIGMOID" and not (self.function == "LINEAR" and self.width == 1)

    def curve(self, values: np.ndarray) -> np.ndarray:
        """Map values to [0, 1] if `is_linear` is false."""
        if self.function == "LINEAR":
            return (values > self.centre - 0.5).astype(np.float32)
        exponent = -4 * (values.astype(np.float64) - self.centre) / self.width
        return 1 / (1 + np.exp(exponent.clip(-700, 700)))


@dataclass(frozen=True)
class Grey:
    """What the header says of a frame's grey values."""

    bits: int
    """BitsStored; 32 or 64 of floats."""
    signed: bool
    floating: bool
    slope: float
    intercept: float
    modality: Table | None
    """Counts instead of `slope` and `intercept`."""
    voi: Table | Window | None
    inverse: bool
    """Whether small numbers are bright: MONOCHROME1, or the presentation LUT shape INVERSE."""
    padding: tuple[float, float] | None
    """The least and greatest stored number of pixels that hold no data (C.7.5.1.1.2)."""

    def physical(self, stored: np.ndarray) -> np.ndarray:
        """Map stored numbers to those that a window counts in."""
        if self.modality is not None:
            return self.modality(stored)
        if (self.slope, self.intercept) == (1, 0):
            return stored
        return stored * np.float64(self.slope) + self.intercept

    def levels(self) -> Levels | None:
        """Black and white of the physical values, or of those that a table or curve makes of them.

        None if only the pixels show them.
        """
        if isinstance(self.voi, Table):
            return self._shown(full_range(self.voi.bits))
        if self.voi is not None:
            return self._shown(self.voi.levels if self.voi.is_linear else UNIT)
        if self.modality is not None:
            return self._shown(full_range(self.modality.bits))
        if self.floating or self.bits > 16 - self.signed:
            return None
        least = -(1 << self.bits - 1) if self.signed else 0
        ends = (number * self.slope + self.intercept for number in (least, least + (1 << self.bits) - 1))
        low, high = sorted(ends)
        return self._shown(Levels(low, high, beyond="clip"))

    def _shown(self, levels: Levels) -> Levels:
        return replace(levels, black=levels.white, white=levels.black) if self.inverse else levels

    def levels_in_words(self) -> str:
        """What decides on black and white if it is not `levels` alone; "" if it is."""
        if isinstance(self.voi, Table):
            return "its VOI lookup table says what is black and white"
        if self.voi is not None and not self.voi.is_linear:
            return f"its {self.voi.function.lower()} window says what is black and white"
        return "" if self.levels() else OWN_RANGE

    def samples(self, stored: np.ndarray, reading: Reading) -> Samples:
        """Map a frame [H, W] of stored numbers, and say how."""
        valid = self.valid(stored)
        values = self.physical(stored)
        if reading.levels is not None:
            return Samples(values[..., None], valid=valid)
        if isinstance(self.voi, Table):
            return Samples(self.voi(values)[..., None], ("its VOI lookup table is applied",), valid=valid)
        if self.voi is not None:
            which = "window" if self.voi.of == 1 else f"first of {self.voi.of} windows"
            curve = "" if self.voi.function.startswith("LINEAR") else ", a sigmoid"
            note = f"its {which}, centre {self.voi.centre:g} and width {self.voi.width:g}{curve}, is applied"
            values = values if self.voi.is_linear else self.voi.curve(values)
            return Samples(values[..., None], (note,), valid=valid)
        if (levels := self.levels()) is None:
            levels, note = range_levels(values if valid is None else values[valid], "frame")
            return Samples(values[..., None], (note,), self._shown(levels), valid)
        ends = sorted([levels.black, levels.white])
        note = f"it has no window: all that its {self.bits} bits hold, {ends[0]:g} to {ends[1]:g}, is shown"
        return Samples(values[..., None], (note,), valid=valid)

    def valid(self, stored: np.ndarray) -> np.ndarray | None:
        """[H, W] bool, the pixels that hold data; None if all do."""
        valid = np.isfinite(stored) if stored.dtype.kind == "f" else np.ones(stored.shape, bool)
        if self.padding is not None:
            valid &= (stored < self.padding[0]) | (stored > self.padding[1])
        return None if valid.all() else valid


def grey_of(path: Path, header: Any, frame: int) -> Grey:
    """Collect what the header says of the grey values of a frame. Raises ImageError."""
    rescale = _of_frame(header, frame, "PixelValueTransformationSequence")
    slope, intercept = rescale.get("RescaleSlope"), rescale.get("RescaleIntercept")
    slope = 1.0 if slope is None else float(slope)
    if slope == 0:
        raise ImageError(f"{path} has a rescale slope of 0, which makes all pixels alike: correct it.")
    least, greatest = header.get("PixelPaddingValue"), header.get("PixelPaddingRangeLimit")
    floating = header.get("BitsStored") is None
    return Grey(
        bits=int(header.get("BitsAllocated", 32)) if floating else int(header.BitsStored),
        signed=bool(header.get("PixelRepresentation")),
        floating=floating,
        slope=slope,
        intercept=0.0 if intercept is None else float(intercept),
        modality=_table(header, "ModalityLUTSequence"),
        voi=_voi(path, _of_frame(header, frame, "FrameVOILUTSequence")),
        inverse=header.PhotometricInterpretation == "MONOCHROME1"
        or header.get("PresentationLUTShape") == "INVERSE",
        padding=None
        if least is None
        else _ends(float(least), float(least if greatest is None else greatest)),
    )


def _ends(one: float, other: float) -> tuple[float, float]:
    return (min(one, other), max(one, other))


def _of_frame(header: Any, frame: int, macro: str) -> Any:
    """The data set with a macro of a frame: of its own or the shared functional groups (C.7.6.16), or all."""
    each = header.get("PerFrameFunctionalGroupsSequence") or ()
    for group in (*each[frame : frame + 1], *(header.get("SharedFunctionalGroupsSequence") or ())[:1]):
        if group.get(macro):
            return group.get(macro)[0]
    return header


def _voi(path: Path, header: Any) -> Table | Window | None:
    if (table := _table(header, "VOILUTSequence")) is not None:
        return table
    centres, widths = (_numbers(header.get(key)) for key in ("WindowCenter", "WindowWidth"))
    if not centres or not widths:
        return None
    function = str(header.get("VOILUTFunction") or "LINEAR").strip().upper()
    if function not in ("LINEAR", "LINEAR_EXACT", "SIGMOID"):
        raise ImageError(f"{path} has the unknown VOI LUT function {function}: give a window with window=.")
    if widths[0] < (1 if function == "LINEAR" else 1e-300):
        return None  # not a window by the standard; some devices write 0 for none
    return Window(centres[0], widths[0], function, len(centres))


def _numbers(value: Any) -> list[float]:
    if value is None or value == "":
        return []
    values = value if isinstance(value, (list, tuple)) or hasattr(value, "append") else [value]
    return [float(number) for number in values]


def _table(header: Any, sequence: str) -> Table | None:
    """The first lookup table of a sequence; None if there is none."""
    items = header.get(sequence)
    if not items or items[0].get("LUTDescriptor") is None or items[0].get("LUTData") is None:
        return None
    count, first, bits = (int(number) for number in items[0].LUTDescriptor)
    data = items[0].LUTData
    count = count or 1 << 16
    if isinstance(data, bytes):
        eight = bits <= 8 and len(data) < 2 * count  # one byte for each entry
        little = getattr(header, "original_encoding", (True, True))[1] is not False
        entries = np.frombuffer(data, np.uint8 if eight else "<u2" if little else ">u2")
    else:
        entries = np.atleast_1d(np.asarray(data)).astype(np.int64) & 0xFFFF
    return Table(first, entries[:count].astype(np.uint16), bits) if len(entries) else None
