"""Chunks have the bytes and the names that Zarr gives them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

from dgp_mining.store.chunk_file import encoded, key_of
from dgp_mining.store.columns import ArrayName
from dgp_mining.store.description import Extent
from dgp_mining.store.layout import crop_arrays, make_array
from dgp_mining.store.location import Location

EXTENT = Extent(crops=7, images=1, chunk=4, gaussians=5, snapshots=2)


def rows(array: zarr.Array[Any], count: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    if array.dtype.kind == "T":
        return np.array(["", "größer", "a sentence", ""][:count], array.dtype)
    return rng.integers(0, 100, (count, *array.shape[1:])).astype(array.dtype)


@pytest.mark.parametrize("name", crop_arrays(EXTENT))
@pytest.mark.parametrize("index", [0, 1])
def test_a_chunk_has_the_bytes_that_zarr_writes(name: ArrayName, index: int, tmp_path: Path) -> None:
    """The second chunk is the last one, and not full."""
    array = make_array(Location(str(tmp_path)), name, crop_arrays(EXTENT)[name])
    values = rows(array, 4 if index == 0 else 3)
    with zarr.config.set({"array.write_empty_chunks": True}):
        array[4 * index : 4 * index + len(values)] = values
    assert (tmp_path / name / key_of(array, index)).read_bytes() == encoded(array, values)


def test_rows_that_do_not_fit_a_chunk_are_refused(tmp_path: Path) -> None:
    array = make_array(Location(str(tmp_path)), ArrayName.CONTENT, crop_arrays(EXTENT)[ArrayName.CONTENT])
    for values in (np.zeros((5, 6)), np.zeros((4, 5))):
        with pytest.raises(ValueError, match="shape"):
            encoded(array, values)
