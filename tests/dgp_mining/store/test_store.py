"""A store is checksummed, refuses other settings by name, and is never mistaken for anything else."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import zarr

from dgp_mining.fitting.content import CONTENT
from dgp_mining.fitting.statistics import measure
from dgp_mining.mining import mine
from dgp_mining.planning.plan import Plan, make_plan
from dgp_mining.planning.settings import Settings, resolve_settings
from dgp_mining.prior.build import build_dictionary
from dgp_mining.store import part as part_module
from dgp_mining.store.integrity import StoreFullError, seal
from dgp_mining.store.layout import FORMAT
from dgp_mining.store.location import Location
from dgp_mining.store.store import DONE, FAILED, PENDING, Chunk, CropResult, Store, StoreError
from dgp_mining.store.verify import verify
from dgp_mining.store.versions import versions
from splat2d import GaussianField

SETTINGS = resolve_settings(Settings(crop=32, max_crops=10, keep_fields=True, iterations=7))


@pytest.fixture
def plan(photos: Path) -> Plan:
    return make_plan(photos, SETTINGS)


def result(seed: int = 0, channels: int = 3) -> CropResult:
    torch.manual_seed(seed)
    field = GaussianField(
        torch.rand(1, 50, 2) * 32, torch.rand(1, 50, 3) + 0.2, torch.rand(1, 50, channels), (32, 32)
    )
    statistics = measure(field, field.means[0].numpy(), np.random.default_rng(seed))
    content = np.linspace(0, seed + 1, len(CONTENT))
    return CropResult(bytes([seed] * 32), "", 40.0 + seed, 25.0, 7, 0.5, statistics, field, content)


FAILURE = CropResult(b"", "a.png is broken.")


def chunk(store: Store, index: int) -> Chunk:
    """A chunk of the store's only part."""
    (part,) = store.parts
    return Chunk(part.name, index)


@pytest.mark.parametrize("kind", [{"normalised": True}, {"averaged": False}])
def test_a_field_that_would_be_read_as_another_is_refused(tmp_path: Path, plan: Plan, kind: dict) -> None:
    store = Store.create(tmp_path / "dgp.zarr", plan, chunk=4, gaussians=60)
    other = replace(result(0), field=replace(result(0).field, **kind))
    with pytest.raises(ValueError, match="a store keeps fields of averaged pixels"):
        store.write(chunk(store, 1), [other, FAILURE, FAILURE, FAILURE])


def test_a_link_that_leads_nowhere_is_called_that(tmp_path: Path, plan: Plan) -> None:
    (tmp_path / "dgp.zarr").symlink_to(tmp_path / "nowhere")
    with pytest.raises(StoreError, match=r"a link that leads nowhere, is where .*: name another store="):
        Store.create(tmp_path / "dgp.zarr", plan, chunk=4, gaussians=60)


def test_what_is_written_is_what_is_read(tmp_path: Path, plan: Plan) -> None:
    store = Store.create(tmp_path / "dgp.zarr", plan, chunk=4, gaussians=60)
    assert store.pending_chunks() == [chunk(store, i) for i in range(3)]
    assert store.chunk_crops(chunk(store, 2)) == [
        (plan.names[plan.image[i]], *plan.position[i].tolist()) for i in (8, 9)
    ]
    store.write(chunk(store, 1), [result(0), result(1), FAILURE, result(2, channels=1)])
    store = Store.open(tmp_path / "dgp.zarr")
    assert store.pending_chunks() == [chunk(store, 0), chunk(store, 2)]
    assert store.status.tolist() == [PENDING] * 4 + [DONE, DONE, FAILED, DONE] + [PENDING] * 2
    np.testing.assert_array_equal(store.at().results[5], [41.0, 25.0, 7, 0.5])
    np.testing.assert_array_equal(store.at().content[5], result(1).content)
    np.testing.assert_array_equal(store.statistics.moments[5], result(1).statistics.moments)
    np.testing.assert_array_equal(store.statistics.histograms[5], result(1).statistics.histograms)
    assert np.isnan(store.psnr[6])
    assert store.errors == [(6, "a.png is broken.")]
    np.testing.assert_array_equal(store.samples(np.array([5]))[0], result(1).statistics.sample)
    assert torch.equal(store.field(5).colors, result(1).field.colors)
    assert torch.equal(store.field(7).cholesky, result(2, channels=1).field.cholesky)
    assert store.field(7).colors.shape == (1, 50, 1)
    assert store.field(0) is store.field(6) is None
    assert (store.plan.image == plan.image).all()
    assert store.plan.names == plan.names


