"""Finding and opening the compiled libraries of this project's packages."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator, Mapping
from ctypes import c_int64
from importlib.resources import files
from pathlib import Path

SUFFIX = {"win32": ".dll", "darwin": ".dylib"}.get(sys.platform, ".so")
"""Of the files of libraries on this system."""


def library_paths(package: str, name: str) -> Iterator[Path]:
    """Yield the files of the library `name`: in the installed package, then the checkout's, newest first."""
    installed = Path(str(files(package) / f"{name}{SUFFIX}"))
    build = Path(__file__).resolve().parents[2] / "build"
    built = sorted(build.glob(f"*/{name}{SUFFIX}"), key=lambda p: p.stat().st_mtime, reverse=True)
    yield from filter(Path.exists, (installed, *built))


def open_library(
    path: Path, name: str, abi: int, entry_points: Mapping[str, type[ctypes.Structure]]
) -> ctypes.CDLL | None:
    """Open the library `name` at `path`; return None if its interface is not of version `abi`.

    `entry_points` has the struct of arguments of each function, whose name is this one without `name` and an
    underscore. Raises ImportError if the size of a struct differs from what the library expects.
    """
    library = ctypes.CDLL(str(path))
    if getattr(library, f"{name}_abi")() != abi:
        return None
    size_of = getattr(library, f"{name}_struct_size")
    size_of.restype = c_int64
    for function, struct in entry_points.items():
        size = size_of(function.encode())
        if size != ctypes.sizeof(struct):
            raise ImportError(
                f"{path}: the arguments of {name}_{function} have {size} bytes, not the "
                f"{ctypes.sizeof(struct)} that {name} passes; rebuild the library"
            )
        getattr(library, f"{name}_{function}").argtypes = [ctypes.POINTER(struct)]
    return library
