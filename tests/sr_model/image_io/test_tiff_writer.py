"""Tiles hold every pixel once, in row-major order, whatever the bands of rows are."""

import numpy as np
import pytest
import tifffile

from sr_model.image_io.metadata import Metadata
from sr_model.image_io.tiff_writer import SIDE, tiles, write_tiff


@pytest.mark.parametrize("edges", [(), (1, 2, 299), (256,), (100, 200, 300)])
@pytest.mark.parametrize("channels", [1, 3])
def test_tiles_are_the_image_in_row_major_order(edges: tuple[int, ...], channels: int):
    image = np.random.default_rng(0).integers(0, 256, (SIDE + 60, SIDE + 30, channels), np.uint8)
    bands = np.split(image, edges)
    cut = list(tiles(iter(bands), image.shape[1]))
    expected = image if channels > 1 else image[..., 0]
    rows, columns = (slice(0, SIDE), slice(SIDE, None)), (slice(0, SIDE), slice(SIDE, None))
    assert len(cut) == 4
    for tile, place in zip(cut, ((row, column) for row in rows for column in columns), strict=True):
        assert np.array_equal(tile, expected[place])


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("size", [(20, 1), (1, 20), (1, 1), (3, SIDE + 1)])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_images_of_one_column_come_back(tmp_path, dtype, size, channels):
    pixels = (np.random.default_rng(0).random((*size, channels)) * 255).astype(dtype)
    with (tmp_path / "a.tif").open("w+b") as file:
        write_tiff(file, iter([pixels]), pixels.shape, np.dtype(dtype), Metadata(None), None)
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "a.tif").reshape(pixels.shape), pixels)