def test_crops_are_read_in_the_order_asked_for(tmp_path: Path, plan: Plan) -> None:
    store = Store.create(tmp_path / "dgp.zarr", plan, chunk=4, gaussians=60)
    for index, crops in enumerate((range(4), range(4, 8), range(8, 10))):
        store.write(chunk(store, index), [result(crop) for crop in crops])
    np.testing.assert_array_equal(store.at(np.array([9, 2, 5])).psnr, [49, 42, 45])
    assert store.samples(np.array([], int)).shape == (0, 256, 7)


def test_a_chunk_of_zeros_leaves_its_trace_on_disk(tmp_path: Path, plan: Plan) -> None:
    store = Store.create(tmp_path / "dgp.zarr", plan, chunk=4, gaussians=60)
    store.write(chunk(store, 2), [FAILURE, FAILURE])
    part = Path(str(store.parts[0].place))
    for name in ("crops/sha256", "crops/status", "statistics/histogram", "statistics/sample"):
        chunks = [path for path in (part / name / "c").rglob("*") if path.is_file()]
        assert len(chunks) == 1, name


def test_a_flipped_bit_is_noticed(tmp_path: Path, plan: Plan) -> None:
    store = Store.create(tmp_path / "dgp.zarr", plan, chunk=4, gaussians=60)
    store.write(chunk(store, 0), [result(i) for i in range(4)])
    damaged = Path(str(store.parts[0].place)) / "statistics/sample/c/0/0/0"
    content = bytearray(damaged.read_bytes())
    content[len(content) // 2] ^= 1
    damaged.write_bytes(content)
    with pytest.raises(StoreError, match=r"statistics/sample is damaged .*checksum"):
        store.samples(np.arange(4))


def test_the_status_is_written_last(tmp_path: Path, plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store.create(tmp_path / "dgp.zarr", plan, chunk=4, gaussians=60)
    written = []
    monkeypatch.setattr(Location, "write", lambda place, name, content: written.append(name))
    store.write(chunk(store, 0), [result(i) for i in range(4)])
    assert written[-1] == "crops/status/c/0"
    assert len(written) == len(set(written)) == 13


def test_other_settings_are_refused_by_name(tmp_path: Path, plan: Plan, photos: Path) -> None:
    store = Store.create(tmp_path / "dgp.zarr", plan, chunk=4, gaussians=60)
    store.check(plan)
    other = make_plan(photos, replace(SETTINGS, crop=48))
    with pytest.raises(StoreError, match=r"crop is 32 there and 48 here\): .*overwrite=True.*store="):
        store.check(other)
    nbytes = plan.nbytes + (np.array(plan.names) == "p1.png")
    with pytest.raises(StoreError, match=r"p1\.png has changed"):
        store.check(replace(plan, nbytes=nbytes))


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
        with pytest.raises(StoreError, match="overwrite=True leaves it"):
            Store.delete(path)
        assert path.exists()
    assert (folder / "chapter1").read_text() == "years of work"
    with pytest.raises(StoreError, match="does not exist"):
        Store.open(tmp_path / "missing.zarr")


def test_no_more_parts_are_written_than_are_read(
    tmp_path: Path, plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store.create(tmp_path / "a", plan, 4, 60)
    monkeypatch.setattr("dgp_mining.store.root.MOST_PARTS", 1)
    before = sorted((tmp_path / "a").rglob("*"))
    with pytest.raises(StoreError, match=r"has 1 parts.*name another store="):
        store.add(plan, 4, 60)
    assert sorted((tmp_path / "a").rglob("*")) == before
    assert len(Store.open(tmp_path / "a").parts) == 1


def test_a_store_is_deleted_when_asked(tmp_path: Path, plan: Plan) -> None:
    Store.create(tmp_path / "dgp.zarr", plan, chunk=4, gaussians=60)
    Store.delete(tmp_path / "dgp.zarr")
    assert not (tmp_path / "dgp.zarr").exists()
    Store.delete(tmp_path / "dgp.zarr")


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path, plan: Plan) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match=r"file/dgp\.zarr cannot be written .*store="):
        Store.create(tmp_path / "file" / "dgp.zarr", plan, chunk=4, gaussians=60)


def test_what_a_killed_creation_has_left_is_completed(
    tmp_path: Path, plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the killed run wrote last."""
    path, made = tmp_path / "dgp.zarr", []
    make_array = part_module.make_array

    def make_or_die(*arguments: object) -> zarr.Array:
        if len(made) == 9:
            raise KeyboardInterrupt
        made.append(make_array(*arguments))
        return made[-1]

    monkeypatch.setattr(part_module, "make_array", make_or_die)
    with pytest.raises(KeyboardInterrupt):
        Store.create(path, plan, chunk=4, gaussians=60)
    assert not Store.exists(path)
    monkeypatch.undo()
    (path / "zarr.0123.partial").touch()
    store = Store.create(path, plan, chunk=4, gaussians=60)
    store.write(chunk(store, 0), [result(i) for i in range(4)])
    assert Store.open(path).status[:5].tolist() == [DONE] * 4 + [PENDING]


def test_a_writer_killed_after_any_of_its_writes_leaves_the_chunk_pending(
    tmp_path: Path, plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store.create(tmp_path / "dgp.zarr", plan, chunk=4, gaussians=60)
    results = [result(i) for i in range(1, 5)]
    write = Location.write
    writes = 12
    for survived in range(writes):
        left = iter(range(survived))

        def write_or_die(self: Location, name: str, content: bytes, left: Iterator[int] = left) -> None:
            if next(left, None) is None:
                raise OSError("killed")  # an exception ends the writing here as a kill does
            write(self, name, content)

        monkeypatch.setattr(Location, "write", write_or_die)
        with pytest.raises(StoreError, match="killed"):
            store.write(chunk(store, 0), results)
        monkeypatch.undo()
        assert len(Store.open(store.path).pending_chunks()) == 3
        assert verify(store.path).damage == []
    store.write(chunk(store, 0), results)
    assert len(store.pending_chunks()) == 2
    assert verify(store.path).damage == []


def test_only_old_temporary_files_are_swept(tmp_path: Path, plan: Plan) -> None:
    """A recent temporary file may be one that another run is writing."""
    store = Store.create(tmp_path / "dgp.zarr", plan, chunk=4, gaussians=60)
    store.write(chunk(store, 0), [result(i) for i in range(4)])
    folder = Path(str(store.parts[0].place)) / "crops/status/c"
    old, young = folder / "1.0a1b.partial", folder / "2.0a1b.partial"
    for path in (old, young):
        path.write_bytes(b"half")
    os.utime(old, (1e9, 1e9))
    assert len(store.pending_chunks()) == 2
    store.remove_stale_files()
    assert sorted(path.name for path in folder.iterdir()) == ["0", young.name]


def test_two_runs_that_begin_at_once_share_one_part(tmp_path: Path, plan: Plan) -> None:
    first = Store.create(tmp_path / "dgp.zarr", plan, chunk=4, gaussians=60)
    first.write(chunk(first, 1), [result(i) for i in range(4)])
    about = {"format": FORMAT, "settings": SETTINGS.to_json(), "versions": versions(), "parts": []}
    second = Store(first.place, SETTINGS, about).add(
        plan, chunk=4, gaussians=60
    )  # it has seen nothing of the first
    assert second.pending_chunks() == [chunk(first, 0), chunk(first, 2)]
    np.testing.assert_array_equal(second.at().results, first.at().results)


def test_runs_that_make_a_store_at_the_same_moment_make_one(tmp_path: Path, plan: Plan) -> None:
    for number in range(3):
        path, together = tmp_path / f"{number}.zarr", threading.Barrier(3)

        def make(path: Path = path, together: threading.Barrier = together) -> Store:
            together.wait()
            return Store.create(path, plan, chunk=4, gaussians=60)

        with ThreadPoolExecutor(3) as pool:
            made = [done.result() for done in [pool.submit(make) for _ in range(3)]]
        assert {store.parts[0].name for store in made} == {Store.open(path).parts[0].name}


def test_a_run_whose_store_was_begun_anew_writes_nothing_into_it(
    tmp_path: Path, plan: Plan, photos: Path
) -> None:
    stale = Store.create(tmp_path / "dgp.zarr", plan, chunk=4, gaussians=60)
    stale_chunk = chunk(stale, 0)
    Store.delete(tmp_path / "dgp.zarr")
    other = make_plan(photos, resolve_settings(Settings(crop=48, iterations=7)))
    store = Store.create(tmp_path / "dgp.zarr", other, chunk=4, gaussians=60)
    with pytest.raises(StoreError, match="recreated or extended by another run"):
        Store.open(tmp_path / "dgp.zarr").write(stale_chunk, [result(i) for i in range(4)])
    assert len(store.pending_chunks()) == len(Store.open(tmp_path / "dgp.zarr").pending_chunks())


def test_a_full_disk_leaves_the_chunk_pending_and_says_so(
    tmp_path: Path, plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store.create(tmp_path / "dgp.zarr", plan, chunk=4, gaussians=60)

    def full(place: Location, name: str, content: bytes) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Location, "write", full)
    with pytest.raises(StoreFullError, match=r"no room left for .*dgp\.zarr.*: make some") as caught:
        store.write(chunk(store, 0), [result(i) for i in range(4)])
    assert caught.value.__cause__.errno == errno.ENOSPC
    assert len(store.pending_chunks()) == 3


def test_a_store_of_another_version_is_told_from_none(tmp_path: Path) -> None:
    old = tmp_path / "old.zarr"
    zarr.create_group(old, attributes={"format": "dgp-store/1"})
    with pytest.raises(StoreError, match=r"another version of dgp-mine \('dgp-store/1'"):
        Store.open(old)
    Store.delete(old)
    assert not old.exists()


@pytest.mark.parametrize(
    ("change", "said"),
    [({"flavour": "sweet"}, "the unknown flavour"), ({"crop": None}, "lacks crop")],
)
def test_a_store_with_other_settings_than_this_version_knows_is_refused_in_one_sentence(
    tmp_path: Path, plan: Plan, change: dict[str, str | None], said: str
) -> None:
    store = Store.create(tmp_path / "dgp.zarr", plan, chunk=4, gaussians=60)
    root = zarr.open_group(tmp_path / "dgp.zarr")
    about = {key: value for key, value in root.attrs.asdict().items() if key != "digest"}
    changed = store.settings.to_json() | change
    settings = {key: value for key, value in changed.items() if key not in change or value}
    root.update_attributes(seal(about | {"settings": settings}))
    with pytest.raises(StoreError, match=rf"made by another version of dgp-mine .*{said}"):
        Store.open(tmp_path / "dgp.zarr")


PROGRAM = """
import sys
from dgp_mining import Settings, mine
settings = Settings(crop=32, max_crops=int(sys.argv[1]))
mine("photos", "shared.zarr", settings, scheduler="sync", fitter="fake_fitter")
"""


def dictionary_bytes(store: Path) -> bytes:
    build_dictionary(store, size=64).save(store.with_suffix(".npz"))
    return store.with_suffix(".npz").read_bytes()


def start(folder: Path, crops: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", PROGRAM, str(crops)]
    return subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, text=True)


def test_two_runs_at_once_make_the_dictionary_of_one(
    photos: Path, tmp_path: Path, fitter: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    mine("photos", "alone.zarr", Settings(crop=32, max_crops=24), scheduler="sync", fitter=fitter)
    monkeypatch.setenv("FAKE_FIT_SECONDS", "0.05")
    for run in [start(tmp_path, 24) for _ in range(2)]:
        assert run.communicate(timeout=100)[1] == ""
        assert run.returncode == 0
    store = Store.open("shared.zarr")
    assert len(store.parts) == 1
    assert (store.status == DONE).all()
    assert verify("shared.zarr").damage == []
    assert dictionary_bytes(tmp_path / "shared.zarr") == dictionary_bytes(tmp_path / "alone.zarr")


def test_a_run_beside_one_that_extends_the_store_ends_well_or_in_a_sentence(
    photos: Path, tmp_path: Path, fitter: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    mine("photos", "alone.zarr", Settings(crop=32, max_crops=24), scheduler="sync", fitter=fitter)
    monkeypatch.setenv("FAKE_FIT_SECONDS", "0.05")
    mine("photos", "shared.zarr", Settings(crop=32, max_crops=4), scheduler="sync", fitter=fitter)
    for run in [start(tmp_path, crops) for crops in (20, 24)]:
        said = run.communicate(timeout=100)[1]
        assert run.returncode == 0 or "StoreError" in said.splitlines()[-1], said
    mine("photos", "shared.zarr", Settings(crop=32, max_crops=24), scheduler="sync", fitter=fitter)
    assert verify("shared.zarr").damage == []
    assert dictionary_bytes(tmp_path / "shared.zarr") == dictionary_bytes(tmp_path / "alone.zarr")
