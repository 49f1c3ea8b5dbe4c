"""A crop's field can be had again: as kept, or fitted to the same bits; and in files for other programs."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image

from dgp_mining.cli import main
from dgp_mining.covariance import covariance_from_cholesky
from dgp_mining.images.reader import ImageError
from dgp_mining.mining import mine
from dgp_mining.planning.settings import Settings
from dgp_mining.report import fitted_crops
from dgp_mining.report.errors import ReportError
from dgp_mining.report.export import export_field
from dgp_mining.report.fitted_crops import fitted_crop
from dgp_mining.store.store import Chunk, Store, StoreError
from splat2d import GaussianField


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


def run(*arguments: object, status: int = 0) -> str:
    done = CliRunner().invoke(main, ["export-field", *map(str, arguments)])
    assert done.exit_code == status, done.output
    return done.output


def test_export_writes_what_its_ending_says(photos: Path, tmp_path: Path) -> None:
    store = tmp_path / "a.zarr"
    shown = fitted_crop(mined(photos, store), 2)
    assert "256 Gaussians" in run("--store", store, "--index", 2, "--out", tmp_path / "c.png")
    rendering = shown.field.render()[0].permute(1, 2, 0).clamp(0, 1).numpy()
    np.testing.assert_allclose(np.asarray(Image.open(tmp_path / "c.png")) / 255, rendering, atol=0.51 / 255)
    run("--store", store, "--index", 2, "--out", tmp_path / "c.safetensors")
    assert torch.equal(GaussianField.load(tmp_path / "c.safetensors").means, shown.field.means)
    assert "must end in .png, .safetensors or .ply" in run(
        "--store", store, "--index", 2, "--out", "c.jpg", status=1
    )
    assert "cannot be written" in run(
        "--store", store, "--index", 2, "--out", tmp_path / "no" / "c.png", status=1
    )


def test_splats_have_the_places_and_shapes_of_the_field(photos: Path, tmp_path: Path) -> None:
    """Read back as viewers do: x y z, f_dc, opacity, the logarithms of the scales, a quaternion."""
    pytest.importorskip("gsplat")
    store = tmp_path / "a.zarr"
    field = fitted_crop(mined(photos, store), 0).field
    run("--store", store, "--index", 0, "--out", tmp_path / "c.ply")
    header, _, body = (tmp_path / "c.ply").read_bytes().partition(b"end_header\n")
    names = [line.split()[-1].decode() for line in header.splitlines() if line.startswith(b"property")]
    splats = dict(zip(names, np.frombuffer(body, "<f4").reshape(-1, len(names)).T, strict=True))
    np.testing.assert_allclose(np.column_stack([splats["x"], splats["y"]]), field.means[0], rtol=1e-6)
    scales = np.exp(np.stack([splats["scale_0"], splats["scale_1"]], -1))
    angle = 2 * np.arctan2(splats["rot_3"], splats["rot_0"])
    turn = np.stack([np.cos(angle), -np.sin(angle), np.sin(angle), np.cos(angle)], -1).reshape(-1, 2, 2)
    covariance = turn @ (scales[:, :, None] ** 2 * turn.transpose(0, 2, 1))
    expected = covariance_from_cholesky(field.cholesky[0].numpy())
    np.testing.assert_allclose(covariance[:, [0, 0, 1], [0, 1, 1]], expected, rtol=1e-3, atol=1e-4)
    assert np.ptp(splats["opacity"]) == 0
    assert len(splats["x"]) == 256


def test_without_gsplat_it_is_named(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = fitted_crop(mined(photos, tmp_path / "a.zarr"), 0)
    monkeypatch.setitem(__import__("sys").modules, "gsplat.exporter", None)
    with pytest.raises(ReportError, match="dgp-mining\\[viewer\\]"):
        export_field(shown, tmp_path / "c.ply")


def test_grey_and_many_channels_become_pictures() -> None:
    assert fitted_crops.to_bytes(np.full((2, 2, 1), 0.5)).tolist() == [[[128] * 3] * 2] * 2
    assert fitted_crops.to_bytes(np.array([[[0.0, 1.0, 2.0, 0.5]]])).tolist() == [[[0, 255, 255]]]
