"""Pickled objects in a file of torch.save, which are not read because that could run code.

To say what they are, and how to save the weights without them, the pickle's instructions are listed and none
is followed.
"""

from __future__ import annotations

import pickletools
import re
import zipfile
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from torch.serialization import MAGIC_NUMBER

from .container import KEYS

Opcode = tuple[str, Any]
MOST_LISTED = 200_000
"""Instructions that are listed: the first tell what the content is."""


def describe_pickle(path: Path, error: str) -> str:
    """Return why torch refused a pickle, and how to save its weights alone; "" unless it is a whole one.

    `error` is torch's message.
    """
    try:
        opcodes = list(islice(_opcodes(path), MOST_LISTED))
    except Exception:  # whatever other bytes may lead to
        return ""
    if not opcodes:
        return "is a pickle that torch.save did not write: save its tensors by name with torch.save"
    refused = re.search(r"GLOBAL (\S+) (?:was not an allowed|whose module)", error)
    protocol = next((argument for name, argument in opcodes if name == "PROTO"), 0)
    if refused:
        found = f"holds pickled objects ({refused[1]}), which could run code when read"
    elif protocol > 2:
        found = (
            f"was saved with pickle protocol {protocol}, and torch reads weights alone only from protocol 2"
        )
    else:
        return ""
    alone = _weights_alone(f'torch.load("{path.name}", weights_only=False)', opcodes, found)
    return f'{found}: where you trust it, save its weights alone with torch.save({alone}, "weights.pth")'


def _opcodes(path: Path) -> Iterator[Opcode]:
    """Yield the instructions of the pickle in a file of torch.save; nothing for another pickle."""
    with path.open("rb") as file:
        zipped = file.read(4) == b"PK\x03\x04"  # the sizes of whose entries are known to be true
    if zipped:
        with zipfile.ZipFile(path) as archive:
            name = next(name for name in archive.namelist() if name.endswith("data.pkl"))
            yield from _listed(archive.read(name))
        return
    with path.open("rb") as file:
        # of torch: the magic number, then a version and facts about the machine
        first = list(islice(_listed(file), MOST_LISTED))
        if all(argument != MAGIC_NUMBER for _, argument in first):
            return
        for _ in range(2):
            list(islice(_listed(file), MOST_LISTED))
        yield from _listed(file)


def _listed(pickle: Any) -> Iterator[Opcode]:
    """Yield a pickle's instructions, without those that only remember or measure."""
    for opcode, argument, _ in pickletools.genops(pickle):
        if "PUT" not in opcode.name and opcode.name not in ("MEMOIZE", "FRAME"):
            yield opcode.name, argument


def _weights_alone(loaded: str, opcodes: list[Opcode], found: str) -> str:
    """Return the Python expression that gives the state dict in what the expression `loaded` gives."""
    if not _begins_mapping(opcodes[1:4]):
        return f"{loaded}.state_dict()"
    texts = [argument if isinstance(argument, str) else "" for _, argument in opcodes]
    for key in sorted(KEYS, key=lambda key: "ema" not in key):
        if key in texts:
            at = texts.index(key) + 1
            return f'{loaded}["{key}"]' + ("" if _begins_mapping(opcodes[at : at + 3]) else ".state_dict()")
    if "numpy." in found:
        return f"{{name: torch.as_tensor(array) for name, array in {loaded}.items()}}"
    return loaded


def _begins_mapping(opcodes: list[Opcode]) -> bool:
    """Whether the first of these instructions begin a dictionary, or repeat the class of one."""
    name, argument = opcodes[0] if opcodes else ("", None)
    parts = [text for _, text in opcodes[:2]]
    return (
        name == "EMPTY_DICT"
        or "GET" in name
        or argument == "collections OrderedDict"
        or parts == ["collections", "OrderedDict"]
    )
