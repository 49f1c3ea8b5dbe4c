"""Copies, pixels without data and the reading options decide what is planned; other folders are as before."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from dgp_mining.images.image_file import ImageFile, turn
from dgp_mining.images.limits import ImageError
from dgp_mining.images.stored import open_image
from dgp_mining.planning import headers
from dgp_mining.planning.crop_loader import load_crops
from dgp_mining.planning.headers import faults, is_copy
from dgp_mining.planning.plan import Plan, make_plan
from dgp_mining.planning.settings import Settings, resolve_settings


def planned(folder: Path, **settings: object) -> Plan:
    return make_plan(folder, resolve_settings(Settings(**{"crop": 16, **settings})))


def crops_of(plan: Plan) -> dict[str, list[list[int]]]:
    return {
        name: plan.position[plan.image == i].tolist()
        for i, name in enumerate(plan.names)
        if (plan.image == i).any()
    }


class Masks:
    """Gives files pixels without data."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.valid: dict[str, np.ndarray] = {}
        monkeypatch.setattr(headers, "open_image", self.open)

    def open(self, path: Path, reading: object) -> ImageFile:
        mask = self.valid.get(path.name)
        return open_image(path) if mask is None else replace(open_image(path), valid=lambda: mask)


@pytest.fixture
def masks(monkeypatch: pytest.MonkeyPatch) -> Masks:
    return Masks(monkeypatch)


# --- copies -------------------------------------------------------------------------------------------------


def test_a_copy_is_mined_once_under_the_shortest_name(photos: Path) -> None:
    before = crops_of(planned(photos))
    shutil.copy(photos / "p0.png", photos / "p9.png")
    shutil.copy(photos / "p0.png", photos / "more/p9.png")
    plan = planned(photos)
    problems = {name: text for name, text in zip(plan.names, plan.problems, strict=True) if text}
    assert problems == {
        "more/p9.png": f"{photos}/more/p9.png is a copy of p0.png: it is mined once.",
        "p9.png": f"{photos}/p9.png is a copy of p0.png: it is mined once.",
    }
    assert all(map(is_copy, problems.values()))
    assert faults(plan.problems) == []
    assert crops_of(plan) == before


@pytest.mark.parametrize("most", [4, 7, 30])
def test_copies_change_no_choice_of_crops(most: int, photos: Path) -> None:
    before = crops_of(planned(photos, max_crops=most))
    for number in range(5):
        shutil.copy(photos / f"p{number}.png", photos / f"a copy of p{number}.png")
    Image.open(photos / "p1.png").save(photos / "p1.webp", lossless=True)
    assert crops_of(planned(photos, max_crops=most)) == before


def test_what_cannot_be_mined_anyway_keeps_its_reason(photos: Path) -> None:
    for name in ("x.png", "y.png"):
        (photos / name).write_text("no image")
        Image.new("L", (9, 9)).save(photos / f"small-{name}")
    assert len(faults(planned(photos).problems)) == 4


def test_numbers_of_unknown_white_are_no_crops_that_fail_later(photos: Path) -> None:
    tifffile.imwrite(photos / "counts.tif", np.full((32, 32), 70_000, np.uint32))
    (problem,) = faults(planned(photos).problems)
    assert "counts.tif holds integers of 32 bits, for which the value of white is unknown" in problem
    assert faults(planned(photos, white=100_000).problems) == []


# --- pixels without data ------------------------------------------------------------------------------------


def test_crops_with_a_pixel_without_data_are_left_out_and_the_others_stay(photos: Path, masks: Masks) -> None:
    everything = crops_of(planned(photos))
    holes = [everything["p2.png"][3], everything["p2.png"][7]]
    valid = np.ones((100, 96), bool)
    for row, column in holes:
        valid[row + 15, column] = False
    masks.valid["p2.png"] = valid
    left = crops_of(planned(photos))
    assert left.pop("p2.png") == [at for at in everything.pop("p2.png") if at not in holes]
    assert left == everything


def test_a_mask_without_holes_changes_nothing(photos: Path, masks: Masks) -> None:
    for most in (None, 1, 7, 20):
        masks.valid = {}
        before = planned(photos, max_crops=most)
        masks.valid["p2.png"] = np.ones((100, 96), bool)
        after = planned(photos, max_crops=most)
        assert crops_of(after) == crops_of(before)


