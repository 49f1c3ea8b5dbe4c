"""The structs that a C header declares, for comparison with their mirrors in Python."""

from __future__ import annotations

import ctypes
import re
from pathlib import Path
from types import ModuleType

CTYPES = {
    "int32_t": ctypes.c_int32,
    "int64_t": ctypes.c_int64,
    "float": ctypes.c_float,
    "double": ctypes.c_double,
}


def members_of(struct: str, header: Path, mirrors: ModuleType) -> list[tuple[str, object]]:
    """Return (name, ctypes type) of a struct's members, in order; `mirrors` has the structs in it."""
    text = re.sub(r"//.*", "", header.read_text())
    (body,) = re.findall(rf"struct {struct} \{{(.*?)\n\}};", text, re.DOTALL)
    found = []
    for declaration in re.findall(r"^ +([^()]+?);", re.sub(r".*\(.*", "", body), re.MULTILINE):
        declared, names = re.fullmatch(r"(?:const )?(\w+\*?) (.*)", declaration).groups()
        for name in names.split(", "):
            base, length = re.fullmatch(r"(\w+)(?:\[(\d+)\])?", name).groups()
            if declared.endswith("*"):
                kind = ctypes.c_void_p
            else:
                kind = CTYPES.get(declared) or getattr(mirrors, declared)
            found.append((base, kind * int(length) if length else kind))
    return found
