"""Crops that take long are fitted and kept one by one, and become chunks of a dozen, without losing work."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dgp_mining.callbacks import Callback
from dgp_mining.mining import look_ahead, mine, plan_run
from dgp_mining.planning.plan import LEAST_CHUNK, Plan, make_plan
from dgp_mining.planning.settings import Settings, resolve_settings
from dgp_mining.store.columns import ArrayName
from dgp_mining.store.crop_results import columns
from dgp_mining.store.location import Location
from dgp_mining.store.part import Part
from dgp_mining.store.store import DONE, FAILED, PENDING, Chunk, CropResult, Store, StoreError
from dgp_mining.store.summary import summarise
from dgp_mining.store.verify import verify
from dgp_mining.workers.messages import Progress

LONG = Settings(crop=32, max_crops=30, iterations=200_000, keep_fields=True)
"""Each of these crops is the work of a chunk."""

FAILURE = CropResult(b"", "a.png is broken.")


class Counter(Callback):
    def __init__(self, stop_after: int = 1000) -> None:
        self.chunks: list[Progress] = []
        self.stop_after = stop_after

    def on_chunk(self, progress: Progress) -> None:
        self.chunks.append(progress)
        if len(self.chunks) == self.stop_after:
            raise KeyboardInterrupt


@pytest.fixture(autouse=True)
def one_piece_a_task(monkeypatch: pytest.MonkeyPatch) -> None:
    """As when each takes TASK_SECONDS."""
    monkeypatch.setattr("dgp_mining.workers.scheduling.TASK_SECONDS", 0.0)


@pytest.fixture
def plan(photos: Path) -> Plan:
    return make_plan(photos, resolve_settings(LONG))


@pytest.fixture
def store(tmp_path: Path, plan: Plan) -> Store:
    return Store.create(tmp_path / "a.zarr", plan, chunk=LEAST_CHUNK, gaussians=256)


def pieces(store: Store) -> list[str]:
    return sorted(path.name for path in Path(store.path).rglob("pieces/*/*"))


def results(store: Store) -> np.ndarray:
    return store.at().results[:, :3]  # without the seconds


def test_a_crop_has_at_most_four_files(photos: Path, tmp_path: Path, fitter: str) -> None:
    store = mine(photos, tmp_path / "a.zarr", LONG, scheduler="sync", fitter=fitter)
    (part,) = store.parts
    files = [
        path
        for name in ("crops", "statistics", "fields")
        for path in (Path(str(part.place)) / name).rglob("*")
        if "image" not in path.parts and "position" not in path.parts and path.name != "zarr.json"
    ]
    assert (store.status == DONE).all()
    assert (
        sum(path.is_file() for path in files) <= 4 * 24
    )  # of the two chunks that are full, and one that is not
    assert len(files) <= 4 * 30 + 13 * 2  # with folders, besides those of each array
    assert pieces(store) == []
    assert verify(store.path).damage == []


def test_an_interruption_loses_no_finished_crop(photos: Path, tmp_path: Path, fitter: str) -> None:
    path = tmp_path / "a.zarr"
    for done in (5, 17):
        with pytest.raises(KeyboardInterrupt):
            mine(photos, path, LONG, scheduler="sync", fitter=fitter, callback=Counter(12 if done > 5 else 5))
        store = Store.open(path)
        assert (store.status == DONE).sum() == done
        assert (~store.unfinished()).sum() == done
        assert len(store.pending_chunks()) == 30 - done
        assert len(pieces(store)) == (done if done < LEAST_CHUNK else done - LEAST_CHUNK)
        assert (summarise(path)["done"], summarise(path)["pending"]) == (done, 30 - done)
        assert np.isfinite(store.psnr[:done]).all()
        assert store.field(done - 1) is not None
        assert verify(path).damage == []
        assert verify(path).pending == 30 - done
        ahead = look_ahead(path, plan_run(photos, LONG))
        assert (ahead.done, ahead.pending, ahead.chunks) == (done, 30 - done, 30 - done)
    last = Counter()
    resumed = mine(photos, path, LONG, scheduler="sync", fitter=fitter, callback=last)
    assert len(last.chunks) == 13
    assert (resumed.status == DONE).all()
    alone = mine(photos, tmp_path / "b.zarr", LONG, scheduler="sync", fitter=fitter)
    np.testing.assert_array_equal(results(resumed), results(alone))
    np.testing.assert_array_equal(resumed.statistics.histograms, alone.statistics.histograms)


def test_the_rows_of_pieces_are_read_in_any_order(store: Store) -> None:
    (part,) = store.parts
    for row in (1, 3, 12):
        found = CropResult(bytes([row] * 32), f"broken {row}.")
        store.write(Chunk(part.name, row // LEAST_CHUNK, row), [found])
    assert store.status[[0, 1, 2, 3, 12]].tolist() == [PENDING, FAILED, PENDING, FAILED, FAILED]
    assert store.at(np.array([12, 0, 3])).error.tolist() == ["broken 12.", "", "broken 3."]
    assert store.errors == [(1, "broken 1."), (3, "broken 3."), (12, "broken 12.")]


def test_a_chunk_whose_last_worker_was_killed_is_written_by_the_next_run(
    photos: Path, tmp_path: Path, fitter: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After any of the writes that make the chunk; no crop is fitted again."""
    write = Location.write
    for survived in (0, 1, 6, 12):
        path, left = tmp_path / f"{survived}.zarr", iter(range(survived))
        store = Store.create(path, plan_run(photos, LONG), LEAST_CHUNK, 256)
        (part,) = store.parts
        one = columns([FAILURE], 256)

        def write_or_die(self: Location, name: str, content: bytes, left=left) -> None:
            if "/c/" in name and next(left, None) is None:
                raise OSError("killed")
            write(self, name, content)

        for row in range(11):
            part.write_piece(0, row, one)
        with monkeypatch.context() as patch:
            patch.setattr(Location, "write", write_or_die)
            with pytest.raises(StoreError, match="killed"):
                part.write_piece(0, 11, one)
        assert len(store.pending_chunks()) == 18
        assert len(pieces(store)) == 12
        assert verify(path).damage == []
        counter = Counter()
        mine(photos, path, LONG, scheduler="sync", fitter=fitter, callback=counter)
        assert sum(progress.done for progress in counter.chunks) == 18
        assert pieces(store) == []
        assert (Store.open(path).status[:12] == FAILED).all()


