"""Camera raw is developed alike whatever is in the picture; files are DNG, written tag by tag (DNG 1.4)."""

from __future__ import annotations

import shutil
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from dgp_mining.images.image_file import Model, turn
from dgp_mining.images.reader import ImageError, decode_image, image_size
from dgp_mining.images.stored import open_image, read_stored

pytest.importorskip("rawpy")

XYZ_TO_SRGB = ((3.2406, -1.5372, -0.4986), (-0.9689, 1.8758, 0.0415), (0.0557, -0.2040, 1.0570))
"""IEC 61966-2-1; a camera with it as its ColorMatrix sees linear sRGB."""
WHITE = 4095


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a.dng"


def rationals(*values: float) -> tuple[int, ...]:
    return tuple(part for value in values for part in (round(value * 10_000), 10_000))


def write(
    path: Path,
    mosaic: np.ndarray,
    orientation: int = 1,
    neutral: tuple[float, float, float] | None = (1, 1, 1),
    black: int = 0,
    scale: tuple[float, float] | None = None,
) -> None:
    """A DNG of a sensor with the mosaic R, G; G, B, or (for a white balance of None) without one."""
    tags: list[Any] = [
        (50706, "B", 4, (1, 4, 0, 0), True),  # DNGVersion
        (50708, "s", 0, "Test Camera", True),  # UniqueCameraModel
        (271, "s", 0, "Test", True),
        (272, "s", 0, "Camera", True),
        (274, "H", 1, orientation, True),
        (33421, "H", 2, (2, 2), True),  # CFARepeatPatternDim
        (33422, "B", 4, bytes([0, 1, 1, 2]), True),  # CFAPattern
        (50714, "H", 1, black, True),  # BlackLevel
        (50717, "H", 1, WHITE, True),  # WhiteLevel
        (50721, "2i", 9, rationals(*np.ravel(XYZ_TO_SRGB)), True),  # ColorMatrix1
        (50778, "H", 1, 21, True),  # CalibrationIlluminant1: D65
    ]
    if neutral:
        tags.append((50728, "2I", 3, rationals(*neutral), True))  # AsShotNeutral
    if scale:
        tags.append((50718, "2I", 2, rationals(*scale), True))  # DefaultScale
    tifffile.imwrite(path, mosaic, photometric=32803, extratags=tags, metadata=None)


def mosaic(red: int, green: int, blue: int, shape: tuple[int, int] = (32, 48)) -> np.ndarray:
    numbers = np.full(shape, green, np.uint16)
    numbers[0::2, 0::2], numbers[1::2, 1::2] = red, blue
    return numbers


def srgb(light: np.ndarray) -> np.ndarray:
    return np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)


@pytest.mark.parametrize("black", [0, 256])
@pytest.mark.parametrize("neutral", [(1, 1, 1), (0.5, 1, 0.8)])
def test_a_flat_colour_has_its_balanced_light(
    path: Path, black: int, neutral: tuple[float, float, float]
) -> None:
    write(path, mosaic(black + 300, black + 2000, black + 500), neutral=neutral, black=black)
    read = decode_image(path)
    right = srgb(np.array([300, 2000, 500]) / neutral / (WHITE - black))
    assert read.pixels.shape == (32, 48, 3)
    np.testing.assert_allclose(read.pixels[8:-8, 8:-8], np.broadcast_to(right, (16, 32, 3)), atol=2e-3)
    assert read.notes == ()


def test_a_pixel_does_not_depend_on_the_brightest_ones(path: Path) -> None:
    numbers = mosaic(1000, 1000, 1000)
    developed = []
    for brightest in (1000, 3500, WHITE):
        numbers[:4, :4] = brightest
        write(path, numbers)
        developed.append(decode_image(path).pixels[16:, 16:])
    np.testing.assert_array_equal(developed[0], developed[1])
    np.testing.assert_array_equal(developed[0], developed[2])


def test_without_a_white_balance_that_of_daylight_is_used_and_said(path: Path) -> None:
    numbers = mosaic(1000, 1000, 1000)
    write(path, numbers, neutral=None)
    read = decode_image(path)
    assert read.notes == ("its camera recorded no white balance: that of daylight is used",)
    numbers[:, :24] = mosaic(2000, 100, 100)[:, :24]
    write(path, numbers, neutral=None)
    np.testing.assert_array_equal(decode_image(path).pixels[:, 36:], read.pixels[:, 36:])


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_picture_is_turned_as_the_camera_says(path: Path, orientation: int) -> None:
    numbers = mosaic(500, 500, 500)
    numbers[:8, :16] = 3000
    write(path, numbers)
    straight = decode_image(path).pixels
    write(path, numbers, orientation)
    right = turn(straight, orientation)
    assert open_image(path).orientation == orientation
    assert image_size(path) == right.shape[:2]
    np.testing.assert_array_equal(decode_image(path).pixels, right)


@pytest.mark.parametrize("scale", [(2, 1), (1, 2), (1, 1.5)])
def test_pixels_that_are_not_square_have_the_size_that_is_promised(
    path: Path, scale: tuple[float, float]
) -> None:
    write(path, mosaic(500, 1000, 2000, (32, 46)), scale=scale)
    read = read_stored(path)
    assert image_size(path) == read.pixels.shape[:2]


def test_a_sensor_without_a_mosaic_is_grey(path: Path) -> None:
    write(path, np.full((32, 48), 1000, np.uint16), neutral=None)
    content = path.read_bytes()
    tag = struct.pack("<HHI", 262, 3, 1)  # PhotometricInterpretation
    path.write_bytes(content.replace(tag + struct.pack("<H", 32803), tag + struct.pack("<H", 34892)))
    read = read_stored(path)
    assert read.file.model == Model.GREY
    np.testing.assert_allclose(read.pixels / 65535, srgb(np.float64(1000 / WHITE)), atol=2e-3)
    assert read.notes == ()


def test_other_content_is_what_it_is(path: Path) -> None:
    tifffile.imwrite(path, np.zeros((4, 4), np.uint8))
    with pytest.raises(ImageError, match="is not the raw file of a camera"):
        image_size(path)
    write(path, mosaic(1, 2, 3))
    shutil.copy(path, path.with_suffix(".nef"))
    assert image_size(path.with_suffix(".nef")) == (32, 48)
    path.write_bytes(path.read_bytes()[:-500])
    with pytest.raises(ImageError, match=r"a\.dng cannot be decoded"):
        decode_image(path)
