"""The entropy coding of JPEG XL (ISO/IEC 18181-1:2024, annex C), as far as an ICC profile needs it."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass

from .bit_reader import BitReader

_RANGE_BITS = 12
_RANGE = 1 << _RANGE_BITS
_FINAL_STATE = 0x130000
_REPEAT = 13
_WINDOW = 1 << 20
# (length, value) of the code of a count's logarithm, by its first bits, lowest first (C.2.5).
_LOG_COUNTS = {
    (3, 0): 10, (3, 2): 7, (3, 4): 6, (3, 5): 8, (3, 6): 9, (4, 3): 3, (4, 11): 1, (4, 7): 5, (4, 15): 2,
    (4, 9): 4, (5, 17): 0, (6, 33): 11, (7, 1): 12, (7, 65): _REPEAT,
}  # fmt: skip
# The same for the lengths of the codes of code lengths, and their order (RFC 7932, 3.5).
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
    """Numbers, each coded by the distribution of its context."""

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
        prefixed = bits.flag()
        alphabet = 15 if prefixed else 5 + bits.bits(2)
        self._numbers = [_number(bits, alphabet) for _ in range(count)]
        self._state = _FINAL_STATE
        self._symbols: list[Callable[[], int]]
        if prefixed:
            sizes = [1 + _short_number(bits, 4) for _ in range(count)]
            codes = [_prefixes(bits, size) for size in sizes]
            self._symbols = [functools.partial(_by_prefix, bits, code) for code in codes]
        else:
            tables = [_AliasTable(_counts(bits), alphabet) for _ in range(count)]
            self._symbols = [functools.partial(self._by_state, table) for table in tables]
            self._state = bits.bits(32)
        self._window: list[int] = []
        self._copies = self._copied = 0

    def number(self, context: int) -> int:
        """Decode the next number of a context. Raises ValueError."""
        if not self._copies:
            cluster = self._clusters[context]
            symbol = self._symbols[cluster]()
            if not self._repeats or symbol < self._first_repeat:
                value = self._numbers[cluster].read(self.bits, symbol)
                self._window.append(value)
                return value
            length = self._repeat_length.read(self.bits, symbol - self._first_repeat)
            self._copies = length + self._least_repeat
            last = self._clusters[-1]
            distance = 1 + self._numbers[last].read(self.bits, self._symbols[last]())
            self._copied = len(self._window) - min(distance, len(self._window), _WINDOW)
        value = self._window[self._copied] if self._copied < len(self._window) else 0
        self._copies, self._copied = self._copies - 1, self._copied + 1
        self._window.append(value)
        return value

    def finish(self) -> None:
        """Check that all was decoded. Raises ValueError if not."""
        if self._state != _FINAL_STATE:
            raise ValueError("its colour profile is damaged")

    def _by_state(self, table: _AliasTable) -> int:
        symbol, offset, count = table.look_up(self._state & _RANGE - 1)
        self._state = count * (self._state >> _RANGE_BITS) + offset
        if self._state < 1 << 16:
            self._state = self._state << 16 | self.bits.bits(16)
        return symbol


class _AliasTable:
    """A distribution whose symbols are looked up in constant time (C.2.6)."""

    def __init__(self, counts: list[int], alphabet: int) -> None:
        size = 1 << alphabet
        if len(counts) > size:
            raise ValueError("its colour profile has too many symbols")
        self._bits = _RANGE_BITS - alphabet
        self._counts = counts + [0] * (size - len(counts))
        room = 1 << self._bits
        self._right, self._offset, self._cut = list(range(size)), [0] * size, list(self._counts)
        if _RANGE in counts:
            symbol = counts.index(_RANGE)
            self._right, self._cut = [symbol] * size, [0] * size
            self._offset = [room * index for index in range(size)]
            return
        over = [index for index, count in enumerate(self._cut) if count > room]
        under = [index for index, count in enumerate(self._cut) if count < room]
        while over:
            rich, poor = over.pop(), under.pop()
            self._cut[rich] -= room - self._cut[poor]
            self._right[poor], self._offset[poor] = rich, self._cut[rich]
            if self._cut[rich] < room:
                under.append(rich)
            elif self._cut[rich] > room:
                over.append(rich)
        for index, cut in enumerate(self._cut):
            if cut == room:
                self._right[index], self._offset[index], self._cut[index] = index, 0, 0
            else:
                self._offset[index] -= cut

    def look_up(self, value: int) -> tuple[int, int, int]:
        """(symbol, offset, count)."""
        index, place = value >> self._bits, value & (1 << self._bits) - 1
        if place >= self._cut[index]:
            symbol = self._right[index]
            return symbol, self._offset[index] + place, self._counts[symbol]
        return index, place, self._counts[index]


def _number(bits: BitReader, alphabet: int) -> _Number:
    split = bits.bits(alphabet.bit_length())
    if split == alphabet:
        return _Number(split, 0, 0)
    high = bits.bits(split.bit_length())
    low = bits.bits((split - high).bit_length()) if high <= split else 0
    if high + low > split:
        raise ValueError("its colour profile is coded wrongly")
    return _Number(split, high, low)


def _short_number(bits: BitReader, size: int) -> int:
    """A number of which small ones take few bits."""
    if not bits.flag():
        return 0
    count = bits.bits(size)
    return (1 << count) + bits.bits(count)


def _clusters(bits: BitReader, contexts: int) -> list[int]:
    """Which distribution each context uses (C.2.2)."""
    if bits.flag():
        size = bits.bits(2)
        return [bits.bits(size) for _ in range(contexts)]
    moved = bits.flag()
    decoder = EntropyDecoder(bits, 1, repeats_allowed=contexts > 2)
    clusters = [decoder.number(0) for _ in range(contexts)]
    decoder.finish()
    if max(clusters) > 255:
        raise ValueError("its colour profile is coded wrongly")
    if moved:
        order = list(range(256))
        for index, place in enumerate(clusters):
            clusters[index] = order[place]
            order.insert(0, order.pop(place))
    return clusters


def _counts(bits: BitReader) -> list[int]:
    """How often each symbol occurs, in 4096 (C.2.5)."""
    if bits.flag():
        symbols = [_short_number(bits, 3) for _ in range(1 + bits.bits(1))]
        counts = [0] * (max(symbols) + 1)
        counts[symbols[0]] = bits.bits(_RANGE_BITS) if len(symbols) == 2 else _RANGE
        if len(symbols) == 2:
            counts[symbols[1]] = _RANGE - counts[symbols[0]]
        return counts
    if bits.flag():
        size = 1 + _short_number(bits, 3)
        return [_RANGE // size + (index < _RANGE % size) for index in range(size)]
    log = 0
    while log < 3 and bits.flag():
        log += 1
    shift = (1 << log | bits.bits(log)) - 1
    size = 3 + _short_number(bits, 3)
    logs: list[int] = []
    repeated: dict[int, int] = {}
    while len(logs) < size:
        logs.append(_by_prefix(bits, _LOG_COUNTS))
        if logs[-1] == _REPEAT:
            length = 4 + _short_number(bits, 3)
            repeated[len(logs) - 1] = length
            logs += [-1] * (length - 1)
    largest = max(range(len(logs)), key=lambda index: (logs[index] if logs[index] != _REPEAT else -1, -index))
    counts = [0] * len(logs)
    index = 0
    while index < len(logs):
        if index in repeated:
            before = counts[index - 1] if index else 0
            counts[index : index + repeated[index]] = [before] * repeated[index]
            index += repeated[index]
            continue
        log = logs[index] - 1
        if log >= 0 and index != largest:
            precision = max(0, min(log, shift - (_RANGE_BITS - log >> 1)))
            counts[index] = (1 << log) + (bits.bits(precision) << log - precision)
        index += 1
    counts[largest] = _RANGE - sum(counts)
    if counts[largest] <= 0 or len(logs) > size:
        raise ValueError("its colour profile is coded wrongly")
    return counts


def _by_prefix(bits: BitReader, codes: Prefixes) -> int:
    """Decode a symbol of a prefix code."""
    code = 0
    for length in range(16):
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
