"""Coverage is measured on crops that the dictionary was not made of, not on copies of those either."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from dgp_mining import mining
from dgp_mining.mining import mine
from dgp_mining.planning import plan
from dgp_mining.planning.settings import Settings
from dgp_mining.prior.build import build_dictionary
from dgp_mining.prior.held_out import of_one_image, split
from dgp_mining.store.merge import merge
from dgp_mining.store.store import Store

SETTINGS = Settings(crop=32)


@pytest.fixture(autouse=True)
def few_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Writing chunks is what takes time here."""
    monkeypatch.setattr(mining, "chunk_length", lambda *arguments: 64)


def sides(store: Store) -> tuple[set[str], set[str]]:
    """Names of the images on the two sides."""
    done = store.order()
    held_out, used = split(done, of_one_image(store, done))
    assert len(held_out) + len(used) == len(store)
    return tuple({store.plan.names[i] for i in store.plan.image[crops]} for crops in (held_out, used))


@pytest.fixture
def with_copies(photos: Path, tmp_path: Path, fitter: str, monkeypatch: pytest.MonkeyPatch) -> Store:
    """A store of photographs of which two have copies, mined before copies were noticed."""
    shutil.copy(photos / "p0.png", photos / "x.png")
    shutil.copy(photos / "p3.png", photos / "more/y.png")
    monkeypatch.setattr(plan, "copies", lambda *arguments: {})
    return mine(photos, tmp_path / "a.zarr", SETTINGS, scheduler="sync", fitter=fitter)


def test_copies_of_an_image_stand_on_one_side(with_copies: Store) -> None:
    held_out, used = sides(with_copies)
    assert held_out
    for names in ({"p0.png", "x.png"}, {"p3.png", "more/y.png"}):
        assert not (names & held_out and names & used), names
    assert build_dictionary(with_copies.path, size=64).metadata["coverage"]["held_out_crops"] > 0


def test_copies_in_merged_stores_do_too(photos: Path, tmp_path: Path, fitter: str) -> None:
    (tmp_path / "b").mkdir()
    for number in range(5):
        shutil.copy(photos / f"p{number}.png", tmp_path / "b" / f"copy{number}.png")
    stores = [tmp_path / "a.zarr", tmp_path / "b.zarr"]
    for folder, store in zip((photos, tmp_path / "b"), stores, strict=True):
        mine(folder, store, SETTINGS, scheduler="sync", fitter=fitter)
    held_out, used = sides(merge(stores, tmp_path / "c.zarr"))
    copied = {name for n in range(5) for name in (f"p{n}.png", f"copy{n}.png")}
    assert not held_out & used & copied
    assert len(held_out & copied) % 2 == 0


def test_without_copies_every_tenth_crop_is_held_out(photos: Path, tmp_path: Path, fitter: str) -> None:
    store = mine(photos, tmp_path / "a.zarr", SETTINGS, scheduler="sync", fitter=fitter)
    done = store.order()
    assert of_one_image(store, done).tolist() == list(range(len(done)))
    held_out, used = split(done, of_one_image(store, done))
    assert held_out.tolist() == done[9::10].tolist()
    assert sorted([*held_out, *used]) == list(range(len(done)))


def test_what_belongs_together_counts_as_one() -> None:
    together = np.array([5, 5, *range(6, 28), 5])
    held_out, used = split(np.arange(25), together)
    assert held_out.tolist() == [10, 20]  # the tenth and the twentieth, as the first three are one
    assert len(used) == 23
