"""Arrays in NumPy's files, .npy and .npz: headers are compared with what is expected before arrays are read.

A zip archive of a kilobyte can hold a gigabyte of zeros, and a header can claim any type and shape.
"""

from __future__ import annotations

import io
import math
import warnings
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import IO

import numpy as np

_HEADER = 10_000
"""Characters of the longest header that is read; those of plain arrays have 118."""

_KINDS = {"b": "booleans", "i": "whole numbers", "u": "whole numbers", "f": "floats", "U": "text"}


class ArrayFileError(ValueError):
    """A file holds no such arrays; the message is a clause with the reason, without the file's name."""


@dataclass(frozen=True)
class Form:
    """What an array may be."""

    kinds: str
    """The letters of its possible types, as those of `numpy.dtype.kind`: "f", "iu", "U"."""
    shape: tuple[int | None, ...]
    """None stands for any extent."""
    most: int
    """Most bytes."""

    def __str__(self) -> str:
        kinds = " or ".join(dict.fromkeys(_KINDS[kind] for kind in self.kinds))
        return f"{kinds} of shape [{', '.join('any' if n is None else str(n) for n in self.shape)}]"


def read_npz(content: bytes, forms: Mapping[str, Form]) -> dict[str, np.ndarray]:
    """Return the arrays named in `forms` from an .npz file; others in it are not read.

    Raises ArrayFileError if it is none, or if an array is missing or has another form.

    >>> file = io.BytesIO()
    >>> np.savez(file, kernels=np.ones((2, 3)))
    >>> read_npz(file.getvalue(), {"kernels": Form("f", (None, 3), 1000)})["kernels"].shape
    (2, 3)
    >>> read_npz(file.getvalue(), {"kernels": Form("f", (None, 3), 40)})
    Traceback (most recent call last):
    dgp_mining.array_file.ArrayFileError: kernels claims 48 bytes, more than the 40 that are read
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = {info.filename: info for info in archive.infolist()}
            for name in forms:
                if f"{name}.npy" not in members:
                    raise ArrayFileError(f"{name} is missing in it")
            return {name: _member(archive, members[f"{name}.npy"], name, forms[name]) for name in forms}
    except ArrayFileError:
        raise
    except Exception as error:  # zipfile and zlib raise about ten kinds for a damaged archive
        raise ArrayFileError("it is not an .npz file of plain arrays") from error


def read_npy(file: IO[bytes], form: Form, name: str = "its array") -> np.ndarray:
    """Return the array of an .npy file, which `file` reads from its start; `name` is for errors.

    Raises ArrayFileError if it is none, or has another form.
    """
    try:
        if np.lib.format.read_magic(file) != (1, 0):  # others have headers of any length, for records
            raise ArrayFileError(f"{name} is no plain array")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about headers that Python 2 wrote
            shape, by_columns, dtype = np.lib.format.read_array_header_1_0(file, max_header_size=_HEADER)
        _check(shape, dtype, form, name)
        # One byte more than there should be: reaching the end makes zipfile compare the checksum.
        nbytes = math.prod(shape) * dtype.itemsize
        content = file.read(nbytes + 1)
    except ArrayFileError:
        raise
    except Exception as error:  # zipfile, zlib, and what evaluates the header as an expression of Python
        raise ArrayFileError(f"{name} is not in NumPy's format, or damaged") from error
    if len(content) != nbytes:
        raise ArrayFileError(f"{name} has more or fewer bytes than its shape {list(shape)} takes")
    array = np.frombuffer(content, dtype).reshape(shape, order="F" if by_columns else "C")
    return np.array(array, dtype.newbyteorder("="), order="C")


def _member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, name: str, form: Form) -> np.ndarray:
    if info.file_size > form.most + _HEADER:
        raise ArrayFileError(f"{name} claims {info.file_size} bytes, more than the {form.most} that are read")
    with archive.open(info) as file:
        return read_npy(file, form, name)


def _check(shape: tuple[int, ...], dtype: np.dtype, form: Form, name: str) -> None:
    fits = len(shape) == len(form.shape) and all(
        wanted in (None, found) for found, wanted in zip(shape, form.shape, strict=True)
    )
    if dtype.kind not in form.kinds or not fits:
        raise ArrayFileError(f"{name} must be {form}, not {dtype} of shape {list(shape)}"[:300])
    nbytes = math.prod(shape) * dtype.itemsize
    if nbytes > form.most:
        raise ArrayFileError(f"{name} claims {nbytes} bytes, more than the {form.most} that are read")
