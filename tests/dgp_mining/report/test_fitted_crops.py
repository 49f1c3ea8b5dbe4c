"""A crop's field is the one that the store keeps, or is fitted again to the same bits."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from dgp_mining.images.reader import ImageError
from dgp_mining.mining import mine
from dgp_mining.planning.settings import Settings
from dgp_mining.report import fitted_crops
from dgp_mining.report.fitted_crops import fitted_crop
from dgp_mining.store.store import Chunk, Store, StoreError


def mined(photos: Path, path: Path, **more: object) -> Store:
    return mine(photos, path, Settings(crop=32, max_crops=3, iterations=5, **more), scheduler="sync")


def test_a_field_fitted_again_is_the_one_that_was_kept(photos: Path, tmp_path: Path) -> None:
    for recipe in ("fast", "gaussianimage"):
        kept = mined(photos, tmp_path / f"{recipe}-kept.zarr", keep_fields=True, recipe=recipe)
        bare = mined(photos, tmp_path / f"{recipe}-bare.zarr", recipe=recipe)
        one, other = fitted_crop(kept, 1), fitted_crop(bare, 1)
        for name in ("means", "cholesky", "colors"):
            assert torch.equal(getattr(one.field, name), getattr(other.field, name))
        np.testing.assert_array_equal(one.pixels, other.pixels)
        assert one.pixels.shape == (32, 32, 3)


def test_a_fit_that_ended_at_its_target_ends_there_again(photos: Path, tmp_path: Path) -> None:
    settings = Settings(crop=32, max_crops=2, iterations=60, target_psnr=20.0, keep_fields=True)
    kept = mine(photos, tmp_path / "kept.zarr", settings, scheduler="sync")
    assert kept.iterations[0] < 60
    bare = mine(photos, tmp_path / "bare.zarr", replace(settings, keep_fields=False), scheduler="sync")
    assert torch.equal(fitted_crop(kept, 0).field.means, fitted_crop(bare, 0).field.means)


def test_without_its_image_a_kept_field_can_still_be_shown(photos: Path, tmp_path: Path) -> None:
    kept = mined(photos, tmp_path / "kept.zarr", keep_fields=True)
    bare = mined(photos, tmp_path / "bare.zarr")
    moved = photos.rename(tmp_path / "moved")
    assert fitted_crop(kept, 0).pixels is None
    with pytest.raises(ImageError, match="images="):
        fitted_crop(bare, 0)
    assert fitted_crop(bare, 0, moved).pixels is not None


def test_another_image_in_its_place_is_refused(photos: Path, tmp_path: Path) -> None:
    bare = mined(photos, tmp_path / "bare.zarr")
    name = fitted_crop(bare, 0).name
    other = next(path for path in photos.glob("*.png") if path.name != name)
    shutil.copy(other, photos / name)
    with pytest.raises(ImageError, match="has changed since it was fitted"):
        fitted_crop(bare, 0)


def test_crops_that_are_not_there_are_refused(photos: Path, tmp_path: Path) -> None:
    bare = mined(photos, tmp_path / "bare.zarr")
    for crop in (-1, 3):
        with pytest.raises(StoreError, match="its crops are 0 to 2"):
            fitted_crop(bare, crop)
    bare.mark_pending(Chunk(bare.parts[0].name, 0))
    with pytest.raises(StoreError, match="is pending"):
        fitted_crop(bare, 0)


def test_grey_and_many_channels_become_pictures() -> None:
    assert fitted_crops.to_bytes(np.full((2, 2, 1), 0.5)).tolist() == [[[128] * 3] * 2] * 2
    assert fitted_crops.to_bytes(np.array([[[0.0, 1.0, 2.0, 0.5]]])).tolist() == [[[0, 255, 255]]]
