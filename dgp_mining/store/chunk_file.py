"""The file of a chunk of an array, with the bytes that Zarr writes, in a fifth of its time.

Zarr hands every chunk of every array to another thread and back, which takes it longer than all else.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import zarr
from google_crc32c import value as crc32c
from numcodecs.vlen import VLenUTF8
from numcodecs.zstd import Zstd


def key_of(array: zarr.Array[Any], index: int) -> str:
    """Return the path, below the array's, of a chunk that spans all axes but the first."""
    metadata: Any = array.metadata
    return str(metadata.encode_chunk_key((index,) + (0,) * (array.ndim - 1)))


def encoded(array: zarr.Array[Any], values: np.ndarray) -> bytes:
    """Return the bytes of a chunk of an array that `layout.open_array` has checked.

    `values` are its rows; a chunk at the end of the array, which has fewer, is filled up. Raises ValueError
    if they are too many, or of another shape.
    """
    missing = array.chunks[0] - len(values)
    if missing < 0 or values.shape[1:] != array.shape[1:]:
        raise ValueError(f"{values.shape} is not the shape of a chunk of {array.shape}")
    metadata: Any = array.metadata
    serializer, compressor, _ = (codec.get("configuration", {}) for codec in metadata.to_dict()["codecs"])
    if missing:
        rest = np.full((missing, *values.shape[1:]), array.fill_value, values.dtype)
        values = np.concatenate([values, rest])
    if "endian" in serializer:
        raw = np.ascontiguousarray(values, values.dtype.newbyteorder(serializer["endian"]))
    elif values.dtype.kind in "iuf":
        raw = np.ascontiguousarray(values)  # of single bytes
    else:
        raw = VLenUTF8().encode(values.astype(object))
    content = bytes(Zstd(compressor["level"], compressor["checksum"]).encode(raw))
    return content + crc32c(content).to_bytes(4, "little")
