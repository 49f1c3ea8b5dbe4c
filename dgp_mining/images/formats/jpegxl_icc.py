"""The ICC profile in a JPEG XL codestream (ISO/IEC 18181-1:2024, E.4), which imagecodecs does not give."""

from __future__ import annotations

from .bit_reader import BitReader
from .jpegxl_entropy import EntropyDecoder

_MAX_PROFILE = 1 << 22  # bytes; more would take long, and a few bits can stand for many bytes
_CONTEXTS = 41
_HEADER = 128
_TAGS = (
    b"cprt", b"wtpt", b"bkpt", b"rXYZ", b"gXYZ", b"bXYZ", b"kXYZ", b"rTRC", b"gTRC", b"bTRC", b"kTRC",
    b"chad", b"desc", b"chrm", b"dmnd", b"dmdd", b"lumi",
)  # fmt: skip
_TYPES = (b"XYZ ", b"desc", b"text", b"mluc", b"para", b"curv", b"sf32", b"gbd ")
_POINTS = frozenset({b"rXYZ", b"gXYZ", b"bXYZ", b"kXYZ", b"wtpt", b"bkpt", b"lumi"})


def read_profile(codestream: bytes, start: int) -> bytes:
    """Decode the ICC profile that starts at a bit of a codestream.

    Raises ValueError if it is damaged, NotImplementedError if it is coded as libjxl does not.
    """
    bits = BitReader(codestream)
    bits.skip([start])
    size = bits.u64()
    if size > _MAX_PROFILE:
        raise ValueError("its colour profile is unreasonably long")
    decoder = EntropyDecoder(bits, _CONTEXTS)
    coded = bytearray()
    for index in range(size):
        number = decoder.number(_context(coded) if index > _HEADER else 0)
        if number > 255:
            raise ValueError("its colour profile is damaged")
        coded.append(number)
    try:
        return _Unpacked(bytes(coded)).profile
    except IndexError as error:
        raise ValueError("its colour profile is damaged") from error


def _context(coded: bytearray) -> int:
    """The context of the next byte by the two before (E.4.1)."""
    return 1 + _kind(coded[-1]) + 8 * _coarse_kind(coded[-2])


def _text(byte: int) -> int | None:
    character = chr(byte)
    if character.isascii() and character.isalpha():
        return 0
    return 1 if character in "0123456789.," else None


def _kind(byte: int) -> int:
    text = _text(byte)
    if text is not None:
        return text
    if byte < 16:
        return {0: 2, 1: 3}.get(byte, 4)
    return 6 if byte == 255 else 5 if byte > 240 else 7


def _coarse_kind(byte: int) -> int:
    text = _text(byte)
    if text is not None:
        return text
    return 2 if byte < 16 else 3 if byte > 240 else 4


class _Unpacked:
    """A profile that is being put together from commands and data (E.4.2)."""

    def __init__(self, coded: bytes) -> None:
        self._coded = coded
        self._at = 0  # in the commands
        size = self._number()
        length = self._number()
        self._commands_end = self._data = self._at + length
        if size > _MAX_PROFILE or self._commands_end > len(coded):
            raise ValueError("its colour profile is damaged")
        self._made = bytearray()
        self._header(size)
        if len(self._made) < size:
            self._tags()
            while self._at < self._commands_end and len(self._made) <= size:
                self._content()
        if len(self._made) != size or self._data != len(coded):
            raise ValueError("its colour profile is damaged")
        self.profile = bytes(self._made)

    def _byte(self) -> int:
        self._at += 1
        return self._coded[self._at - 1]

    def _number(self) -> int:
        number, shift = 0, 0
        while True:
            byte = self._byte()
            number |= (byte & 127) << shift
            shift += 7
            if byte < 128 or shift > 63:
                return number

    def _take(self, count: int) -> bytes:
        self._data += count
        if self._data > len(self._coded):
            raise ValueError("its colour profile is damaged")
        return self._coded[self._data - count : self._data]

    def _header(self, size: int) -> None:
        likely = bytearray(_HEADER)
        likely[:4] = size.to_bytes(4)
        likely[8], likely[12:24], likely[36:40] = 4, b"mntrRGB XYZ ", b"acsp"
        likely[68:80] = b"\0\0\xf6\xd6\0\1\0\0\0\0\xd3\x2d"
        made = self._made
        for index in range(min(_HEADER, size)):
            if index == 8:
                likely[80:84] = made[4:8]
            elif index in (41, 42):  # the platform: APPL, MSFT, SGI or SUNW
                rest = {b"A": b"PPL", b"M": b"SFT", b"SG": b"I ", b"SU": b"NW"}.get(bytes(made[40:]), b"")
                likely[index : index + len(rest)] = rest
            made.append(self._take(1)[0] + likely[index] & 255)

    def _tags(self) -> None:
        count = self._number() - 1
        if count < 0:
            return
        self._append_numbers(count)
        start, size = _HEADER + 12 * count, 0
        while self._at < self._commands_end:
            command = self._byte()
            code = command & 63
            if code == 0:
                return
            tag = {1: b"", 2: b"rTRC", 3: b"rXYZ"}.get(code) if code < 4 else _TAGS[code - 4]
            tag = tag or self._take(4)
            start = self._number() if command & 64 else start + size
            size = 20 if tag in _POINTS else size
            size = self._number() if command & 128 else size
            self._made += tag
            self._append_numbers(start, size)
            if code in (2, 3):
                step = size if code == 3 else 0
                for index, colour in ((1, b"g"), (2, b"b")):
                    self._made += colour + tag[1:]
                    self._append_numbers(start + index * step, size)

    def _append_numbers(self, *numbers: int) -> None:
        for number in numbers:
            self._made += (number & 0xFFFFFFFF).to_bytes(4)

    def _content(self) -> None:
        command = self._byte()
        if command == 1:
            self._made += self._take(self._number())
        elif command in (2, 3):
            self._made += _shuffled(self._take(self._number()), 2 if command == 2 else 4)
        elif command == 4:
            self._predicted()
        elif command == 10:
            self._made += b"XYZ " + bytes(4) + self._take(12)
        elif 16 <= command < 16 + len(_TYPES):
            self._made += _TYPES[command - 16] + bytes(4)
        else:
            raise ValueError("its colour profile is damaged")

    def _predicted(self) -> None:
        """Numbers that continue the ones before, constantly, in a line or a parabola."""
        flags = self._byte()
        width, order = (flags & 3) + 1, flags >> 2 & 3
        stride = self._number() if flags & 16 else width
        residuals = self._take(self._number())
        if width == 3 or order == 3 or not width <= stride <= (len(self._made) - 1) // 4:
            raise ValueError("its colour profile is damaged")
        residuals = _shuffled(residuals, width)
        made, start = self._made, len(self._made)
        predicted = b""
        for index, residual in enumerate(residuals):
            if index % width == 0:
                at = start + index
                one, two, three = (
                    int.from_bytes(made[at - back * stride : at - back * stride + width])
                    for back in (1, 2, 3)
                )
                value = (one, 2 * one - two, 3 * one - 3 * two + three)[order]
                predicted = (value & (1 << 8 * width) - 1).to_bytes(width)
            made.append(predicted[index % width] + residual & 255)


def _shuffled(content: bytes, width: int) -> bytes:
    """Put bytes that lie column by column into rows of a width."""
    height = -(-len(content) // width)
    shuffled = bytearray()
    start = at = 0
    for _ in content:
        shuffled.append(content[at])
        at += height
        if at >= len(content):
            start += 1
            at = start
    return bytes(shuffled)
