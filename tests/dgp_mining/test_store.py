"""A store is checksummed, refuses other settings by name, and is never mistaken for anything else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import zarr

from dgp_mining.plan import Plan, Settings, make_plan
from dgp_mining.statistics import measure
from dgp_mining.store import DONE, FAILED, PENDING, CropResult, Store, StoreError
from splat2d import GaussianField


@pytest.fixture
def plan(photos: Path) -> Plan:
    return make_plan(photos, Settings(crop=32, max_crops=10, keep_fields=True), {"iterations": 7})


def result(seed: int = 0, channels: int = 3) -> CropResult:
    torch.manual_seed(seed)
    field = GaussianField(
        torch.rand(1, 50, 2) * 32, torch.rand(1, 50, 3) + 0.2, torch.rand(1, 50, channels), (32, 32)
    )
    statistics = measure(field, field.means[0].numpy(), np.random.default_rng(seed))
    return CropResult(bytes([seed] * 32), "", (40.0 + seed, 25.0, 7, 0.5), statistics, field)


FAILURE = CropResult(b"", "a.png is broken.")


def test_what_is_written_is_what_is_read(tmp_path: Path, plan: Plan) -> None:
    store = Store.create(tmp_path / "dgp.zarr", plan, chunk=4, gaussians=60)
    assert store.pending_chunks() == [0, 1, 2]
    store.write(1, [result(0), result(1), FAILURE, result(2, channels=1)])
    store = Store.open(tmp_path / "dgp.zarr")
    assert store.pending_chunks() == [0, 2]
    assert store.status().tolist() == [PENDING] * 4 + [DONE, DONE, FAILED, DONE] + [PENDING] * 2
    np.testing.assert_array_equal(store.results()[5], [41.0, 25.0, 7, 0.5])
    assert np.isnan(store.results()[6, 0])
    assert store.errors() == [(6, "a.png is broken.")]
    np.testing.assert_array_equal(store.samples(np.array([5]))[0], result(1).statistics.sample)
    assert store.root["fields/extent"][4:8].tolist() == [[50, 3], [50, 3], [0, 0], [50, 1]]
    np.testing.assert_array_equal(store.root["fields/means"][5, :50], result(1).field.means[0])
    assert (store.crops()[0] == plan.image).all()
    assert store.images().name == plan.names


def test_a_chunk_of_zeros_leaves_its_trace_on_disk(tmp_path: Path, plan: Plan) -> None:
    store = Store.create(tmp_path / "dgp.zarr", plan, chunk=4, gaussians=60)
    store.write(2, [FAILURE, FAILURE])
    for name in ("crops/sha256", "crops/status", "statistics/histogram", "statistics/sample"):
        chunks = [path for path in (tmp_path / "dgp.zarr" / name / "c").rglob("*") if path.is_file()]
        assert len(chunks) == 1, name


def test_a_flipped_bit_is_noticed(tmp_path: Path, plan: Plan) -> None:
    store = Store.create(tmp_path / "dgp.zarr", plan, chunk=4, gaussians=60)
    store.write(0, [result(i) for i in range(4)])
    chunk = tmp_path / "dgp.zarr/statistics/sample/c/0/0/0"
    content = bytearray(chunk.read_bytes())
    content[len(content) // 2] ^= 1
    chunk.write_bytes(content)
    with pytest.raises(StoreError, match=r"statistics/sample is damaged .*checksum"):
        store.samples(np.arange(4))


def test_the_status_is_written_last(tmp_path: Path, plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store.create(tmp_path / "dgp.zarr", plan, chunk=4, gaussians=60)
    written = []
    monkeypatch.setattr(zarr.Array, "__setitem__", lambda array, where, value: written.append(array.path))
    store.write(0, [result(i) for i in range(4)])
    assert written[-1] == "crops/status"
    assert len(written) == len(set(written)) == 12


def test_other_settings_are_refused_by_name(tmp_path: Path, plan: Plan, photos: Path) -> None:
    store = Store.create(tmp_path / "dgp.zarr", plan, chunk=4, gaussians=60)
    store.check(plan)
    other = make_plan(photos, Settings(crop=48, max_crops=10, keep_fields=True), {"iterations": 7})
    with pytest.raises(StoreError, match=r"crop is 32 there and 48 here\): .*--overwrite.*--store"):
        store.check(other)
    nbytes = plan.nbytes + (np.array(plan.names) == "p1.png")
    with pytest.raises(StoreError, match=r"p1\.png has changed"):
        store.check(replace(plan, nbytes=nbytes))
    with pytest.raises(StoreError, match="6 images there and 5 here"):
        store.check(replace(plan, names=plan.names[:5]))


def test_what_is_no_store_is_refused_and_never_deleted(tmp_path: Path) -> None:
    folder = tmp_path / "thesis"
    folder.mkdir()
    (folder / "chapter1").write_text("years of work")
    file = tmp_path / "file"
    file.write_text("text")
    group = tmp_path / "other.zarr"
    zarr.open_group(group, mode="w").create_array("a", data=np.zeros(3))
    for path in (folder, file, group):
        with pytest.raises(StoreError, match="is not a store"):
            Store.open(path)
        with pytest.raises(StoreError, match="--overwrite leaves it"):
            Store.delete(path)
        assert path.exists()
    assert (folder / "chapter1").read_text() == "years of work"
    with pytest.raises(StoreError, match="does not exist"):
        Store.open(tmp_path / "missing.zarr")


def test_a_store_is_deleted_when_asked(tmp_path: Path, plan: Plan) -> None:
    Store.create(tmp_path / "dgp.zarr", plan, chunk=4, gaussians=60)
    Store.delete(tmp_path / "dgp.zarr")
    assert not (tmp_path / "dgp.zarr").exists()
    Store.delete(tmp_path / "dgp.zarr")


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path, plan: Plan) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match=r"file/dgp\.zarr cannot be written .*--store"):
        Store.create(tmp_path / "file" / "dgp.zarr", plan, chunk=4, gaussians=60)


def test_leftovers_of_a_killed_creation_are_swept(tmp_path: Path, plan: Plan) -> None:
    leftover = tmp_path / "dgp.zarr.partial"
    leftover.mkdir()
    (leftover / "zarr.json").write_text("{")
    Store.create(tmp_path / "dgp.zarr", plan, chunk=4, gaussians=60)
    assert not leftover.exists()