def test_a_limit_is_spread_over_images_with_few_whole_crops_too(photos: Path, masks: Masks) -> None:
    valid = np.zeros((100, 96), bool)
    (row, column) = crops_of(planned(photos))["p2.png"][5]
    valid[row : row + 16, column : column + 16] = True
    masks.valid["p2.png"] = valid
    assert crops_of(planned(photos, max_crops=6))["p2.png"] == [[row, column]]


def test_the_mask_is_turned_like_the_pixels(tmp_path: Path, masks: Masks) -> None:
    for orientation in range(1, 9):
        folder = tmp_path / str(orientation)
        folder.mkdir()
        exif = Image.Exif()
        exif[274] = orientation
        Image.new("L", (64, 48), 9).save(folder / "a.jpg", exif=exif)
        stored = np.ones((48, 64), bool)
        stored[2, 3] = False
        masks.valid["a.jpg"] = stored
        upright = turn(stored, orientation)
        found = crops_of(planned(folder))["a.jpg"]
        assert found
        assert all(upright[row : row + 16, column : column + 16].all() for row, column in found)


def test_an_image_without_a_whole_crop_has_its_sentence(photos: Path, masks: Masks) -> None:
    masks.valid["p0.png"] = np.zeros((80, 96), bool)
    (problem,) = faults(planned(photos).problems)
    assert problem == (
        f"{photos}/p0.png has no crop of 16x16 without pixels that hold no data: use smaller crops or "
        "leave it out."
    )
    for name in ("p1.png", "p2.png", "p3.png", "p4.png", "more/p5.png"):
        (photos / name).unlink()
    with pytest.raises(
        ImageError, match=r"No image in .* can be mined: .*p0.png has no crop of 16x16 without"
    ):
        planned(photos)


def test_a_mask_of_another_size_is_one_sentence(photos: Path, masks: Masks) -> None:
    masks.valid["p0.png"] = np.ones((80, 95), bool)
    assert "a mask of another size" in faults(planned(photos).problems)[0]


def test_the_missing_pixels_of_a_geotiff_are_in_no_crop_and_no_obstacle(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).random((64, 80), np.float32)
    pixels[20:40, 20:40] = -9999
    missing = [(42113, "s", 0, "-9999", True)]
    tifffile.imwrite(tmp_path / "a.tif", pixels, extratags=missing)
    tifffile.imwrite(tmp_path / "b.tif", np.full((64, 80), -9999, np.float32), extratags=missing)
    plan = planned(tmp_path)
    found = crops_of(plan)
    assert 0 < len(found["a.tif"]) < 4 * 5
    for row, column in found["a.tif"]:
        assert (pixels[row : row + 16, column : column + 16] >= 0).all()
    loaded = list(load_crops(tmp_path, [("a.tif", *at) for at in found["a.tif"]], 16))
    assert not any(crop.error for crop in loaded)
    row, column = loaded[0].position
    np.testing.assert_array_equal(loaded[0].pixels[..., 0], pixels[row : row + 16, column : column + 16])
    (problem,) = faults(plan.problems)
    assert "b.tif has no crop of 16x16 without pixels that hold no data" in problem


def test_the_blank_pixels_of_a_fits_image_are_in_no_crop(tmp_path: Path) -> None:
    fits = pytest.importorskip("astropy.io.fits")
    pixels = np.random.default_rng(0).random((64, 64), np.float32)
    pixels[20:40, 20:40] = np.nan
    fits.PrimaryHDU(pixels).writeto(tmp_path / "a.fits")
    found = crops_of(planned(tmp_path))["a.fits"]
    upright = pixels[::-1]  # the first row is the lowest (FITS 4.0, 5.1)
    assert 0 < len(found) < 16
    assert all(np.isfinite(upright[row : row + 16, column : column + 16]).all() for row, column in found)


# --- what is said ------------------------------------------------------------------------------------------


def test_a_plan_says_how_images_are_read_and_what_is_not_read(photos: Path) -> None:
    tifffile.imwrite(photos / "deep.tif", np.full((32, 32), 4000, np.uint16))
    (photos / "p0.heic9").touch()
    plan = planned(photos)
    assert plan.kinds == {
        "8-bit RGB PNG, sRGB, white is 255": 6,
        "16-bit grey TIFF, sRGB, white is 65,535": 1,
    }
    assert plan.notes == (
        "1 other file is not read: 1 .heic9.",
        "The brightest pixel of its 16-bit images is 4,000 of 65,535: if white is 4,095, say so with "
        "white=4095.",
    )
    chosen = planned(photos, white=4095)
    assert chosen.kinds["16-bit grey TIFF, sRGB, white is 4,095 (as you chose)"] == 1
    assert len(chosen.notes) == 1
