"""Copies of an image are mined once, whichever name comes first, and when; stores with copies go on."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from PIL import Image

from dgp_mining import mining
from dgp_mining.mining import mine
from dgp_mining.planning import plan
from dgp_mining.planning.settings import Settings
from dgp_mining.store.store import DONE, Chunk, Store
from dgp_mining.store.summary import summarise

SETTINGS = Settings(crop=32, max_crops=24)


@pytest.fixture(autouse=True)
def few_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Writing chunks is what takes time here."""
    monkeypatch.setattr(mining, "chunk_length", lambda *arguments: 64)


def test_a_store_that_mined_copies_before_they_were_noticed_is_resumed_and_not_changed(
    flat: Path, tmp_path: Path, fitter: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(flat / "10.png", flat / "10 copy.png")
    with monkeypatch.context() as earlier:
        earlier.setattr(plan, "copies", lambda *arguments: {})
        before = mine(flat, tmp_path / "a.zarr", SETTINGS, scheduler="sync", fitter=fitter)
    assert len(before) == 9
    before.mark_pending(Chunk(before.parts[0].name, 0))
    after = mine(flat, tmp_path / "a.zarr", SETTINGS, scheduler="sync", fitter=fitter, strict=True)
    assert (len(after), len(after.parts)) == (9, 1)
    assert (after.status == DONE).all()


def test_a_copy_that_comes_later_is_not_mined_again_though_its_name_is_shorter(
    flat: Path, tmp_path: Path, fitter: str
) -> None:
    mine(flat, tmp_path / "a.zarr", SETTINGS, scheduler="sync", fitter=fitter)
    shutil.copy(flat / "10.png", flat / "1.png")
    Image.new("RGB", (32, 32), (90, 90, 90)).save(flat / "2.png")
    after = mine(flat, tmp_path / "a.zarr", SETTINGS, scheduler="sync", fitter=fitter, strict=True)
    assert len(after) == 9
    assert {after.plan.names[image] for image in after.plan.image} == {
        "2.png",
        *(f"{value}.png" for value in range(10, 90, 10)),
    }
    again = mine(flat, tmp_path / "a.zarr", SETTINGS, scheduler="sync", fitter=fitter, strict=True)
    assert (len(again), len(again.parts)) == (9, 2)


def mined_names(store: Store) -> set[str]:
    return {store.plan.names[image] for image in store.plan.image}


def test_what_is_renamed_or_comes_again_in_another_folder_is_not_mined_again(
    flat: Path, tmp_path: Path, fitter: str
) -> None:
    before = mined_names(mine(flat, tmp_path / "a.zarr", SETTINGS, scheduler="sync", fitter=fitter))
    (flat / "10.png").rename(flat / "renamed.png")
    store = mine(flat, tmp_path / "a.zarr", SETTINGS, scheduler="sync", fitter=fitter, strict=True)
    assert summarise(store)["copy_of"] == {"renamed.png": "10.png"}
    other = tmp_path / "other"
    other.mkdir()
    for name in ("b.png", "bb.png"):
        shutil.copy(flat / "20.png", other / name)
    Image.new("RGB", (32, 32), (90, 90, 90)).save(other / "new.png")
    for _ in range(2):
        store = mine(other, tmp_path / "a.zarr", SETTINGS, scheduler="sync", fitter=fitter, strict=True)
        assert mined_names(store) == before | {"new.png"}
        assert len(store.parts) == 3
        assert summarise(store)["copy_of"] == {"renamed.png": "10.png", "b.png": "20.png", "bb.png": "20.png"}


def test_a_limit_is_met_from_what_is_no_copy(flat: Path, tmp_path: Path, fitter: str) -> None:
    few = Settings(crop=32, max_crops=8)
    mine(flat, tmp_path / "a.zarr", few, scheduler="sync", fitter=fitter)
    other = tmp_path / "other"
    other.mkdir()
    for number in range(8):
        shutil.copy(flat / f"{10 + 10 * number}.png", other / f"c{number}.png")
        Image.new("RGB", (32, 32), (number, 9, 99)).save(other / f"n{number}.png")
    more = Settings(crop=32, max_crops=16)
    store = mine(other, tmp_path / "a.zarr", more, scheduler="sync", fitter=fitter)
    assert len(store) == 16
    assert {f"n{number}.png" for number in range(8)} < mined_names(store)


def test_the_mined_name_stays_though_a_shorter_one_comes(flat: Path, tmp_path: Path, fitter: str) -> None:
    mine(flat, tmp_path / "a.zarr", SETTINGS, scheduler="sync", fitter=fitter)
    for name in ("1.png", "10 copy.png"):
        shutil.copy(flat / "10.png", flat / name)
    store = mine(flat, tmp_path / "a.zarr", SETTINGS, scheduler="sync", fitter=fitter)
    assert summarise(store)["copy_of"] == {"1.png": "10.png", "10 copy.png": "10.png"}


def test_a_folder_of_nothing_but_mined_images_is_no_failure(flat: Path, tmp_path: Path, fitter: str) -> None:
    mine(flat, tmp_path / "a.zarr", SETTINGS, scheduler="sync", fitter=fitter)
    for image in flat.iterdir():
        image.rename(flat / f"renamed {image.name}")
    store = mine(flat, tmp_path / "a.zarr", SETTINGS, scheduler="sync", fitter=fitter, strict=True)
    assert (store.status == DONE).all()
    assert len(store) == len(summarise(store)["copy_of"]) == 8
