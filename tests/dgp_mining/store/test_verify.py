"""Damage of any kind is found, named and repaired; a sound store is reported as sound."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from dgp_mining import mining
from dgp_mining.cli import main
from dgp_mining.images.limits import ImageError
from dgp_mining.mining import mine
from dgp_mining.planning.settings import Settings
from dgp_mining.prior.build import build_dictionary
from dgp_mining.prior.dictionary import Dictionary
from dgp_mining.store import merge
from dgp_mining.store import verify as verification
from dgp_mining.store.integrity import DamagedError
from dgp_mining.store.layout import crop_arrays, plan_arrays
from dgp_mining.store.store import Chunk, CropResult, Store, StoreError
from dgp_mining.store.summary import summarise
from dgp_mining.store.verify import Verification, verify

SETTINGS = Settings(crop=32, max_crops=12, keep_fields=True)


@pytest.fixture
def store(photos: Path, tmp_path: Path, fitter: str) -> Path:
    mine(photos, tmp_path / "a.zarr", SETTINGS, scheduler="sync", fitter=fitter)
    return tmp_path / "a.zarr"


def run(*arguments: object) -> Result:
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert "Traceback" not in result.output
    if result.exit_code == 1 and arguments[0] != "verify":
        assert result.stderr.splitlines()[-1].startswith("Error: ")
    return result


def chunk_file(store: Path, name: str, index: int) -> Path:
    (part,) = Store.open(store).parts
    folder = Path(str(part.place)) / name / "c" / str(index)
    return folder if folder.is_file() else next(path for path in folder.rglob("*") if path.is_file())


ARRAYS = [
    *("crops/result", "crops/sha256", "crops/error", "crops/content", "crops/status"),
    *("statistics/count", "statistics/moment", "statistics/histogram", "statistics/sample"),
    *("fields/means", "fields/cholesky", "fields/colors", "fields/extent"),
]


def test_a_finished_store_is_sound(store: Path) -> None:
    assert verify(store) == Verification(crops=12, pending=0, damage=[], repaired=False, files=None)
    assert set(ARRAYS) == crop_arrays(Store.open(store).parts[0].extent).keys()


def test_a_flipped_byte_is_found_in_every_array(store: Path) -> None:
    for name in ARRAYS:
        file = chunk_file(store, name, 7)
        before = file.read_bytes()
        content = bytearray(before)
        content[len(content) // 2] ^= 0x10
        file.write_bytes(content)
        found = verify(store)
        assert not found.sound
        (damage,) = found.damage
        assert damage.chunk.number == 7
        assert name in damage.what
        file.write_bytes(before)


def test_a_lost_chunk_is_found_in_every_array(store: Path) -> None:
    """In every array, except the errors (empty here) and the status, without which a chunk is pending."""
    for name in set(ARRAYS) - {"crops/error", "crops/status"}:
        file = chunk_file(store, name, 7)
        before = file.read_bytes()
        file.unlink()
        (damage, *_) = verify(store).damage
        assert damage.chunk.number == 7, name
        file.write_bytes(before)


def test_a_cut_chunk_is_found(store: Path) -> None:
    file = chunk_file(store, "statistics/sample", 0)
    file.write_bytes(file.read_bytes()[:100])
    (damage,) = verify(store).damage
    assert "statistics/sample is damaged" in damage.what


def test_a_chunk_without_status_is_pending_not_damaged(store: Path) -> None:
    chunk_file(store, "crops/status", 7).unlink()
    found = verify(store)
    assert found.sound
    assert found.pending == 1


def test_numbers_that_no_fit_has_are_found(store: Path) -> None:
    opened = Store.open(store)
    (part,) = opened.parts
    opened.write(Chunk(part.name, 3), [CropResult(bytes([1] * 32), "", np.nan, 25.0, 7, 0.5)])
    whats = " ".join(damage.what for damage in verify(store).damage)
    assert "crop 3 has a result that is not finite" in whats
    assert "crop 3 has a field of more or fewer Gaussians" in whats


def test_what_is_repaired_is_fitted_again_to_the_same_dictionary(
    store: Path, photos: Path, fitter: str, tmp_path: Path
) -> None:
    build_dictionary(store, size=64).save(tmp_path / "before.npz")
    for name, index in (("crops/result", 2), ("crops/status", 5), ("statistics/sample", 7)):
        chunk_file(store, name, index).write_bytes(b"garbage")
    with pytest.raises(DamagedError, match=r"is damaged .*dgp-mine verify --repair"):
        build_dictionary(store, size=64)
    found = verify(store, repair=True)
    assert {damage.chunk.number for damage in found.damage} == {2, 5, 7}
    assert found.sound
    assert found.pending == 3
    assert verify(store).damage == []
    mine(photos, store, SETTINGS, scheduler="sync", fitter=fitter)
    assert verify(store).pending == 0
    build_dictionary(store, size=64).save(tmp_path / "after.npz")
    assert (tmp_path / "after.npz").read_bytes() == (tmp_path / "before.npz").read_bytes()


def test_lost_descriptions_are_written_anew(store: Path) -> None:
    (part,) = Store.open(store).parts
    before = Store.open(store).at().results
    for name in (*plan_arrays(part.extent), *crop_arrays(part.extent)):
        (Path(str(part.place)) / name / "zarr.json").write_text("{")
    with pytest.raises(StoreError, match="crops/result is damaged"):
        assert Store.open(store).psnr is None
    assert len(verify(store).damage) >= len(part._layouts)
    assert verify(store, repair=True).sound
    assert verify(store).damage == []
    np.testing.assert_array_equal(Store.open(store).at().results, before)


def test_a_damaged_plan_is_told_and_not_repaired(store: Path) -> None:
    (part,) = Store.open(store).parts
    file = Path(str(part.place)) / "crops/position/c/0/0"
    file.unlink()  # every position then reads as -1
    with pytest.raises(StoreError, match="its plan is not the one that it was made for"):
        verify(store, repair=True)


def test_image_files_are_compared(store: Path, photos: Path, tmp_path: Path) -> None:
    files = verify(store, [photos]).files
    assert (files.same, files.changed, files.missing) == (6, [], [])
    (photos / "p2.png").unlink()
    Image.new("RGB", (90, 90)).save(photos / "p3.png")
    shutil.copytree(photos / "more", tmp_path / "copy/more")
    shutil.rmtree(photos / "more")
    found = verify(store, [photos, tmp_path / "copy"])
    assert (found.files.same, found.files.changed, found.files.missing) == (4, ["p3.png"], ["p2.png"])
    assert not found.sound


def test_a_folder_without_any_of_the_image_files_is_no_good_news(store: Path, flat: Path) -> None:
    found = run("verify", "--store", store, "--images", flat)
    assert found.exit_code == 1
    assert "0 image files are unchanged, 0 changed, 6 missing." in found.stdout
    assert "None of its image files is there, so that nothing was compared" in found.stdout
    assert f"{store} itself is sound: 12 crops." in found.stdout


def test_the_commands_say_and_exit_as_they_should(store: Path, photos: Path) -> None:
    sound = run("verify", "--store", store, "--images", photos)
    assert sound.exit_code == 0
    assert "is sound: 12 crops." in sound.stdout
    assert "6 image files are unchanged" in sound.stdout
    chunk_file(store, "crops/result", 2).write_bytes(b"garbage")
    damaged = run("verify", "--store", store)
    assert damaged.exit_code == 1
    assert "is damaged: 1 of 12 crops. With --repair" in damaged.stdout
    as_json = json.loads(run("verify", "--store", store, "--json", "--repair").stdout)
    assert as_json["sound"] is as_json["repaired"] is True
    assert as_json["pending"] == 1
    assert as_json["damage"][0]["crops"] == 1
    assert run("verify", "--store", store).exit_code == 0


def test_options_reach_the_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[object, ...]] = []

    def record_verify(store: str, images: tuple[str, ...], *, repair: bool, callback: object) -> Verification:
        calls.append((store, images, repair))
        return Verification(1, 0, [], repair, None)

    def record_merge(stores: tuple[str, ...], out: str, *, callback: object) -> list[int]:
        calls.append((stores, out))
        return [1]

    monkeypatch.setattr(verification, "verify", record_verify)
    monkeypatch.setattr(merge, "merge", record_merge)
    run("verify")
    run("verify", "--store", "s.zarr", "--images", "a", "--images", "b", "--repair")
    run("merge", "a.zarr", "b.zarr", "--out", "c.zarr")
    assert calls == [
        ("dgp.zarr", (), False),
        ("s.zarr", ("a", "b"), True),
        (("a.zarr", "b.zarr"), "c.zarr"),
    ]
    for usage in (["merge", "--out", "c.zarr"], ["merge", "a.zarr"]):
        assert run(*usage).exit_code == 2


NINE = Settings(crop=32, max_crops=9)


def spoil(file: Path, rng: np.random.Generator) -> str:
    """Damage a file in a random way; return a description of the damage."""
    content = bytearray(file.read_bytes())
    match how := ["flip", "cut", "delete", "empty", "foreign"][rng.integers(5)]:
        case "flip":
            for place in rng.integers(len(content), size=1 + rng.integers(3)):
                content[place] ^= 1 << rng.integers(8)
        case "cut":
            del content[rng.integers(len(content)) :]
        case "delete":
            file.unlink()
            return how
        case "empty":
            content.clear()
        case "foreign":
            content = bytearray(rng.bytes(40))
    file.write_bytes(content)
    return how


def of_any_folder(path: str) -> tuple[bytes, dict[str, Any]]:
    """A dictionary without the name of the folder of images, which a lost description of a part had."""
    dictionary = Dictionary.load(path)
    return dictionary.cholesky.tobytes(), {**dictionary.metadata, "images": None}


@pytest.mark.parametrize("seeds", [range(8), pytest.param(range(8, 80), marks=pytest.mark.slow)])
def test_every_command_ends_in_a_sentence_or_in_the_right_result(
    seeds: range, photos: Path, tmp_path: Path, fitter: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mining, "mine", lambda *a, **k: mine(*a, **k | {"fitter": fitter}))
    monkeypatch.chdir(tmp_path)
    mine(photos, "whole.zarr", NINE, scheduler="sync", fitter=fitter)
    build = ["dictionary", "build", "--kernels", 64]
    fit = ["fit", "--images", photos, "--crop", 32, "--max-crops", 9, "--scheduler", "sync"]
    assert run(*build, "--store", "whole.zarr", "--out", "whole.npz").exit_code == 0
    whole = Path("whole.npz").read_bytes()
    ends = {"right": 0, "refused": 0, "repaired": 0}
    for seed in seeds:
        rng = np.random.default_rng(seed)
        shutil.rmtree("a.zarr", ignore_errors=True)
        shutil.rmtree("b.zarr", ignore_errors=True)
        shutil.copytree("whole.zarr", "a.zarr")
        files = sorted(path for path in Path("a.zarr").rglob("*") if path.is_file())
        file = files[rng.integers(len(files))]
        what = f"seed {seed}: {spoil(file, rng)} {file}"
        run("status", "--store", "a.zarr", "--json")
        sound = run("verify", "--store", "a.zarr").exit_code == 0
        built = run(*build, "--store", "a.zarr", "--out", "a.npz").exit_code == 0
        if built:
            assert Path("a.npz").read_bytes() == whole, what
        merged = run("merge", "a.zarr", "--out", "b.zarr").exit_code == 0
        if merged and built:
            assert run(*build, "--store", "b.zarr", "--out", "b.npz").exit_code == 0, what
            assert Path("b.npz").read_bytes() == whole, what
        assert built or not sound or Store.open("a.zarr").pending_chunks(), what
        if run("verify", "--store", "a.zarr", "--repair").exit_code == 0:
            assert run(*fit, "--store", "a.zarr").exit_code == 0, what
            assert run(*build, "--store", "a.zarr", "--out", "a.npz").exit_code == 0, what
            if (
                file.parent.parent.name == "parts"
            ):  # the description of the part, whose folder is lost with it
                assert of_any_folder("a.npz") == of_any_folder("whole.npz"), what
            else:
                assert Path("a.npz").read_bytes() == whole, what
            ends["right" if built else "repaired"] += 1
        else:
            assert run(*fit, "--store", "a.zarr").exit_code == 1, what
            ends["refused"] += 1
    assert len(seeds) < 20 or min(ends.values()) > 0, ends


def test_a_folder_of_images_may_stand_alone_and_must_exist(store: Path, photos: Path) -> None:
    with pytest.raises(ImageError, match=r"nofolder is not a folder: name one with images="):
        verify(store, "nofolder")
    checked = verify(store, photos).files
    assert checked is not None
    assert not checked.missing
    assert summarise(store)["crops"] == len(Store.open(store))


def test_the_metadata_that_only_other_programs_need_are_repaired(
    photos: Path, tmp_path: Path, fitter: str
) -> None:
    store = tmp_path / "a.zarr"
    mine(photos, store, NINE, scheduler="sync", fitter=fitter)
    for spoiled in (b"", b"{", None):
        (store / "parts/zarr.json").unlink()
        if spoiled is not None:
            (store / "parts/zarr.json").write_bytes(spoiled)
        assert [damage.crops for damage in verify(store).damage] == [0]
        assert verify(store, repair=True).sound
        assert verify(store).damage == []
