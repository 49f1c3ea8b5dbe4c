"""How stored numbers become values in [0, 1] where a file does not say so itself: the user's choices."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path

from .limits import ImageError

TONES = ("clip", "reinhard")
"""Names of the tone mappings of linear light above white."""


@dataclass(frozen=True)
class Reading:
    """The user's choices on how images are read; the defaults follow what each file says.

    Raises ValueError if a choice is out of its range, or two contradict each other.

    >>> Reading(white=10_000).levels
    (0.0, 10000.0)
    """

    white: float | None = None
    """The stored number that is white, in images of more than 8 bits, of floats and of measurements (DICOM,
    NIfTI, FITS, OME-Zarr), after a scale and offset that the file itself gives; of linear light (OpenEXR,
    Radiance), the value that is diffuse white. None: what the file says, else the largest number that its
    bits hold, or 1.0 in floats, or the largest value of a measurement."""
    window: tuple[float, float] | None = None
    """The stored numbers that are black and white, in the same images; outer ones are clipped."""
    axis: str | None = None
    """Axis across which a volume or series is cut: "x", "y", "z" or "t". None: the one that its kind is
    usually viewed along."""
    slice: int | None = None
    """Number, from 0, of the slice, frame or page that is read. None: the first of pages and frames, the
    middle one of a volume, a cube or the frames of DICOM."""
    tone: str = "clip"
    """What becomes of linear light above white: one of TONES. "clip" makes it white; "reinhard" maps L, in
    units of white, to L / (1 + L) (Reinhard et al. 2002, eq. 3)."""

    def __post_init__(self) -> None:
        if self.white is not None and not 0 < self.white < math.inf:
            raise ValueError(f"white= must be a finite number above 0, got {self.white:g}.")
        if self.window is not None:
            low, high = self.window
            if not -math.inf < low < high < math.inf:
                raise ValueError(f"window= must be two ascending numbers, got {low:g} and {high:g}.")
            if self.white is not None:
                raise ValueError("Give either white= or window=, not both.")
        if self.axis not in (None, "x", "y", "z", "t"):
            raise ValueError(f"axis= must be x, y, z or t, got {self.axis!r}.")
        if self.slice is not None and self.slice < 0:
            raise ValueError(f"slice= must be at least 0, got {self.slice}.")
        if self.tone not in TONES:
            raise ValueError(f"tone= must be one of {', '.join(TONES)}, got {self.tone!r}.")

    @property
    def levels(self) -> tuple[float, float] | None:
        """The chosen (black, white); None if neither `white` nor `window` is given."""
        if self.white is not None:
            return (0.0, float(self.white))
        return self.window and (float(self.window[0]), float(self.window[1]))


def no_such_slice(path: Path, number: int, units: str, asked: int | None) -> ImageError:
    """The error if `asked`, a Reading's `slice`, is beyond the `number` slices, frames or pages of a file.

    >>> str(no_such_slice(Path("a.gif"), 1, "frames", 3))
    'a.gif has 1 frame, so slice=3 is not among them.'
    """
    if number == 1:
        units = re.sub(r"(?<=[a-z])s\b", "", units, count=1)
    return ImageError(f"{path} has {number:,} {units}, so slice={asked} is not among them.")


AS_STORED = Reading()
"""The default: every file is read as it says itself."""
