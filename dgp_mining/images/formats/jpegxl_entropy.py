"""The entropy coding of JPEG XL (ISO/IEC 18181-1:2024, annex C), as far as an ICC profile needs it.

libjxl codes profiles by prefix codes only, so that the other kind, asymmetric numeral systems, is left out.
"""

from __future__ import annotations

from dataclasses import dataclass

from .bit_reader import BitReader

_WINDOW = 1 << 20
_LONGEST = 15
# The code of the lengths of the codes of code lengths, and their order (RFC 7932, 3.5).
_LENGTH_LENGTHS = {(2, 0): 0, (2, 1): 4, (2, 2): 3, (3, 3): 2, (4, 7): 1, (4, 15): 5}
_LENGTH_ORDER = (1, 2, 3, 4, 0, 5, 17, 6, 16, 7, 8, 9, 10, 11, 12, 13, 14, 15)

Prefixes = dict[tuple[int, int], int]
"""The value of each code, by its (length, bits), the first bit lowest."""


@dataclass(frozen=True)
class _Number:
    """How a symbol and the bits that follow it make a number (C.3.3)."""

    split: int
    high: int
    low: int

    def read(self, bits: BitReader, symbol: int) -> int:
        if symbol < 1 << self.split:
            return symbol
        inside = self.high + self.low
        count = self.split - inside + ((symbol - (1 << self.split)) >> inside)
        if count > 32:
            raise ValueError("a number of its colour profile is too large")
        low = symbol & (1 << self.low) - 1
        high = 1 << self.high | symbol >> self.low & (1 << self.high) - 1
        return (high << count | bits.bits(count)) << self.low | low


class EntropyDecoder:
    """Numbers, each coded by the distribution of its context.

    Raises ValueError if the distributions are damaged, NotImplementedError if they are not prefix codes.
    """

    def __init__(self, bits: BitReader, contexts: int, repeats_allowed: bool = True) -> None:
        self.bits = bits
        self._least_repeat = 0
        self._repeats = bits.flag()
        if self._repeats:
            if not repeats_allowed:
                raise ValueError("its colour profile is coded wrongly")
            self._first_repeat = bits.u32((0, 224), (0, 512), (0, 4096), (15, 8))
            self._least_repeat = bits.u32((0, 3), (0, 4), (2, 5), (8, 9))
            self._repeat_length = _number(bits, 8)
            contexts += 1
        self._clusters = _clusters(bits, contexts) if contexts > 1 else [0]
        count = max(self._clusters) + 1
        if not bits.flag():
            raise NotImplementedError("asymmetric numeral systems")
        self._numbers = [_number(bits, _LONGEST) for _ in range(count)]
        sizes = [1 + _short_number(bits) for _ in range(count)]
        self._codes = [_prefixes(bits, size) for size in sizes]
        self._window: list[int] = []
        self._copies = self._copied = 0

    def number(self, context: int) -> int:
        """Decode the next number of a context. Raises ValueError."""
        if not self._copies:
            cluster = self._clusters[context]
            symbol = _by_prefix(self.bits, self._codes[cluster])
            if not self._repeats or symbol < self._first_repeat:
                value = self._numbers[cluster].read(self.bits, symbol)
                self._window.append(value)
                return value
            length = self._repeat_length.read(self.bits, symbol - self._first_repeat)
            self._copies = length + self._least_repeat
            last = self._clusters[-1]
            distance = 1 + self._numbers[last].read(self.bits, _by_prefix(self.bits, self._codes[last]))
            self._copied = len(self._window) - min(distance, len(self._window), _WINDOW)
        value = self._window[self._copied] if self._copied < len(self._window) else 0
        self._copies, self._copied = self._copies - 1, self._copied + 1
        self._window.append(value)
        return value


def _number(bits: BitReader, alphabet: int) -> _Number:
    split = bits.bits(alphabet.bit_length())
    if split == alphabet:
        return _Number(split, 0, 0)
    high = bits.bits(split.bit_length())
    low = bits.bits((split - high).bit_length()) if high <= split else 0
    if high + low > split:
        raise ValueError("its colour profile is coded wrongly")
    return _Number(split, high, low)


