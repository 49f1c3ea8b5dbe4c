"""What a store's data are accused of is what is wrong with them."""

from __future__ import annotations

import pytest

from dgp_mining.store.integrity import DamagedError, StoreError, reading, writing


@pytest.mark.parametrize(
    "error",
    [MemoryError(), RuntimeError("Zstd decompression error: b'Allocation error : not enough memory'")],
)
def test_data_that_do_not_fit_into_memory_are_not_damaged(error: Exception) -> None:
    """Or `verify --repair` would discard what is sound."""
    said = r"a\.zarr cannot be read, since the memory .*repeat"
    with pytest.raises(StoreError, match=said) as raised, reading("a.zarr"):
        raise error
    assert not isinstance(raised.value, DamagedError)


def test_what_is_not_written_for_lack_of_memory_is_not_to_be_written_elsewhere() -> None:
    with pytest.raises(StoreError, match=r"a\.zarr cannot be written, since the memory"), writing("a.zarr"):
        raise RuntimeError("can't start new thread")


def test_what_cannot_be_decoded_is_damaged() -> None:
    with pytest.raises(DamagedError, match=r"a\.zarr is damaged \(bad checksum\)"), reading("a.zarr"):
        raise ValueError("bad checksum")
