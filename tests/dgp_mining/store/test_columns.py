"""The attributes of a store are its arrays, each read once per view and only when it is used."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from dgp_mining.fitting.recipes import make_recipe
from dgp_mining.mining import mine
from dgp_mining.planning.settings import Settings
from dgp_mining.store.columns import ArrayName, CropColumns
from dgp_mining.store.layout import crop_arrays, plan_arrays
from dgp_mining.store.part import Chunk
from dgp_mining.store.store import Store


@pytest.fixture
def store(flat: Path, tmp_path: Path, fitter: str) -> Store:
    return mine(
        flat, tmp_path / "a.zarr", Settings(crop=32, keep_fields=True), scheduler="sync", fitter=fitter
    )


def test_every_array_of_a_store_has_a_name_and_every_name_an_array(store: Store) -> None:
    (part,) = store.parts
    named = {name for name in ArrayName if not name.startswith("snapshots/")}
    assert plan_arrays(part.extent).keys() | crop_arrays(part.extent).keys() == named


def test_an_array_is_read_once_and_only_when_it_is_used(store: Store) -> None:
    reads: Counter[ArrayName] = Counter()

    def read(name: ArrayName) -> np.ndarray:
        reads[name] += 1
        return store.read(name)

    columns = CropColumns(read)
    assert not reads
    for _ in range(2):
        assert columns.psnr.shape == columns.held_out_psnr.shape == columns.seconds.shape == (8,)
        assert (columns.iterations == make_recipe("fast").iterations).all()
        assert columns.fields.extent.tolist() == [[256, 3]] * 8
    assert reads == {ArrayName.RESULT: 1, ArrayName.FIELD_EXTENT: 1}


def test_a_view_of_some_crops_keeps_their_order(store: Store) -> None:
    some = np.array([5, 0, 3])
    np.testing.assert_array_equal(store.at(some).psnr, store.psnr[some])
    np.testing.assert_array_equal(store.at(some).statistics.moments, store.statistics.moments[some])
    assert len(store.at(some[:0]).status) == 0


def test_the_attributes_of_a_store_follow_what_other_runs_write(store: Store) -> None:
    reader = Store.open(store.path)
    assert (reader.status == 1).all()
    store.mark_pending(Chunk(store.parts[0].name, 2))
    assert np.flatnonzero(reader.status == 0).tolist() == [2]