def _short_number(bits: BitReader) -> int:
    """A number of which small ones take few bits."""
    if not bits.flag():
        return 0
    count = bits.bits(4)
    return (1 << count) + bits.bits(count)


def _clusters(bits: BitReader, contexts: int) -> list[int]:
    """Which distribution each context uses (C.2.2)."""
    if bits.flag():
        size = bits.bits(2)
        return [bits.bits(size) for _ in range(contexts)]
    moved = bits.flag()
    decoder = EntropyDecoder(bits, 1, repeats_allowed=contexts > 2)
    clusters = [decoder.number(0) for _ in range(contexts)]
    if max(clusters) > 255:
        raise ValueError("its colour profile is coded wrongly")
    if moved:
        order = list(range(256))
        for index, place in enumerate(clusters):
            clusters[index] = order[place]
            order.insert(0, order.pop(place))
    return clusters


def _by_prefix(bits: BitReader, codes: Prefixes) -> int:
    """Decode a symbol of a prefix code."""
    code = 0
    for length in range(_LONGEST + 1):
        if (symbol := codes.get((length, code))) is not None:
            return symbol
        code |= bits.bits(1) << length
    raise ValueError("its colour profile is coded wrongly")


def _prefixes(bits: BitReader, size: int) -> Prefixes:
    """The prefix code of an alphabet (C.2.4, RFC 7932, 3.4 and 3.5)."""
    if size == 1:
        return {(0, 0): 0}
    skipped = bits.bits(2)
    if skipped == 1:
        return _simple_prefixes(bits, size)
    lengths, space = [0] * 18, 32
    for index in _LENGTH_ORDER[skipped:]:
        if space <= 0:
            break
        lengths[index] = _by_prefix(bits, _LENGTH_LENGTHS)
        space -= 32 >> lengths[index] if lengths[index] else 0
    if space and sum(map(bool, lengths)) != 1:
        raise ValueError("its colour profile is coded wrongly")
    return _canonical(_code_lengths(bits, _canonical(lengths), size))


def _simple_prefixes(bits: BitReader, size: int) -> Prefixes:
    symbols = [bits.bits((size - 1).bit_length()) for _ in range(1 + bits.bits(2))]
    if len(set(symbols)) < len(symbols) or max(symbols) >= size:
        raise ValueError("its colour profile is coded wrongly")
    deep = len(symbols) == 4 and bits.flag()
    lengths = {1: [0], 2: [1, 1], 3: [1, 2, 2], 4: [1, 2, 3, 3] if deep else [2, 2, 2, 2]}[len(symbols)]
    if lengths == [0]:
        return {(0, 0): symbols[0]}
    of_all = [0] * size
    for symbol, length in zip(symbols, lengths, strict=True):
        of_all[symbol] = length
    return _canonical(of_all)


def _code_lengths(bits: BitReader, codes: Prefixes, size: int) -> list[int]:
    lengths: list[int] = []
    before, repeat, repeated, space = 8, 0, 0, 1 << 15
    while len(lengths) < size and space > 0:
        code = _by_prefix(bits, codes)
        if code < 16:
            repeat = 0
            lengths.append(code)
            if code:
                before = code
                space -= 1 << 15 >> code
            continue
        again = before if code == 16 else 0
        if repeated != again:
            repeat, repeated = 0, again
        old = repeat
        repeat = (repeat - 2 << code - 14 if repeat else 0) + 3 + bits.bits(code - 14)
        lengths += [again] * (repeat - old)
        space -= (repeat - old << 15 - again) if again else 0
    if space or len(lengths) > size:
        raise ValueError("its colour profile is coded wrongly")
    return lengths


def _canonical(lengths: list[int]) -> Prefixes:
    """Give out codes by length, then symbol; they are stored from their highest bit."""
    codes: Prefixes = {}
    used = [symbol for symbol, length in enumerate(lengths) if length]
    if len(used) == 1:
        return {(0, 0): used[0]}
    code, before = 0, 0
    for symbol in sorted(used, key=lambda symbol: (lengths[symbol], symbol)):
        length = lengths[symbol]
        code <<= length - before
        codes[length, int(f"{code:0{length}b}"[::-1], 2)] = symbol
        code, before = code + 1, length
    return codes
