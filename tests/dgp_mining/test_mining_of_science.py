"""Folders and pairs of files are mined, verified and shown like files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import zarr

from dgp_mining.images.paths import list_folder
from dgp_mining.mining import mine
from dgp_mining.planning.settings import Settings
from dgp_mining.report.fitted_crops import fitted_crop
from dgp_mining.store.store import Store
from dgp_mining.store.verify import verify

SETTINGS = Settings(crop=32)
NOISE = np.random.default_rng(0).integers(0, 200, (2, 40, 70), np.uint8)


@pytest.fixture
def plane(tmp_path: Path) -> Path:
    """A folder with an OME-Zarr of two planes across z."""
    root = zarr.open_group(tmp_path / "in/a.zarr", mode="w", zarr_format=3)
    root.create_array("0", shape=NOISE.shape, dtype="u1", chunks=(1, 40, 70))[:] = NOISE
    axes = [{"name": "z", "type": "space"}, {"name": "y", "type": "space"}, {"name": "x", "type": "space"}]
    scale = [{"type": "scale", "scale": [1.0, 1.0, 1.0]}]
    datasets = [{"path": "0", "coordinateTransformations": scale}]
    root.attrs["ome"] = {"version": "0.5", "multiscales": [{"axes": axes, "datasets": datasets}]}
    return tmp_path / "in"


def mined(folder: Path, store: Path, fitter: str, settings: Settings = SETTINGS) -> Store:
    return mine(folder, store, settings, scheduler="sync", fitter=fitter, strict=True)


def test_a_folder_that_is_an_image_is_mined_verified_and_shown(
    plane: Path, tmp_path: Path, fitter: str
) -> None:
    store = mined(plane, tmp_path / "s.zarr", fitter)
    assert store.plan.names == ["a.zarr"]
    assert len(store) == 2
    found = verify(store.path, plane)
    assert found.sound
    assert found.files is not None
    assert found.files.same == 1
    shown = fitted_crop(store, 0)
    row, column = shown.position
    expected = NOISE[1, row : row + 32, column : column + 32] / np.float32(255)
    assert shown.pixels is not None
    np.testing.assert_allclose(shown.pixels[..., 0], expected, atol=1e-6)
    zarr.open_group(plane / "a.zarr", mode="a").attrs["changed"] = True
    assert verify(store.path, plane).files.changed == ["a.zarr"]


def test_the_store_remembers_which_slice_was_mined(plane: Path, tmp_path: Path, fitter: str) -> None:
    store = Store.open(mined(plane, tmp_path / "s.zarr", fitter, Settings(crop=32, slice=0)).path)
    shown = fitted_crop(store, 0)
    row, column = shown.position
    assert shown.pixels is not None
    expected = NOISE[0, row : row + 32, column : column + 32] / np.float32(255)
    np.testing.assert_allclose(shown.pixels[..., 0], expected, atol=1e-6)


def test_a_nifti_pair_is_one_image_and_a_change_of_its_pixels_is_noticed(tmp_path: Path, fitter: str) -> None:
    nibabel = pytest.importorskip("nibabel")
    (tmp_path / "in").mkdir()
    volume = np.random.default_rng(1).random((70, 40, 3), np.float32)
    nibabel.Nifti1Pair(volume, np.eye(4)).to_filename(tmp_path / "in/brain.img")
    assert list_folder(tmp_path / "in").others == []
    store = mined(tmp_path / "in", tmp_path / "s.zarr", fitter)
    assert store.plan.names == ["brain.hdr"]
    content = bytearray((tmp_path / "in/brain.img").read_bytes())
    content[-1] ^= 1
    (tmp_path / "in/brain.img").write_bytes(content)
    assert verify(store.path, tmp_path / "in").files.changed == ["brain.hdr"]


def test_another_image_of_the_same_shape_without_compression_is_no_copy(
    plane: Path, tmp_path: Path, fitter: str
) -> None:
    """The digest of OME-Zarr is of names, sizes and metadata: microscopes write series of equal ones."""
    for name, pixels in (("b.zarr", NOISE), ("c.zarr", NOISE + 9)):
        root = zarr.open_group(plane / name, mode="w", zarr_format=3)
        array = root.create_array("0", shape=NOISE.shape, dtype="u1", chunks=(1, 40, 70), compressors=None)
        array[:] = pixels
        root.attrs.update(zarr.open_group(plane / "a.zarr", mode="r").attrs.asdict())
        mined(plane, tmp_path / "s.zarr", fitter)
    assert len(Store.open(tmp_path / "s.zarr")) == 6
