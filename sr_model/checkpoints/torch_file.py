"""Files of torch.save, as far as their sizes can be believed: what is looked at before and after torch reads.

torch reads weights without running code, but believes what a file says. A few bytes can claim a bytearray of
any length, or bytes that a codec doubles again and again; the entries of a zip archive may unpack to more
than the file; tuples nested a hundred thousand deep end the process once they are hashed, as keys are; a few
numbers, repeated without being stored again, make a tensor of any size; and objects may have attributes in
place of their methods.
"""

from __future__ import annotations

import mmap
import re
import zipfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

MOST_INSTRUCTIONS = 700_000
"""Instructions of a pickle; weights take some fifty for each tensor."""
MOST_NAMES = 50_000
"""Names in all mappings of a file together."""
DEEPEST_TUPLE = 50
SPARE_BYTES = 64_000_000
"""Bytes that tensors may claim beside three times those of the file: several may share their numbers."""

_BUILDING = frozenset(b"\x81Rbaesu(t\x85\x86\x87N\x88\x89)]}\x8fQ.")
"""Instructions without an argument, of those that torch reads."""
_ARGUMENTS = {
    **dict.fromkeys(b"hqK\x80", 1),
    **dict.fromkeys(b"M", 2),
    **dict.fromkeys(b"Jjr", 4),
    **dict.fromkeys(b"G", 8),
}
"""The bytes behind those that have an argument of always the same length."""
_LENGTHS = {ord("X"): 4, ord("U"): 1, 0x8A: 1}
"""The bytes that say how long the argument of the others is."""
_REPEATABLE_CODEC = re.compile(rb"\s*(?:hex|base|quo|uu|zip|zlib|bz2|rot)[\w\s-]*", re.IGNORECASE)
"""Names of codecs that can be applied to what they gave."""


class Excessive(Exception):
    """What a file claims beyond its own size, for the end of a sentence on it."""


def check_claims(path: Path) -> None:
    """Raise Excessive if reading a file of torch.save could take more than its size warrants.

    Files of another kind, which torch refuses, pass.
    """
    with path.open("rb") as file:
        start = file.read(4)
        if start == b"PK\x03\x04":
            _check_archive(path)
        elif start:
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
                at: int | None = 0
                for _ in range(5):  # magic number, version, machine, the content, the names of its storages
                    at = None if at is None else _Pickle(content, at).end()


def plain_content(content: Any, nbytes: int) -> Any:
    """Return what torch read from a file of `nbytes` with plain dictionaries and tensors without attributes.

    Mappings are copied, wherever they are reached through mappings alone. Raises Excessive if there are too
    many names, or tensors claim more numbers than the file can have.
    """
    made: dict[int, dict[Any, Any]] = {}
    claimed = 0

    def plain(value: Any) -> Any:
        nonlocal claimed
        if isinstance(value, Tensor):
            tensor = Tensor.detach(value)
            if tensor.layout == torch.strided and not tensor.is_meta:
                claimed += tensor.numel() * tensor.element_size()
            return tensor
        if not isinstance(value, dict):
            return value
        if id(value) not in made:
            made[id(value)] = {}
            waiting.append(value)
        return made[id(value)]

    waiting: list[dict[Any, Any]] = []
    result = plain(content)
    names = 0
    while waiting:
        one = waiting.pop()
        names += dict.__len__(one)
        if names > MOST_NAMES:
            raise Excessive(f"has more than {MOST_NAMES:,} names, and large networks have thousands")
        made[id(one)].update((key, plain(value)) for key, value in dict.items(one))
    if claimed > 3 * nbytes + SPARE_BYTES:
        raise Excessive(
            f"has tensors of {claimed / 1e6:,.0f} MB in a file of {nbytes / 1e6:,.1f} MB, as views have that "
            "repeat numbers: save copies of them"
        )
    return result


