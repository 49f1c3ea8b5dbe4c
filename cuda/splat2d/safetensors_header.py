"""What a safetensors file says about its tensors, checked against the file's own bytes before any is read."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError, safe_open

MOST_HEADER = 64_000_000
"""Bytes of the longest header that is read; those of large networks have below one million."""

MOST_TENSORS = 100_000
"""Most tensors in a file; large networks have some thousands."""

MOST_EXTENT = 1 << 40
"""Largest extent of a tensor. One beside an extent of 0 takes no bytes, whatever it is."""


@dataclass(frozen=True)
class Stored:
    """The type and shape of a tensor in a file."""

    dtype: str
    """As safetensors names it: 'F32', 'BF16', 'I64', ..."""
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Header:
    """The header of a safetensors file."""

    metadata: Mapping[str, str]
    tensors: Mapping[str, Stored]
    nbytes: int
    """Size of the whole file, bytes."""


def read_header(path: str | Path) -> Header:
    """Read the header of a safetensors file; no tensor is read.

    The sizes of all tensors agree with the file's bytes afterwards, which safetensors checks, and the number
    and the extents of tensors are bounded here, so that what follows takes memory in proportion to the file.

    Raises ValueError if it is not a whole safetensors file, with the reason without the file's name and a
    full stop; OSError if it cannot be read.

    >>> import tempfile, torch
    >>> from safetensors.torch import save_file
    >>> path = Path(tempfile.mkdtemp()) / "a.safetensors"
    >>> save_file({"weight": torch.zeros(2, 3)}, path, metadata={"format": "example/1"})
    >>> header = read_header(path)
    >>> header.metadata, dict(header.tensors)
    ({'format': 'example/1'}, {'weight': Stored(dtype='F32', shape=(2, 3))})
    >>> _ = path.write_bytes(bytes([255] * 7 + [0]) + b"{}")
    >>> read_header(path)
    Traceback (most recent call last):
    ValueError: its header claims 72057594037927935 bytes, and the file has 10
    """
    with open(path, "rb") as file:
        start, nbytes = file.read(8), os.fstat(file.fileno()).st_size
    length = int.from_bytes(start, "little")
    if len(start) < 8:
        raise ValueError(f"it has {len(start)} bytes, fewer than any safetensors file")
    if length > nbytes - 8:
        raise ValueError(f"its header claims {length} bytes, and the file has {nbytes}")
    if length > MOST_HEADER:
        raise ValueError(f"its header has {length} bytes, more than the {MOST_HEADER} that are read")
    try:
        with safe_open(str(path), framework="np") as file:
            names = list(file.keys())
            if len(names) > MOST_TENSORS:
                raise ValueError(f"it has {len(names)} tensors, more than the {MOST_TENSORS} that are read")
            slices = {name: file.get_slice(name) for name in names}
            tensors = {
                name: Stored(part.get_dtype(), tuple(part.get_shape())) for name, part in slices.items()
            }
            metadata = dict(file.metadata() or {})
    except SafetensorError as error:
        said = " ".join(str(error)[:200].split())  # it may repeat the header, whatever that holds
        reason = "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in said)
        raise ValueError(f"it is not a whole safetensors file ({reason})") from error
    for name, stored in tensors.items():
        if any(extent > MOST_EXTENT for extent in stored.shape):
            raise ValueError(f"its tensor {name[:80]!r} claims the shape {list(stored.shape)}")
    return Header(metadata, tensors, nbytes)
