"""What is passed on says nothing of the folders of a machine, and is the same however they were named."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from dgp_mining.mining import mine
from dgp_mining.planning.settings import Settings
from dgp_mining.prior.build import build_dictionary
from dgp_mining.report.report import write_report
from dgp_mining.store.merge import merge

SETTINGS = Settings(crop=32, iterations=4)


def dictionary_bytes(store: Path | str) -> bytes:
    build_dictionary(store, size=32).save("dict.npz")
    return Path("dict.npz").read_bytes()


def test_a_dictionary_is_the_same_to_the_last_byte_however_its_images_are_named_and_from_a_merge(
    photos: Path, tmp_path: Path, fitter: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    made = []
    for number, name in enumerate(["../photos", "../photos/", str(photos), "../elsewhere/.././photos"]):
        mine(name, f"{number}.zarr", SETTINGS, scheduler="sync", fitter=fitter)
        made.append(dictionary_bytes(f"{number}.zarr"))
    names = sorted(str(path.relative_to(photos)) for path in photos.rglob("*.png"))
    for part in range(2):
        for name in names[part::2]:
            (tmp_path / f"half{part}" / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(photos / name, tmp_path / f"half{part}" / name)
        mine(f"../half{part}", f"half{part}.zarr", SETTINGS, scheduler="sync", fitter=fitter)
    merge(["half0.zarr", "half1.zarr"], "merged.zarr")
    made.append(dictionary_bytes("merged.zarr"))
    assert len(set(made)) == 1
    assert b"photos" not in made[0]


def test_a_report_names_the_folder_of_the_images_and_not_where_it_lies(photos: Path, tmp_path: Path) -> None:
    (photos / "bad.png").write_text("no image")
    store = mine(photos, tmp_path / "a.zarr", SETTINGS, scheduler="sync")
    write_report(store.path, tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text()
    assert str(tmp_path) not in text
    assert ">photos<" in text