def _check_archive(path: Path) -> None:
    nbytes = path.stat().st_size
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            claimed = sum(entry.file_size for entry in entries)
            if claimed > nbytes:
                raise Excessive(
                    f"unpacks to {claimed / 1e6:,.1f} MB, more than the {nbytes / 1e6:,.1f} MB that it has: "
                    "save it again with torch.save, which does not compress"
                )
            for entry in entries:
                if entry.filename.endswith("data.pkl"):
                    _Pickle(archive.read(entry), 0).end()
    except Excessive:
        raise
    except Exception:  # of a damaged archive, of which torch says what is wrong
        return


class _Pickle:
    """One pickle, whose instructions are followed as far as tuples go, without making anything."""

    def __init__(self, content: bytes | mmap.mmap, at: int) -> None:
        self.content, self.at = content, at
        self.stack: list[int] = []
        """Of each object, how many tuples are nested in it."""
        self.below: list[list[int]] = []
        self.memo: dict[int, int] = {}
        self.codec = self.encodes = False

    def end(self) -> int | None:
        """Return where the pickle ends; None if torch refuses it. Raises Excessive."""
        try:
            for _ in range(MOST_INSTRUCTIONS):
                code = self.content[self.at]
                self.at += 1
                if code == 0x2E:  # STOP
                    return self.at
                if not self._follow(code):
                    return None
        except (IndexError, KeyError, ValueError):  # it is cut off, or no pickle
            return None
        raise Excessive(
            f"has more than {MOST_INSTRUCTIONS:,} instructions: save its weights alone with torch.save"
        )

    def _follow(self, code: int) -> bool:
        """Follow an instruction; False for one that torch does not know."""
        stack = self.stack
        if code in _ARGUMENTS:
            value = int.from_bytes(self._take(_ARGUMENTS[code]), "little")
            if code in b"qr":
                self.memo[value] = stack[-1]
            elif code in b"hj":
                stack.append(self.memo[value])
            elif code != 0x80:
                stack.append(0)
        elif code in _LENGTHS:
            size = int.from_bytes(self._take(_LENGTHS[code]), "little")
            if size <= 40 and _REPEATABLE_CODEC.fullmatch(self.content[self.at : self.at + size]):
                self.codec = True
            self.at += size
            stack.append(0)
        elif code == 0x63:  # GLOBAL
            self._take_global()
            stack.append(0)
        elif code in _BUILDING:
            self._build(code)
        else:
            return False
        if self.codec and self.encodes:
            raise Excessive("holds bytes in a codec that weights have no need of: save its tensors alone")
        return True

    def _take(self, size: int) -> bytes:
        self.at += size
        return self.content[self.at - size : self.at]

    def _take_global(self) -> None:
        """Pass over the two lines of a name that is to be imported."""
        middle = self.content.find(b"\n", self.at)
        end = self.content.find(b"\n", middle + 1)
        if min(middle, end) < 0:
            raise IndexError
        module, _, name = self.content[self.at : end].partition(b"\n")
        self.at = end + 1
        if name == b"bytearray":
            raise Excessive("holds a bytearray, which is no weight: save its tensors alone with torch.save")
        self.encodes = self.encodes or module == b"_codecs"

    def _build(self, code: int) -> None:
        """Take objects from the stack and put there what is made of them."""
        stack = self.stack
        if code == 0x28:  # MARK
            self.below.append(stack)
            self.stack = []
        elif code in b"teu":
            self.stack = self.below.pop()
            if code == 0x74:
                self._push_tuple(stack)
        elif code in b"\x85\x86\x87":
            parts = [stack.pop() for _ in range(code - 0x84)]
            self._push_tuple(parts)
        elif code in b"ab":
            stack.pop()
        elif code in b"Rs\x81Q":  # these make no tuple
            for _ in range(1 if code == 0x51 else 2):
                stack.pop()
            if code != 0x73:
                stack.append(0)
        else:
            stack.append(int(code == 0x29))  # the empty tuple, or anything else

    def _push_tuple(self, parts: list[int]) -> None:
        depth = 1 + max(parts, default=0)
        if depth > DEEPEST_TUPLE:
            raise Excessive(f"holds tuples nested more than {DEEPEST_TUPLE} deep: save its tensors alone")
        self.stack.append(depth)
