"""What the header of an image file says: one description, whatever the format, and the way to the pixels.

Each module of `formats` has a function `open_file(path, reading)` that returns an `ImageFile`. Everything
that gives the stored numbers a meaning is in it; `stored` applies it, once, for all formats.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Literal

import numpy as np

from .attachments import Attachments
from .encoding import SRGB, Encoding


class Model(StrEnum):
    """What the channels of an image are."""

    GREY = "grey"
    RGB = "RGB"
    CMYK = "CMYK"
    """0 is no ink."""
    LAB = "Lab"
    """CIE L*a*b*, D50; L* from 0 to 100 is stored as 0 to 1, a* and b* from -128 to 127 as 0 to 1."""
    CHANNELS = "channels"
    """Bands of light, stains or others; up to MAX_CHANNELS."""


class Alpha(StrEnum):
    """The last channel of the decoded pixels, if it is transparency."""

    NONE = "none"
    STRAIGHT = "straight"
    """Colours are independent of it ("unassociated")."""
    ASSOCIATED = "associated"
    """Colours are multiplied by it ("premultiplied")."""


@dataclass(frozen=True)
class Levels:
    """The stored numbers that are black (0) and white (1); values between them are linear."""

    black: float | tuple[float, ...]
    """One number, or one for each channel. Above `white` if small numbers are bright."""
    white: float | tuple[float, ...]
    """As `black`."""
    beyond: Literal["refuse", "clip", "tone"] = "refuse"
    """What becomes of numbers outside: an error, the nearer of the two, or (linear light above white) what
    the tone mapping makes of it; numbers below black are then clipped."""


def full_range(bits: int) -> Levels:
    """Return the levels of unsigned integers of so many bits.

    >>> full_range(12).white
    4095
    """
    return Levels(0, (1 << bits) - 1)


UNIT = Levels(0.0, 1.0)
"""Levels of floats from 0 to 1."""


@dataclass(frozen=True, eq=False)
class Samples:
    """The decoded pixels of a file, as they are stored."""

    pixels: np.ndarray
    """[H, W, channels, and one more if there is alpha]; integers or floats, not turned."""
    notes: tuple[str, ...] = ()
    """What only the pixels show, for the user."""
    levels: Levels | None = None
    """Levels that only the pixels show; None: those of the header."""
    valid: np.ndarray | None = None
    """[H, W] bool: the pixels that hold data; others become 0. None: all."""


@dataclass(frozen=True, eq=False, kw_only=True)
class ImageFile:
    """An image file whose header has been read; `decode` reads its pixels."""

    path: Path
    """The file (or folder, of OME-Zarr)."""
    format: str
    """Name of the format, such as "PNG"."""
    height: int
    """Rows as they are stored, before `orientation` is applied."""
    width: int
    """Columns as they are stored."""
    model: Model
    """What the channels are after decoding; a palette is decoded to its colours."""
    channels: int
    """Number of channels without alpha."""
    bits: int
    """Significant bits of a stored number; 16, 32 or 64 for floats."""
    decode: Callable[[], Samples]
    """Read the pixels; raises ImageError or the errors of its decoder."""
    floating: bool = False
    """Whether the numbers are floats."""
    levels: Levels | None = None
    """Black and white; None: neither the file nor the user says, and the pixels cannot be used."""
    measured: bool = False
    """Whether the numbers are measurements, to which the user's levels apply at 8 bits and fewer, too."""
    reversed: bool = False
    """Whether small numbers are bright, where `levels` is None and cannot say it."""
    levels_chosen: bool = False
    """Whether the user chose `levels`, which then count instead of those of `Samples`."""
    levels_by_pixels: str = ""
    """What black and white are, in words, where `Samples.levels` may differ from `levels`."""
    alpha: Alpha = Alpha.NONE
    """Whether a last channel of `Samples.pixels` is transparency."""
    encoding: Encoding = SRGB
    """How values become colours."""
    orientation: int = 1
    """EXIF orientation, 1 to 8, that `decode` has not applied."""
    notes: tuple[str, ...] = ()
    """For the user, such as "the first of its 3 pages is read"."""
    attachments: Callable[[], Attachments] = Attachments
    """Read what the file holds about the image beyond its pixels."""
    valid: Callable[[], np.ndarray] | None = None
    """[H, W] bool, not turned: the pixels that hold data; None: all."""
    more: dict[str, str] = field(default_factory=dict)
    """Further facts for `dgp-mine images`, such as {"compression": "jpeg"}."""

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the upright image."""
        return (self.width, self.height) if self.orientation in (5, 6, 7, 8) else (self.height, self.width)


def turn(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Apply an EXIF orientation, 1 to 8, to pixels [H, W, ...]; other numbers change nothing."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return pixels