def test_a_run_that_is_late_leaves_no_piece(store: Store) -> None:
    """Two runs fit the same crops; the first has written the chunk when the second is ready."""
    (part,) = store.parts
    for row in range(LEAST_CHUNK):
        store.write(Chunk(part.name, 0, row), [FAILURE])
    assert pieces(store) == []
    Store.open(store.path).write(Chunk(part.name, 0, 3), [FAILURE])
    assert pieces(store) == []
    assert len(store.pending_chunks()) == 18


def test_two_workers_may_write_a_chunk_at_once(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other has removed the pieces while this one was about to read them."""
    (part,) = store.parts
    other = Store.open(store.path).parts[0]
    for row in range(LEAST_CHUNK - 1):
        part.write_piece(0, row, columns([FAILURE], 256))
    complete = Part._complete

    def late(self: Part, index: int, rows: set[int]) -> None:
        if self is part:
            complete(other, index, rows)
            answers = iter([False, True])
            monkeypatch.setattr(Part, "_is_finished", lambda self, index: next(answers))
        complete(self, index, rows)

    monkeypatch.setattr(Part, "_complete", late)
    part.write_piece(0, LEAST_CHUNK - 1, columns([FAILURE], 256))
    monkeypatch.undo()
    assert (store.status[:LEAST_CHUNK] == FAILED).all()
    assert pieces(store) == []


def test_a_damaged_piece_is_found_and_only_its_crop_fitted_again(
    photos: Path, tmp_path: Path, fitter: str
) -> None:
    path = tmp_path / "a.zarr"
    with pytest.raises(KeyboardInterrupt):
        mine(photos, path, LONG, scheduler="sync", fitter=fitter, callback=Counter(5))
    for spoil in (lambda content: content[:-40], lambda content: b"", lambda content: flipped(content)):
        file = next(Path(path).rglob("pieces/0/3"))
        file.write_bytes(spoil(file.read_bytes()))
        (damage,) = verify(path).damage
        assert "pieces/0/3 is damaged" in damage.what
        assert (damage.chunk.first, damage.crops) == (3, 1)
        found = verify(path, repair=True)
        assert found.sound
        assert found.pending == 26
        counter = Counter(1)
        with pytest.raises(KeyboardInterrupt):
            mine(photos, path, LONG, scheduler="sync", fitter=fitter, callback=counter)
        assert counter.chunks[0].chunk.first == 3


def flipped(content: bytes) -> bytes:
    changed = bytearray(content)
    changed[len(changed) // 2] ^= 0x10
    return bytes(changed)


def test_only_failed_crops_are_fitted_again(photos: Path, tmp_path: Path, fitter: str) -> None:
    """In chunks that are written, and in those that are not."""
    path = tmp_path / "a.zarr"
    with pytest.raises(KeyboardInterrupt):
        mine(photos, path, LONG, scheduler="sync", fitter=fitter, callback=Counter(20))
    store = Store.open(path)
    (part,) = store.parts
    for row in (2, 4, 14):
        store.mark_pending(Chunk(part.name, row // LEAST_CHUNK, row))
        store.write(Chunk(part.name, row // LEAST_CHUNK, row), [FAILURE])
    before = results(store)
    assert (store.status == FAILED).sum() == 3
    ahead = look_ahead(path, plan_run(photos, LONG), retry_failed=True)
    assert (ahead.done, ahead.pending, ahead.chunks) == (17, 13, 13)
    counter = Counter()
    store = mine(photos, path, LONG, scheduler="sync", fitter=fitter, callback=counter, retry_failed=True)
    assert [progress.chunk.first for progress in counter.chunks] == [2, 4, 14, *range(20, 30)]
    assert (store.status == DONE).all()
    fitted = np.isfinite(before[:, 0])
    np.testing.assert_array_equal(results(store)[fitted], before[fitted])
    assert pieces(store) == []


def fail_a_chunk(store: Store) -> tuple[Part, Part]:
    """Write the first chunk, and return its part as two runs have it."""
    for row in range(LEAST_CHUNK):
        store.write(Chunk(store.parts[0].name, 0, row), [FAILURE])
    return store.parts[0], Store.open(store.path).parts[0]


@pytest.mark.parametrize("other_first", [True, False])
def test_two_runs_may_mark_a_crop_as_pending_at_once(
    store: Store, monkeypatch: pytest.MonkeyPatch, other_first: bool
) -> None:
    """The other does all of it just before, or just after, this one reads the status."""
    part, other = fail_a_chunk(store)
    read_chunk = Part.read_chunk

    def read_at_once(self: Part, name: ArrayName, index: int) -> np.ndarray:
        monkeypatch.setattr(Part, "read_chunk", read_chunk)
        before = read_chunk(part, name, index)
        other.mark_pending(0, 3)
        return read_chunk(part, name, index) if other_first else before

    monkeypatch.setattr(Part, "read_chunk", read_at_once)
    part.mark_pending(0, 3)
    assert Part.read_chunk is read_chunk
    assert pieces(store) == sorted(str(row) for row in range(LEAST_CHUNK) if row != 3)
    expected = [PENDING if row == 3 else FAILED for row in range(LEAST_CHUNK)]
    assert Store.open(store.path).status[:LEAST_CHUNK].tolist() == expected
    assert Store.open(store.path).pending_chunks()[0].first == 3
    part.write_piece(0, 3, columns([FAILURE], 256))
    assert (store.status[:LEAST_CHUNK] == FAILED).all()
    assert pieces(store) == []


def test_a_run_that_starts_while_a_crop_is_marked_as_pending_loses_no_fit(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It takes the pieces for what a killed run has left."""
    part, other = fail_a_chunk(store)
    remove = Location.remove

    def remove_late(self: Location, name: str) -> None:
        if name == f"{ArrayName.STATUS}/c/0":
            other.complete_chunks()
            assert pieces(store) == []
        remove(self, name)

    monkeypatch.setattr(Location, "remove", remove_late)
    part.mark_pending(0, 3)
    assert part.unfinished()[:LEAST_CHUNK].tolist() == [row == 3 for row in range(LEAST_CHUNK)]
    assert store.status[:LEAST_CHUNK].tolist() == [FAILED * (row != 3) for row in range(LEAST_CHUNK)]
    assert store.errors == [(row, "a.png is broken.") for row in range(LEAST_CHUNK) if row != 3]


def test_a_piece_that_is_pending_is_fitted_again(store: Store) -> None:
    """Two runs of an earlier version may have left it."""
    (part,) = store.parts
    one = columns([FAILURE], 256)
    for row in range(LEAST_CHUNK):
        part._pieces.write(0, row, one | {ArrayName.STATUS: [FAILED if row != 3 else PENDING]})
    store.complete_chunks()
    assert [chunk.first for chunk in store.pending_chunks()] == [3, *range(LEAST_CHUNK, 30)]
    part.write_piece(0, 3, one)
    assert (store.status[:LEAST_CHUNK] == FAILED).all()
    assert pieces(store) == []


def test_a_store_with_chunks_of_single_crops_keeps_them(
    tmp_path: Path, plan: Plan, photos: Path, fitter: str
) -> None:
    """As stores of version 0.1.0 have."""
    store = Store.create(tmp_path / "a.zarr", plan, chunk=1, gaussians=256)
    assert store.pending_chunks() == [Chunk(store.parts[0].name, row) for row in range(30)]
    counter = Counter()
    mine(photos, store.path, LONG, scheduler="sync", fitter=fitter, callback=counter)
    assert [progress.chunk.number for progress in counter.chunks] == list(range(30))
    assert len(list(Path(store.path).rglob("crops/status/c/*"))) == 30
    assert not list(Path(store.path).rglob("pieces"))


def test_there_is_work_for_as_many_workers_as_crops(plan: Plan, store: Store) -> None:
    chunks = store.pending_chunks()
    assert len(chunks) == plan.crops == 30
    assert [store.chunk_crops(chunk) for chunk in chunks] == [
        [(plan.names[image], *at)] for image, at in zip(plan.image, plan.position.tolist(), strict=True)
    ]
