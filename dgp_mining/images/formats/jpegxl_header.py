"""The header of a JPEG XL codestream (ISO/IEC 18181-1:2024, annexes D and E)."""

from __future__ import annotations

from dataclasses import dataclass

from ..encoding import SRGB_CHROMATICITIES, Chromaticities
from .bit_reader import BitReader

START = b"\xff\x0a"
"""The first bytes of a codestream."""

ALPHA, SPOT, BLACK, COLOUR_FILTER = 0, 2, 4, 5
"""Kinds of extra channels (table E.6)."""
GREY_SPACE, UNREAD_SPACES = 1, {2: "XYB", 3: "unknown"}
"""Colour spaces (table E.3)."""

_D65, _DCI = (0.3127, 0.3290), (0.314, 0.351)
_WHITE = {1: _D65, 10: (1 / 3, 1 / 3), 11: _DCI}
_PRIMARIES = {
    1: SRGB_CHROMATICITIES[2:],
    9: (0.708, 0.292, 0.170, 0.797, 0.131, 0.046),
    11: (0.680, 0.320, 0.265, 0.690, 0.150, 0.060),
}
_TRANSFERS: dict[int, str | float] = {
    1: "bt709",
    8: "linear",
    13: "srgb",
    16: "pq",
    17: 2.6,  # libjxl does not scale the white of cinemas
    18: "hlg",
}
_CUSTOM = 2
_RATIOS = ((1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))
_LENGTH = ((9, 1), (13, 1), (18, 1), (30, 1))


@dataclass(frozen=True)
class Depth:
    """How numbers are stored."""

    bits: int = 8
    floating: bool = False


@dataclass(frozen=True)
class Extra:
    """A channel that is no colour."""

    kind: int = ALPHA
    depth: Depth = Depth()
    associated: bool = False
    """Whether colours are multiplied by it, if it is alpha."""


@dataclass(frozen=True)
class Colours:
    """The colour space of the original (E.2.3)."""

    space: int = 0
    """0 RGB, 1 grey, 2 XYB, 3 unknown."""
    has_profile: bool = False
    """Whether an ICC profile follows the header and counts alone."""
    chromaticities: Chromaticities = SRGB_CHROMATICITIES
    d65: bool = True
    transfer: str | float | None = "srgb"
    """As `Encoding.transfer` names it; None if it is unknown."""


@dataclass(frozen=True)
class Header:
    """All that is said before the frames."""

    height: int
    width: int
    """As stored, before the orientation is applied."""
    depth: Depth = Depth()
    orientation: int = 1
    animated: bool = False
    extras: tuple[Extra, ...] = ()
    xyb: bool = True
    """Whether colours are coded in XYB and leave the decoder in the colour space of the original."""
    colours: Colours = Colours()
    depth_at: int = 0
    """Where the depth is stored, in bits from the start."""
    end: int = 0
    """Number of bits before the ICC profile or the first frame."""


def parse_header(codestream: bytes) -> Header:
    """Read the header from the start of a codestream. Raises ValueError."""
    bits = BitReader(codestream)
    if codestream[:2] != START:
        raise ValueError("its codestream does not start like one")
    bits.skip([16])
    height, width = _size(bits)
    header = Header(height, width) if bits.flag() else _metadata(bits, height, width)
    _transforms(bits, header.xyb)
    return Header(**{**header.__dict__, "end": bits.position})


def with_twelve_bits(codestream: bytes, header: Header) -> bytes:
    """Return a codestream of 8 bits as one that asks for 12, which matters only for what XYB is decoded to.

    The depth is stored as choice 0 of four, which becomes 2, or in six bits after choice 3 (E.2.4).
    """
    changed, place = int.from_bytes(codestream, "little"), header.depth_at + 1
    changed ^= (0 ^ 2) << place if changed >> place & 3 == 0 else (7 ^ 11) << place + 2
    return changed.to_bytes(len(codestream), "little")


def _metadata(bits: BitReader, height: int, width: int) -> Header:
    further = bits.flag()
    orientation, animated = 1, False
    if further:
        orientation = 1 + bits.bits(3)
        if bits.flag():
            _size(bits)  # on a screen
        if bits.flag():
            _preview(bits)
        if animated := bits.flag():
            bits.u32((0, 100), (0, 1000), (10, 1), (30, 1))
            bits.u32((0, 1), (0, 1001), (8, 1), (10, 1))
            bits.u32((0, 0), (3, 0), (16, 0), (32, 0))
            bits.flag()
    depth_at = bits.position
    depth = _depth(bits)
    bits.flag()  # whether 16 bits suffice to decode
    extras = tuple(_extra(bits) for _ in range(bits.u32((0, 0), (0, 1), (4, 2), (12, 1))))
    xyb = bits.flag()
    colours = _colours(bits)
    if further and not bits.flag():  # tone mapping
        bits.skip([16, 16, 1, 16])
    extensions = bits.u64()
    if extensions:
        bits.skip([bits.u64() for index in range(64) if extensions >> index & 1])
    return Header(height, width, depth, orientation, animated, extras, xyb, colours, depth_at)


