"""Missing data, scale, offset and place of a GeoTIFF, as GDAL writes them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from dgp_mining.images.attachments import GeoReference
from dgp_mining.images.reader import ImageError, decode_image
from dgp_mining.images.reading import Reading
from dgp_mining.images.stored import open_image, read_stored

ASCII, SHORT, DOUBLE = 2, 3, 12


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a.tif"


def write(path: Path, values: np.ndarray, nodata: str = "", metadata: str = "", **options: Any) -> None:
    tags = [(tag, ASCII, 0, text, True) for tag, text in ((42113, nodata), (42112, metadata)) if text]
    options = {"planarconfig": "contig"} | options if values.ndim == 3 else options
    tifffile.imwrite(path, values, photometric="minisblack", extratags=tags, metadata=None, **options)


@pytest.mark.parametrize(
    ("dtype", "nodata"),
    [
        ("u1", "0"),
        ("u2", "65535"),
        ("u2", "-9999"),
        ("f4", "-9999"),
        ("f4", "nan"),
        ("f4", "-3.4028234663852886e+38"),
        ("f8", "-1.7976931348623157e+308"),
    ],
)
def test_pixels_without_data_are_black_and_marked(path: Path, dtype: str, nodata: str) -> None:
    whole = 1.0 if dtype[0] == "f" else np.iinfo(dtype).max
    values = (np.linspace(0.25, 0.75, 12 * 13).reshape(12, 13) * whole).astype(dtype)
    if nodata != "-9999" or dtype[0] == "f":
        values[3:5, 4:9] = float(nodata)
    expected = np.ones((12, 13), bool)
    expected[3:5, 4:9] = nodata == "-9999" and dtype == "u2"  # which no such number can be
    write(path, values, nodata)
    stored = read_stored(path)
    assert stored.file.valid is not None
    np.testing.assert_array_equal(stored.file.valid(), expected)
    pixels = decode_image(path).pixels[..., 0]
    np.testing.assert_allclose(pixels[expected], values[expected] / whole, atol=1e-6)
    assert not pixels[~expected].any()
    assert bool(stored.notes) == (not expected.all())


def test_a_number_that_can_be_a_value_is_missing_only_in_all_bands(path: Path) -> None:
    values = np.full((5, 6, 3), 90, np.uint8)
    values[1, 2] = 0
    values[3, 4, 2] = 0  # no blue
    write(path, values, "0")
    valid = open_image(path).valid
    assert valid is not None
    assert not valid()[1, 2]
    assert valid()[3, 4]


def test_the_missing_data_of_a_palette_is_an_index(path: Path) -> None:
    values = np.array([[0, 1, 7, 255]], np.uint8)
    colours = np.tile(np.arange(256, dtype=np.uint16)[::-1] * 257, (3, 1))
    tags = [(42113, ASCII, 0, "7", True)]
    tifffile.imwrite(path, values, photometric="palette", colormap=colours, extratags=tags, metadata=None)
    valid = open_image(path).valid
    assert valid is not None
    np.testing.assert_array_equal(valid(), [[True, True, False, True]])


def test_an_image_without_any_data_is_black(path: Path) -> None:
    write(path, np.full((5, 6), np.nan, np.float32), "nan")
    assert not decode_image(path).pixels.any()


SCALED = (
    '<GDALMetadata>\n  <Item name="SCALE" sample="0" role="scale">0.0002</Item>\n'
    '  <Item name="OFFSET" sample="0" role="offset">0.25</Item>\n'
    '  <Item name="SCALE" sample="1" role="scale">0.0001</Item>\n</GDALMetadata>'
)


@pytest.mark.parametrize("dtype", [np.int16, np.uint16, np.uint32])
def test_scale_and_offset_of_each_band_come_first(path: Path, dtype: type) -> None:
    values = np.array([[[1000, 5000], [2000, 10_000]]], dtype)
    write(path, values, metadata=SCALED)
    decoded = decode_image(path)
    np.testing.assert_allclose(decoded.pixels, [[[0.45, 0.5], [0.65, 1.0]]], atol=1e-6)
    assert decoded.notes == ("its scale 0.0002, 0.0001 and offset 0.25, 0 are applied",)


def test_a_chosen_white_counts_after_scale_and_offset(path: Path) -> None:
    write(path, np.array([[1000, 9000]], np.uint16), metadata=SCALED)
    with pytest.raises(ImageError, match=r"floats from 0\.45 to 2\.05"):
        decode_image(path)
    np.testing.assert_allclose(
        decode_image(path, Reading(white=4)).pixels[0, :, 0], [0.45 / 4, 2.05 / 4], atol=1e-6
    )


def test_missing_data_is_what_is_stored_before_scaling(path: Path) -> None:
    write(path, np.array([[1000, 0, 2000]], np.uint16), "0", SCALED)
    np.testing.assert_allclose(decode_image(path).pixels[0, :, 0], [0.45, 0, 0.65], atol=1e-6)


def test_damaged_metadata_changes_nothing(path: Path) -> None:
    values = np.full((4, 5), 0.5, np.float32)
    for metadata in ("<GDALMetadata><Item", SCALED.replace("0.0002", "x"), SCALED.replace("0.0002", "nan")):
        write(path, values, "none", metadata)
        np.testing.assert_array_equal(decode_image(path).pixels[..., 0], values)


def test_the_place_on_the_earth_is_kept_as_it_is_stored(path: Path) -> None:
    scale, tiepoint = (10.0, 10.0, 0.0), (0.0, 0.0, 0.0, 500_000.0, 4_600_000.0, 0.0)
    keys = (1, 1, 0, 2, 1024, 0, 1, 1, 3072, 0, 1, 32633)
    tags = [
        (33550, DOUBLE, 3, scale, True),
        (33922, DOUBLE, 6, tiepoint, True),
        (34735, SHORT, len(keys), keys, True),
        (34736, DOUBLE, 1, (6_378_137.0,), True),
        (34737, ASCII, 0, "WGS 84 / UTM zone 33N|", True),
    ]
    tifffile.imwrite(path, np.zeros((4, 5), np.uint8), extratags=tags)
    attached = open_image(path).attachments()
    assert attached.geo == GeoReference(scale, tiepoint, (), keys, (6_378_137.0,), "WGS 84 / UTM zone 33N|")


def test_without_such_tags_there_is_no_place(path: Path) -> None:
    tifffile.imwrite(path, np.zeros((4, 5), np.uint8))
    assert open_image(path).attachments().geo is None


def test_tiles_that_are_not_stored_are_empty_and_said(path: Path) -> None:
    values = np.full((32, 48), 90, np.uint8)
    write(path, values, tile=(16, 16))
    with tifffile.TiffFile(path, mode="r+") as tiff:
        for tag in ("TileOffsets", "TileByteCounts"):
            stored = list(tiff.pages.first.tags[tag].value)
            stored[1] = 0
            tiff.pages.first.tags[tag].overwrite(stored)
    decoded = decode_image(path)
    values[:16, 16:32] = 0
    np.testing.assert_allclose(decoded.pixels[..., 0], values / 255, atol=1e-6)
    assert decoded.notes == ("1 of its strips or tiles is not stored and is empty",)
