"""A field is written as a picture, for splat2d and for splat viewers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image

from dgp_mining.cli import main
from dgp_mining.covariance import covariance_from_cholesky
from dgp_mining.mining import mine
from dgp_mining.planning.settings import Settings
from dgp_mining.report.errors import ReportError
from dgp_mining.report.export import export_field
from dgp_mining.report.fitted_crops import FittedCrop, fitted_crop
from dgp_mining.store.store import Store
from splat2d import GaussianField


def mined(photos: Path, path: Path, **more: object) -> Store:
    return mine(photos, path, Settings(crop=32, max_crops=3, iterations=5, **more), scheduler="sync")


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


def test_splats_of_a_normalised_field_have_its_colours(tmp_path: Path) -> None:
    pytest.importorskip("gsplat")
    torch.manual_seed(0)
    colours = torch.rand(1, 50, 3)
    field = GaussianField(8 * torch.rand(1, 50, 2), torch.ones(1, 50, 3), colours, (8, 8), normalised=True)
    export_field(FittedCrop(0, "a.png", (0, 0), np.zeros((8, 8, 3), np.float32), field), tmp_path / "c.ply")
    header, _, body = (tmp_path / "c.ply").read_bytes().partition(b"end_header\n")
    names = [line.split()[-1].decode() for line in header.splitlines() if line.startswith(b"property")]
    splats = dict(zip(names, np.frombuffer(body, "<f4").reshape(-1, len(names)).T, strict=True))
    shown = 0.5 + 0.28209479177387814 * np.stack([splats[f"f_dc_{channel}"] for channel in range(3)], 1)
    np.testing.assert_allclose(shown, colours[0], atol=1e-5)


def test_without_gsplat_it_is_named(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = fitted_crop(mined(photos, tmp_path / "a.zarr"), 0)
    monkeypatch.setitem(__import__("sys").modules, "gsplat.exporter", None)
    with pytest.raises(ReportError, match="dgp-mining\\[viewer\\]"):
        export_field(shown, tmp_path / "c.ply")
