"""Reading numbers of any number of bits, the lowest first, as JPEG XL stores them (ISO/IEC 18181-1, B.2)."""

from __future__ import annotations

from collections.abc import Sequence


class BitReader:
    """Bits of some bytes, the lowest bit of each byte first."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.position = 0
        """Number of bits that were read."""

    def bits(self, count: int) -> int:
        """The next bits as a number. Raises ValueError if there are not so many."""
        start, self.position = self.position, self.position + count
        if self.position > 8 * len(self.content):
            raise ValueError("its header is cut short")
        taken = int.from_bytes(self.content[start // 8 : self.position // 8 + 1], "little")
        return taken >> start % 8 & (1 << count) - 1

    def flag(self) -> bool:
        """The next bit."""
        return bool(self.bits(1))

    def u32(self, *choices: tuple[int, int]) -> int:
        """A number whose first two bits choose (bits, offset) among four (B.2.3)."""
        count, offset = choices[self.bits(2)]
        return offset + self.bits(count)

    def u64(self) -> int:
        """A number of up to 64 bits in few (B.2.4)."""
        match self.bits(2):
            case 0:
                return 0
            case 1:
                return 1 + self.bits(4)
            case 2:
                return 17 + self.bits(8)
        value, shift = self.bits(12), 12
        while self.flag():
            if shift == 60:
                return value | self.bits(4) << 60
            value |= self.bits(8) << shift
            shift += 8
        return value

    def choice(self) -> int:
        """A number that stands for a name (B.2.8)."""
        return self.u32((0, 0), (0, 1), (4, 2), (6, 18))

    def skip(self, counts: Sequence[int]) -> None:
        """Leave out so many bits, one count after the other."""
        self.position += sum(counts)
        if self.position > 8 * len(self.content):
            raise ValueError("its header is cut short")
