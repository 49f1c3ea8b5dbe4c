"""A store lists the software that wrote to it, and a run that goes on with other software is told."""

from __future__ import annotations

import json
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from dgp_mining.callbacks import Callback
from dgp_mining.fitting.generation import GENERATION
from dgp_mining.mining import mine
from dgp_mining.planning.settings import Settings
from dgp_mining.prior.build import build_dictionary
from dgp_mining.store import versions
from dgp_mining.store.location import Location
from dgp_mining.store.merge import merge
from dgp_mining.store.store import Chunk, Store
from dgp_mining.store.summary import summarise
from dgp_mining.store.verify import verify
from dgp_mining.store.versions import Writer, deciding, deciding_versions, other_software, record, writers

SETTINGS = Settings(crop=32)


class Messages(Callback):
    def __init__(self) -> None:
        self.said: list[str] = []

    def on_message(self, text: str) -> None:
        self.said.append(text)


def go_on(flat: Path, path: Path, fitter: str) -> list[str]:
    """Fit the first chunk again; return what is said."""
    store = Store.open(path)
    store.mark_pending(Chunk(store.parts[0].name, 0))
    messages = Messages()
    mine(flat, path, SETTINGS, scheduler="sync", fitter=fitter, callback=messages)
    return messages.said


@pytest.fixture
def path(flat: Path, tmp_path: Path, fitter: str) -> Path:
    mine(flat, tmp_path / "a.zarr", SETTINGS, scheduler="sync", fitter=fitter)
    return tmp_path / "a.zarr"


@pytest.fixture
def other(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """What is installed, and may be changed."""
    here = deciding_versions()
    monkeypatch.setattr(versions, "deciding_versions", lambda: dict(here))
    monkeypatch.setattr(versions.time, "gmtime", lambda: (2031, 5, 6, 7, 8, 0, 0, 0, 0))
    return here


def test_a_store_lists_its_writer_once_and_the_same_software_is_no_news(
    flat: Path, path: Path, fitter: str
) -> None:
    (writer,) = Store.open(path).writers
    assert writer.versions == deciding_versions()
    assert writer.since.startswith("20")
    assert go_on(flat, path, fitter) == []
    assert Store.open(path).writers == [writer]
    assert verify(path).sound


def test_other_software_that_decides_bits_is_told_and_listed(
    flat: Path, path: Path, fitter: str, other: dict[str, str]
) -> None:
    here = dict(other)
    other |= {"numpy": "9.9", "fitting": "7", "pillow-heif": "9.9", "tifffile": "9"}
    (said,) = go_on(flat, path, fitter)
    first, second = Store.open(path).writers
    assert second == Writer(other, "2031-05-06 07:08")
    there = f"since {first.since} UTC fitting {here['fitting']}, numpy {here['numpy']}"
    assert said == (
        f"{path} has crops that other versions have fitted ({there}; here fitting 7, numpy 9.9): the crops "
        "to come may differ a little from them. Install those versions, or start over with overwrite=True, "
        "if all must be fitted alike."
    )
    listed = summarise(Store.open(path))["versions"]
    assert [one["versions"]["fitting"] for one in listed] == [here["fitting"], "7"]
    assert "pillow-heif" not in listed[0]["versions"]  # the images are PNG


def test_a_decoder_counts_for_its_formats_and_what_is_unknown_for_none() -> None:
    there = [Writer({"pillow-heif": "0.1", "pillow": "1", "imagecodecs jpegxl": "libjxl 0"})]
    assert other_software("s", [replace(there[0], versions={})], ["a.heic"]) == ""
    png, heic = (other_software("s", there, [name]) for name in ("a.png", "a.heic"))
    assert "pillow 1;" in png
    assert "pillow 1, pillow-heif 0.1;" in heic
    assert "jpegxl" not in png + heic
    assert len(deciding([*there, Writer({"pillow": "1"})], ["a.png"])) == 1


def test_a_store_from_before_the_list_has_what_it_says_of_its_creation(
    flat: Path, path: Path, fitter: str, other: dict[str, str]
) -> None:
    shutil.rmtree(path / "versions")
    created = json.loads((path / "zarr.json").read_text())["attributes"]["versions"]
    assert Store.open(path).writers == [Writer(created)]
    assert go_on(flat, path, fitter) == []
    assert [writer.since for writer in Store.open(path).writers] == ["", "2031-05-06 07:08"]


def test_half_an_entry_or_a_damaged_one_is_written_again(flat: Path, path: Path, fitter: str) -> None:
    (entry,) = (path / "versions").glob("*/zarr.json")
    for left in (b"{", b""):
        entry.write_bytes(left)
        go_on(flat, path, fitter)
        assert len(Store.open(path).writers) == 1
    entry.unlink()
    go_on(flat, path, fitter)
    assert entry.exists()


def test_fits_of_other_code_make_another_prior_and_a_merged_store_names_all(
    flat: Path, path: Path, fitter: str, other: dict[str, str], tmp_path: Path
) -> None:
    fingerprints = [build_dictionary(path, size=8).metadata["fingerprint"]]
    other["fitting"] = "7"
    mine(flat, tmp_path / "b.zarr", SETTINGS, scheduler="sync", fitter=fitter)
    messages = Messages()
    merged = merge([path, tmp_path / "b.zarr"], tmp_path / "c.zarr", callback=messages)
    (said,) = messages.said
    assert said.startswith("Different versions have fitted these stores: since 20")
    assert f"fitting {GENERATION}; since 2031-05-06 07:08 UTC fitting 7" in said
    assert len(merged.writers) == 2
    for store in (tmp_path / "b.zarr", merged.path):
        fingerprints.append(build_dictionary(store, size=8).metadata["fingerprint"])
    assert len(set(fingerprints)) == 3


def test_workers_that_begin_at_once_list_themselves_once(tmp_path: Path) -> None:
    for number in range(20):
        place, together = Location(str(tmp_path / str(number))), threading.Barrier(4)

        def list_itself(place: Location = place, together: threading.Barrier = together) -> None:
            together.wait()
            record(place, Writer({"numpy": "1"}))

        with ThreadPoolExecutor(4) as pool:
            for done in [pool.submit(list_itself) for _ in range(4)]:
                done.result()
        assert writers(place, {}) == [Writer({"numpy": "1"})]
