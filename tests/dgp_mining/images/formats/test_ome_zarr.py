"""OME-Zarr of either Zarr format is one image: a plane of its largest resolution, by its own windows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

from dgp_mining.images.paths import list_images
from dgp_mining.images.reader import ImageError, decode_image, image_size
from dgp_mining.images.reading import Reading
from dgp_mining.images.stored import open_image, read_stored

TYPES = {"t": "time", "c": "channel"}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a.ome.zarr"


def values(dtype: str, *shape: int) -> np.ndarray:
    rng = np.random.default_rng(len(shape))
    return (rng.normal(0, 50, shape) if dtype[0] == "f" else rng.integers(0, 120, shape)).astype(dtype)


def write(
    path: Path,
    data: np.ndarray,
    axes: str,
    windows: list[tuple[float, float]] | None = None,
    colours: list[str] | None = None,
    version: str = "0.5",
) -> None:
    """Write an image by the text of the specification: 0.5 in Zarr format 3, older ones in format 2."""
    form = 3 if version == "0.5" else 2
    group = zarr.open_group(path, mode="w", zarr_format=form)
    for level in range(2):
        part = data[..., :: 1 + level, :: 1 + level]
        array = group.create_array(
            str(level), shape=part.shape, chunks=(*part.shape[:-2], 4, 4), dtype=data.dtype
        )
        array[...] = part
    named: Any = [{"name": name, "type": TYPES.get(name, "space")} for name in axes]
    scales: dict[str, Any] = {
        "axes": list(axes) if version == "0.3" else named,
        "datasets": [{"path": str(level)} for level in range(2)],
    }
    if version == "0.1":
        del scales["axes"]
    ome: dict[str, Any] = {"multiscales": [scales]}
    if windows or colours:
        count = len(windows or colours or [])
        ome["omero"] = {"channels": [{} for _ in range(count)]}
        for channel, (start, end) in zip(ome["omero"]["channels"], windows or [], strict=False):
            channel["window"] = {"min": 0, "max": 65535, "start": start, "end": end}
        for channel, colour in zip(ome["omero"]["channels"], colours or [], strict=False):
            channel["color"] = colour
    group.attrs.update({"ome": {"version": version, **ome}} if form == 3 else ome)


@pytest.mark.parametrize("version", ["0.1", "0.3", "0.4", "0.5"])
def test_the_middle_z_of_the_first_t_is_read_at_the_largest_resolution(path: Path, version: str) -> None:
    data = values("u1", 3, 2, 5, 9, 12)
    write(path, data, "tczyx", version=version)
    assert list_images(path.parent) == [path]
    assert image_size(path) == (9, 12)
    read = decode_image(path)
    np.testing.assert_allclose(read.pixels, np.moveaxis(data[0, :, 2], 0, 2) / 255, atol=1e-6)
    assert read.notes == (
        "the first of its 3 planes across t is read",
        "number 2 (from 0) of its 5 planes across z is read",
    )


@pytest.mark.parametrize(
    ("reading", "taken"),
    [
        (Reading(slice=0), lambda data: data[0, 0]),
        (Reading(axis="z", slice=4), lambda data: data[0, 4]),
        (Reading(axis="t", slice=1), lambda data: data[1, 2]),
        (Reading(axis="y", slice=3), lambda data: data[0, :, 3]),
        (Reading(axis="x"), lambda data: data[0, :, :, 6]),
    ],
)
def test_axis_and_slice_choose_the_plane(path: Path, reading: Reading, taken: Any) -> None:
    data = values("u1", 3, 5, 9, 12)
    write(path, data, "tzyx")
    assert image_size(path, reading) == taken(data).shape
    np.testing.assert_allclose(decode_image(path, reading).pixels[..., 0], taken(data) / 255, atol=1e-6)


@pytest.mark.parametrize(("axes", "shape"), [("yx", (9, 12)), ("cyx", (2, 9, 12)), ("tyx", (4, 9, 12))])
def test_images_need_not_have_all_axes(path: Path, axes: str, shape: tuple[int, ...]) -> None:
    data = values("u1", *shape)
    write(path, data, axes)
    expected = {"yx": data[..., None], "cyx": np.moveaxis(data, 0, -1), "tyx": data[0][..., None]}[axes]
    np.testing.assert_allclose(decode_image(path).pixels, expected / 255, atol=1e-6)
    for reading in (Reading(slice=4), Reading(axis="x")):
        with pytest.raises(ImageError):
            image_size(path, reading)


def test_each_channel_has_its_window_which_the_users_replaces(path: Path) -> None:
    data = values("u2", 2, 9, 12)
    write(path, data, "cyx", [(10, 60), (0, 200)])
    expected = np.stack([(data[0] - 10.0) / 50, data[1] / 200], axis=2).clip(0, 1)
    read = decode_image(path)
    np.testing.assert_allclose(read.pixels, expected, atol=1e-6)
    assert "its windows, 10 to 60, 0 to 200, are black to white" in read.notes
    windowed = decode_image(path, Reading(window=(20, 100))).pixels
    np.testing.assert_allclose(windowed, ((np.moveaxis(data, 0, 2) - 20.0) / 80).clip(0, 1), atol=1e-6)


@pytest.mark.parametrize("dtype", ["i1", "u2", ">u2", "i2", "i4", "f4", "f8"])
def test_without_windows_each_channel_runs_over_its_own_range(path: Path, dtype: str) -> None:
    data = values(dtype, 2, 9, 12).astype(np.float64)
    data[1] *= 1.0 if dtype == "i1" else 2.0
    write(path, data.astype(dtype), "cyx", version="0.4")
    stored = data.astype(dtype).astype(np.float64)
    low, high = stored.min((1, 2), keepdims=True), stored.max((1, 2), keepdims=True)
    read = decode_image(path)
    np.testing.assert_allclose(read.pixels, np.moveaxis((stored - low) / (high - low), 0, 2), atol=1e-5)
    assert "channels' own minima and maxima" in read.notes[0]


def test_red_green_and_blue_of_eight_bits_are_colours(path: Path) -> None:
    data = values("u1", 3, 9, 12)
    write(path, data, "cyx", [(0, 90)] * 3, ["FF0000", "00FF00", "0000ff"])
    stored = read_stored(path)
    assert stored.file.model == "RGB"
    np.testing.assert_array_equal(stored.pixels, np.moveaxis(data, 0, 2))


def test_pixels_that_are_not_numbers_hold_no_data(path: Path) -> None:
    data = np.float32([[np.nan, 2], [4, 6]])
    write(path, data, "yx")
    np.testing.assert_allclose(decode_image(path).pixels[..., 0], [[0, 0], [0.5, 1]])
    valid = open_image(path).valid
    assert valid is not None
    np.testing.assert_array_equal(valid(), [[False, True], [True, True]])


def test_an_image_that_is_taken_for_a_folder_of_images_is_named(path: Path) -> None:
    write(path, values("u1", 9, 12), "yx")
    with pytest.raises(ImageError, match="is one image: name the folder that holds it"):
        list_images(path)


def test_of_a_collection_the_first_image_is_read(path: Path) -> None:
    group = zarr.open_group(path, mode="w", zarr_format=2)
    group.attrs["bioformats2raw.layout"] = 3
    first, second = values("u1", 9, 12), values("u1", 5, 6)
    write(path / "0", first, "yx", version="0.4")
    write(path / "1", second, "yx", version="0.4")
    read = decode_image(path)
    np.testing.assert_allclose(read.pixels[..., 0], first / 255, atol=1e-6)
    assert read.notes == ("the first of its 2 images is read",)
    assert list_images(path.parent) == [path]


def test_other_zarr_stores_are_neither_images_nor_walked_into(tmp_path: Path) -> None:
    zarr.open_group(tmp_path / "dgp.zarr", mode="w").create_array("means", shape=(3,), dtype="f4")
    (tmp_path / "dgp.zarr" / "preview.png").touch()
    zarr.open_group(tmp_path / "other", mode="w", zarr_format=2).create_array("a", shape=(3,), dtype="f4")[
        :
    ] = 1
    (tmp_path / "other" / "preview.png").touch()
    (tmp_path / "broken.zarr").mkdir()
    (tmp_path / "broken.zarr" / "zarr.json").write_text("{")
    (tmp_path / "a.png").touch()
    assert [path.name for path in list_images(tmp_path)] == ["a.png"]
    for name in ("dgp.zarr", "broken.zarr"):
        with pytest.raises(ImageError, match="is a folder, not an image"):
            image_size(tmp_path / name)


def test_plates_damage_and_paths_that_lead_out_are_said(path: Path, tmp_path: Path) -> None:
    group = zarr.open_group(path, mode="w")
    group.attrs["ome"] = {"plate": {"wells": []}}
    assert list_images(tmp_path) == [path]
    with pytest.raises(ImageError, match="is a plate of many images"):
        image_size(path)
    for name in ("../other", "/etc", "nothing"):
        group.attrs["ome"] = {"multiscales": [{"axes": ["y", "x"], "datasets": [{"path": name}]}]}
        with pytest.raises(ImageError, match=r"a\.ome\.zarr "):
            image_size(path)
    write(path, values("u1", 9, 9, 12), "cyx")
    with pytest.raises(ImageError, match="9 channels, but at most 8"):
        image_size(path)
    write(path, values("u1", 9, 12), "yx")
    described = json.loads((path / "0" / "zarr.json").read_text())
    described["chunk_grid"]["configuration"]["chunk_shape"] = [1 << 20, 1 << 20]
    (path / "0" / "zarr.json").write_text(json.dumps(described))
    with pytest.raises(ImageError, match="chunks of more than 4 GB"):
        image_size(path)
