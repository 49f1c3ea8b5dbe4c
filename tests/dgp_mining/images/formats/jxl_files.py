"""Writing JPEG XL files with headers that no common encoder offers (ISO/IEC 18181-1:2024)."""

from __future__ import annotations

import struct
from collections.abc import Sequence

from dgp_mining.images.formats.jpegxl_header import parse_header

ALL_DEFAULT = [(1, 1)]
Bits = list[tuple[int, int]]
"""(value, number of bits)."""


def choice(number: int) -> Bits:
    """An enumerated value (B.2.8)."""
    if number < 2:
        return [(number, 2)]
    return [(2, 2), (number - 2, 4)] if number < 18 else [(3, 2), (number - 18, 6)]


def colours(
    space: int = 0,
    white: int | tuple[float, float] = 1,
    primaries: int | Sequence[tuple[float, float]] = 1,
    transfer: int | float = 13,
) -> Bits:
    """Colours by name, or by chromaticities and (a float) the exponent of light."""
    bits = [(0, 1), (0, 1), *choice(space)]
    bits += choice(white) if isinstance(white, int) else [*choice(2), *_point(white)]
    if space != 1:
        named = isinstance(primaries, int)
        bits += (
            choice(primaries) if named else [*choice(2), *(part for xy in primaries for part in _point(xy))]
        )
    if isinstance(transfer, float):
        bits += [(1, 1), (round(1e7 / transfer), 24)]
    else:
        bits += [(0, 1), *choice(transfer)]
    return [*bits, *choice(1)]


def _point(xy: tuple[float, float]) -> Bits:
    bits = []
    for value in xy:
        number = round(value * 1e6) * 2 if value >= 0 else -round(value * 1e6) * 2 - 1
        size = max(19, number.bit_length() - 1)
        bits += [(0, 2), (number, 19)] if number < 1 << 19 else [(size - 18, 2), (number - (1 << size), size)]
    return bits


def extra(kind: int, bits: int = 8, associated: bool = False) -> Bits:
    """An extra channel with no name."""
    more = {0: [(associated, 1)], 2: [(0, 64)], 5: [(0, 2)]}.get(kind, [])
    return [(0, 1), *choice(kind), (0, 1), (3, 2), (bits - 1, 6), (0, 2), (0, 2), *more]


def with_header(
    codestream: bytes,
    colour: Bits = ALL_DEFAULT,
    orientation: int = 1,
    extras: Sequence[Bits] = (),
    long_depth: bool = False,
    profile: bytes = b"",
) -> bytes:
    """Put another header, and maybe a profile, before the frames of a codestream without profile."""
    old = parse_header(codestream)
    fields = [(0xFF, 8), (0x0A, 8), (0, 1), (3, 2), (old.height - 1, 30), (0, 3), (3, 2), (old.width - 1, 30)]
    fields += [(0, 1), (1, 1), (orientation - 1, 3), (0, 3)]
    fields += (
        [(0, 1), (0, 2)]
        if old.depth.bits == 8 and not long_depth
        else [(0, 1), (3, 2), (old.depth.bits - 1, 6)]
    )
    fields += [(old.depth.bits <= 12, 1)]
    count = len(extras)
    fields += [(count, 2)] if count < 2 else [(2, 2), (count - 2, 4)]
    for described in extras:
        fields += described
    colour = [(0, 1), (1, 1), *choice(profile[16:20] == b"GRAY")] if profile else colour
    fields += [(old.xyb, 1), *colour, (1, 1), (0, 2), (1, 1), *(_coded_profile(profile) if profile else [])]
    number, at = 0, 0
    for value, size in fields:
        number |= value << at
        at += size
    return number.to_bytes(-(-at // 8), "little") + codestream[-(-old.end // 8) :]


def _coded_profile(profile: bytes) -> Bits:
    """A profile in the simplest way (E.4): no tags, one insertion, a prefix code of 8 bits for each byte."""
    likely = bytearray(128)
    likely[:4], likely[8], likely[12:24], likely[36:40] = profile[:4], 4, b"mntrRGB XYZ ", b"acsp"
    likely[68:84] = b"\0\0\xf6\xd6\0\1\0\0\0\0\xd3\x2d" + profile[4:8]
    platform = {b"A": b"APPL", b"M": b"MSFT"}.get(profile[40:41], b"")
    likely[40 : 40 + len(platform)] = b"\0" * bool(platform) + platform[1:]
    header = bytes((byte - guess) % 256 for byte, guess in zip(profile, likely, strict=False))
    commands = b"\0\1" + _variable(len(profile) - 128)
    coded = _variable(len(profile)) + _variable(len(commands)) + commands + header + profile[128:]
    bits = [(3, 2), (len(coded) & 0xFFF, 12), (1, 1), (len(coded) >> 12, 8), (0, 1)]  # U64
    bits += [(0, 1), (1, 1), (0, 2), (1, 1), (15, 4), (1, 1), (7, 4), (127, 7)]  # one code of 256 symbols
    bits += [(0, 2)] + [(0, 2)] * 10 + [(2, 2)] + [(0, 2)] * 7  # whose lengths are all 8
    return bits + [(int(f"{byte:08b}"[::-1], 2), 8) for byte in coded]


def _variable(number: int) -> bytes:
    made = b""
    while number > 127:
        made, number = made + bytes([number & 127 | 128]), number >> 7
    return made + bytes([number])


def bare(file: bytes) -> bytes:
    """The codestream of a file."""
    if file[:2] == b"\xff\x0a":
        return file
    joined, at = b"", 0
    while at < len(file):
        length, kind = struct.unpack(">I4s", file[at : at + 8])
        length = length or len(file) - at
        if kind in (b"jxlc", b"jxlp"):
            joined += file[at + 8 + 4 * (kind == b"jxlp") : at + length]
        at += length
    return joined


def container(*boxes: tuple[bytes, bytes]) -> bytes:
    """A file of boxes (ISO/IEC 18181-2)."""
    start = b"\0\0\0\x0cJXL \r\n\x87\n\0\0\0\x14ftypjxl \0\0\0\0jxl "
    return start + b"".join(struct.pack(">I4s", 8 + len(content), kind) + content for kind, content in boxes)
