"""The library in C++ (`src`) that measures fitted fields and crops, called with ctypes.

Where it is missing, `gaussians` and `pixels` compute with numpy, slower, and to the same bits. The library
knows neither Python nor numpy; a call releases the interpreter lock.
"""

from __future__ import annotations

import ctypes
from ctypes import c_double, c_int32, c_int64, c_void_p
from pathlib import Path

import numpy as np

from splat2d.native_library import library_paths, open_library

ABI = 1
"""Version of the C interface (src/api.h) that this module calls."""

_NO_MEMORY = -2  # api.h's Status


class GaussiansArguments(ctypes.Structure):
    """Mirror of the struct in src/api.h, member by member; so is the one below."""

    _fields_ = (
        ("gaussians", c_int64),
        ("channels", c_int32),
        ("bins", c_int32),
        ("height", c_double),
        ("width", c_double),
        ("spacing", c_double),
        ("cutoff", c_double),
        ("dead", c_double),
        ("border", c_double),
        ("means", c_void_p),
        ("cholesky", c_void_p),
        ("colors", c_void_p),
        ("ranges", c_void_p),
        ("turns", c_void_p),
        ("classes", c_void_p),
        ("sums", c_void_p),
        ("histograms", c_void_p),
    )


class PixelsArguments(ctypes.Structure):
    _fields_ = (
        ("height", c_int64),
        ("width", c_int64),
        ("channels", c_int32),
        ("block", c_int32),
        ("pixels", c_void_p),
        ("window", c_void_p),
        ("windowed", c_void_p),
        ("sums", c_void_p),
        ("middle", c_void_p),
    )


ENTRY_POINTS: dict[str, type[ctypes.Structure]] = {"gaussians": GaussiansArguments, "pixels": PixelsArguments}
"""Name of a function of the library, without `measure_` -> its struct of arguments."""


def load(path: Path) -> ctypes.CDLL | None:
    """Load the library at `path`; return None if its interface has another version.

    Raises ImportError if the size of a struct differs from its mirror here.
    """
    return open_library(path, "measure", ABI, ENTRY_POINTS)


LIBRARY = next(filter(None, map(load, library_paths("dgp_mining", "measure"))), None)


def pointer(array: np.ndarray) -> int:
    """Return the address of an array's first element; the array must be contiguous and outlive the call."""
    return int(array.ctypes.data)


def call(name: str, arguments: ctypes.Structure) -> None:
    """Call an entry point and turn its status (api.h) into an exception."""
    status = getattr(LIBRARY, f"measure_{name}")(ctypes.byref(arguments))
    if status == _NO_MEMORY:
        raise MemoryError("not enough memory to measure a crop")
    if status != 0:
        raise ValueError(f"measure_{name} got arguments that its caller should have checked")