def _size(bits: BitReader) -> tuple[int, int]:
    """(height, width), D.2."""
    small = bits.flag()
    height = 8 * (1 + bits.bits(5)) if small else bits.u32(*_LENGTH)
    ratio = bits.bits(3)
    if ratio:
        across, down = _RATIOS[ratio - 1]
        return height, height * across // down
    return height, 8 * (1 + bits.bits(5)) if small else bits.u32(*_LENGTH)


def _preview(bits: BitReader) -> None:
    eighths = bits.flag()
    sides = ((0, 16), (0, 32), (5, 1), (9, 33)) if eighths else ((6, 1), (8, 65), (10, 321), (12, 1345))
    bits.u32(*sides)
    if not bits.bits(3):
        bits.u32(*sides)


def _depth(bits: BitReader) -> Depth:
    if not bits.flag():
        return Depth(bits.u32((0, 8), (0, 10), (0, 12), (6, 1)))
    depth = bits.u32((0, 32), (0, 16), (0, 24), (6, 1))
    bits.bits(4)  # of the exponent
    return Depth(depth, floating=True)


def _extra(bits: BitReader) -> Extra:
    if bits.flag():
        return Extra()
    kind, depth = bits.choice(), _depth(bits)
    bits.u32((0, 0), (0, 3), (0, 4), (3, 1))  # how much smaller it is
    bits.skip([8 * bits.u32((0, 0), (4, 0), (5, 16), (10, 48))])  # its name
    associated = kind == ALPHA and bits.flag()
    if kind == SPOT:
        bits.skip([4 * 16])
    elif kind == COLOUR_FILTER:
        bits.u32((0, 1), (2, 0), (4, 3), (8, 19))
    return Extra(kind, depth, associated)


def _colours(bits: BitReader) -> Colours:
    if bits.flag():
        return Colours()
    has_profile, space = bits.flag(), bits.choice()
    if has_profile or space == 2:
        if not has_profile:
            bits.choice()  # rendering intent
        return Colours(space, has_profile, transfer=None)
    white = bits.choice()
    at_white = _point(bits) if white == _CUSTOM else _WHITE.get(white)
    red_green_blue: tuple[float, ...] | None = SRGB_CHROMATICITIES[2:]
    if space != GREY_SPACE:
        primaries = bits.choice()
        custom = primaries == _CUSTOM
        red_green_blue = (
            (*_point(bits), *_point(bits), *_point(bits)) if custom else _PRIMARIES.get(primaries)
        )
    if at_white is None or red_green_blue is None:
        raise ValueError("its colour space has no known white or primaries")
    transfer: str | float | None
    if bits.flag():
        gamma = bits.bits(24) / 1e7
        if not gamma:
            raise ValueError("the gamma of its colours is 0")
        transfer = 1 / gamma
    else:
        transfer = _TRANSFERS.get(bits.choice())
    bits.choice()  # rendering intent
    x_white, y_white = at_white
    xr, yr, xg, yg, xb, yb = red_green_blue
    chromaticities = (x_white, y_white, xr, yr, xg, yg, xb, yb)
    return Colours(space, False, chromaticities, white == 1, transfer)


def _point(bits: BitReader) -> tuple[float, float]:
    """CIE x, y."""
    x, y = (bits.u32((19, 0), (19, 1 << 19), (20, 1 << 20), (21, 1 << 21)) for _ in range(2))
    return _signed(x) / 1e6, _signed(y) / 1e6


def _signed(number: int) -> int:
    return -(number + 1) // 2 if number % 2 else number // 2


def _transforms(bits: BitReader, xyb: bool) -> None:
    """Skip the matrix of XYB and the weights of upsampling (E.2.10)."""
    if bits.flag():
        return
    if xyb and not bits.flag():
        bits.skip([16 * 16])
    chosen = bits.bits(3)
    bits.skip([16 * count for index, count in enumerate((15, 55, 210)) if chosen >> index & 1])
