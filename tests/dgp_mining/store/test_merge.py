"""The dictionary is the same whether crops come from one run, from extending a store or from merging some."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dgp_mining.mining import mine
from dgp_mining.planning.settings import Settings
from dgp_mining.prior import build
from dgp_mining.prior.build import build_dictionary
from dgp_mining.progress import ProgressCallback
from dgp_mining.store.merge import merge
from dgp_mining.store.store import DONE, Chunk, Store, StoreError
from dgp_mining.store.summary import summarise
from dgp_mining.store.verify import verify

ALL = Settings(crop=32)
NAMES = ["more/p5.png", *(f"p{i}.png" for i in range(5))]

Mine = Callable[..., Store]


@pytest.fixture
def mine_some(photos: Path, tmp_path: Path, fitter: str, monkeypatch: pytest.MonkeyPatch) -> Mine:
    """Mines some of the photographs, as if on a machine of its own, in a folder that is always `photos`."""

    def run(store: str, names: list[str], settings: Settings = ALL) -> Store:
        here = tmp_path / "machine" / "photos"
        shutil.rmtree(here, ignore_errors=True)
        for name in names:
            (here / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(photos / name, here / name)
        with monkeypatch.context() as moved:
            moved.chdir(here.parent)
            return mine("photos", tmp_path / store, settings, scheduler="sync", fitter=fitter)

    monkeypatch.chdir(tmp_path)
    return run


def dictionary_bytes(store: str | Path) -> bytes:
    build_dictionary(store, size=64).save("dict.npz")
    return Path("dict.npz").read_bytes()


def crops_of(store: Store) -> list[tuple[str, int, int]]:
    """Name, row and column of each crop, sorted."""
    image, position = store.plan.image, store.plan.position
    return sorted((store.plan.names[i], *at) for i, at in zip(image, position.tolist(), strict=True))


def test_a_store_extended_image_by_image_is_one_that_was_mined_in_one_go(mine_some: Mine) -> None:
    whole = mine_some("whole.zarr", NAMES)
    for last in (3, 5, 6):
        extended = mine_some("extended.zarr", sorted(NAMES)[-last:])
    assert len(extended.parts) == 3
    assert crops_of(extended) == crops_of(whole)
    assert dictionary_bytes("extended.zarr") == dictionary_bytes("whole.zarr")


def test_a_store_extended_by_more_crops_is_one_that_was_mined_in_one_go(mine_some: Mine) -> None:
    whole = mine_some("whole.zarr", NAMES, Settings(crop=32, max_crops=30))
    for most in (7, 8, 30):
        extended = mine_some("extended.zarr", NAMES, Settings(crop=32, max_crops=most))
        assert len(extended) == most
        assert extended.settings.max_crops == most
    assert crops_of(extended) == crops_of(whole)
    assert dictionary_bytes("extended.zarr") == dictionary_bytes("whole.zarr")


def test_what_is_mined_stays_where_more_images_would_change_the_choice(mine_some: Mine) -> None:
    before = crops_of(mine_some("a.zarr", NAMES[:3], Settings(crop=32, max_crops=12)))
    same = mine_some("a.zarr", NAMES, Settings(crop=32, max_crops=12))
    assert crops_of(same) == before
    more = crops_of(mine_some("a.zarr", NAMES, Settings(crop=32, max_crops=20)))
    assert len(more) == len(set(more)) == 20
    assert set(before) < set(more)
    assert {name for name, _, _ in set(more) - set(before)} & set(NAMES[3:])


def test_nothing_is_extended_where_nothing_is_new(mine_some: Mine) -> None:
    mine_some("a.zarr", NAMES)
    assert len(mine_some("a.zarr", NAMES).parts) == 1
    assert len(mine_some("a.zarr", NAMES[:4]).parts) == 1  # images that are done may be removed


def test_an_image_that_is_still_to_be_fitted_must_be_there(mine_some: Mine) -> None:
    store = mine_some("a.zarr", NAMES)
    store.mark_pending(Chunk(store.parts[0].name, 0))
    with pytest.raises(StoreError, match=r"more/p5\.png is still to be fitted, and is not in photos"):
        mine_some("a.zarr", NAMES[1:])


def test_a_bad_image_that_becomes_good_is_mined_and_no_longer_listed(mine_some: Mine, photos: Path) -> None:
    good = (photos / "p1.png").read_bytes()
    (photos / "p1.png").write_text("not an image")
    assert [image["image"] for image in summarise(mine_some("a.zarr", NAMES))["skipped"]] == ["p1.png"]
    (photos / "p1.png").write_bytes(good)
    store = mine_some("a.zarr", NAMES)
    assert not summarise(store)["skipped"]
    mine_some("whole.zarr", NAMES)
    assert dictionary_bytes("a.zarr") == dictionary_bytes("whole.zarr")


def test_a_new_bad_image_is_listed(mine_some: Mine, photos: Path) -> None:
    mine_some("a.zarr", NAMES)
    (photos / "text.png").write_text("not an image")
    summary = summarise(mine_some("a.zarr", [*NAMES, "text.png"]))
    assert [image["image"] for image in summary["skipped"]] == ["text.png"]
    assert len(mine_some("a.zarr", [*NAMES, "text.png"]).parts) == 2  # told once


def test_stores_mined_apart_merge_into_the_one_that_was_mined_in_one_go(
    mine_some: Mine, tmp_path: Path
) -> None:
    mine_some("whole.zarr", NAMES)
    mine_some("a.zarr", NAMES[:4])
    mine_some("b.zarr", NAMES[2:])  # two images are in both
    mine_some("c.zarr", NAMES[2:3])
    reported: list[tuple[int, int]] = []

    class Reported(ProgressCallback):
        def on_progress(self, what: str, done: int, total: int) -> None:
            reported.append((done, total))

    merged = merge(["b.zarr", "a.zarr", "c.zarr"], "ab.zarr", callback=Reported())
    assert (merged.status == DONE).all()
    assert crops_of(merged) == crops_of(Store.open("whole.zarr"))
    assert len(merged.parts) == 1
    assert reported[-1] == (len(merged), len(merged))
    assert verify("ab.zarr", [tmp_path / "photos"]).sound
    assert dictionary_bytes("ab.zarr") == dictionary_bytes("whole.zarr")
    assert len(mine_some("ab.zarr", NAMES).parts) == 1  # a merged store can be continued


def test_kept_fields_are_merged(mine_some: Mine) -> None:
    keeping = Settings(crop=32, keep_fields=True)
    first = mine_some("a.zarr", NAMES[:1], keeping)
    mine_some("b.zarr", NAMES[1:], keeping)
    merged = merge(["b.zarr", "a.zarr"], "ab.zarr")
    assert first.field(0).colors.equal(merged.field(0).colors)  # "more/p5.png" comes first in both
    assert merged.field(len(merged) - 1).colors.shape == (1, 256, 3)


def test_different_images_of_one_name_are_both_kept(mine_some: Mine, photos: Path, tmp_path: Path) -> None:
    mine_some("a.zarr", ["p0.png", "p1.png"])
    Image.open(photos / "p1.png").transpose(Image.Transpose.ROTATE_180).save(photos / "p1.png")
    mine_some("b.zarr", ["p1.png", "p2.png"])
    merged = merge(["a.zarr", "b.zarr"], "ab.zarr")
    assert len(merged) == len(Store.open("a.zarr")) + len(Store.open("b.zarr"))
    assert len({(name, *at) for name, *at in crops_of(merged)}) == len(merged) - 6  # as many have one name
    merge(["b.zarr", "a.zarr"], "ba.zarr")
    assert dictionary_bytes("ab.zarr") == dictionary_bytes("ba.zarr")
    assert verify("ab.zarr").sound


def test_a_failure_gives_way_to_a_fit_of_the_same_crop(mine_some: Mine, photos: Path) -> None:
    good = (photos / "p1.png").read_bytes()
    (photos / "p1.png").write_bytes(good[:-2000])
    assert summarise(mine_some("a.zarr", NAMES))["failed"] > 0
    (photos / "p1.png").write_bytes(good)
    mine_some("b.zarr", ["p1.png"])
    mine_some("whole.zarr", NAMES)
    assert (merge(["a.zarr", "b.zarr"], "ab.zarr").status == DONE).all()
    assert dictionary_bytes("ab.zarr") == dictionary_bytes("whole.zarr")


def test_what_cannot_be_merged_is_refused_in_a_sentence(mine_some: Mine) -> None:
    store = mine_some("a.zarr", NAMES[:2])
    mine_some("b.zarr", NAMES[2:], Settings(crop=32, seed=1))
    said = r"b\.zarr was mined with other settings than a\.zarr \(seed is 0 there and 1"
    with pytest.raises(StoreError, match=said):
        merge(["a.zarr", "b.zarr"], "ab.zarr")
    with pytest.raises(StoreError, match=r"b\.zarr exists already: name another out="):
        merge(["a.zarr"], "b.zarr")
    store.mark_pending(Chunk(store.parts[0].name, 0))
    with pytest.raises(StoreError, match=r"a\.zarr still has \d+ of \d+ crops to fit"):
        merge(["a.zarr"], "ab.zarr")
    assert not Path("ab.zarr").exists()


def test_a_merge_that_was_killed_leaves_no_store_and_is_done_again(mine_some: Mine) -> None:
    mine_some("a.zarr", NAMES[:3])
    mine_some("b.zarr", NAMES[3:])

    class Kill(ProgressCallback):
        def on_progress(self, what: str, done: int, total: int) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        merge(["a.zarr", "b.zarr"], "ab.zarr", callback=Kill())
    assert not Store.exists("ab.zarr")
    merge(["a.zarr", "b.zarr"], "ab.zarr")
    mine_some("whole.zarr", NAMES)
    assert dictionary_bytes("ab.zarr") == dictionary_bytes("whole.zarr")


def test_thinning_keeps_the_order_and_does_not_depend_on_blocks(
    mine_some: Mine, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, crops = mine_some("a.zarr", NAMES), np.arange(20)
    everything, count = build.thinned(store, crops, seed=3)
    assert len(everything) == count
    monkeypatch.setattr(build, "MOST_GAUSSIANS", 500)
    once = build.thinned(store, crops, seed=3)
    monkeypatch.setattr(build, "BLOCK", 3)
    blocks = build.thinned(store, crops, seed=3)
    assert once[1] == blocks[1] == count
    np.testing.assert_array_equal(once[0], blocks[0])
    assert len(once[0]) == 500
    places = [np.flatnonzero((everything == row).all(axis=1))[0] for row in once[0]]
    assert places == sorted(places)
    assert max(places) > count * 0.8
    assert min(places) < count * 0.2
