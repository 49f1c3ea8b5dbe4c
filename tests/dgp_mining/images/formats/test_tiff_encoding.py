"""Tags of a TIFF file that say which colours its values are have their effect, or it is said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image

from dgp_mining.images.encoding import SRGB
from dgp_mining.images.reader import decode_image
from dgp_mining.images.stored import open_image

SHORT, RATIONAL = 3, 5
ADOBE = (0.64, 0.33, 0.21, 0.71, 0.15, 0.06)
REC709 = (0.64, 0.33, 0.30, 0.60, 0.15, 0.06)
COLOURS = np.array([[[200, 120, 60], [128, 128, 128], [90, 150, 110], [255, 255, 255]]], np.uint8)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a.tif"


def rational(numbers: tuple[float, ...]) -> tuple[int, ...]:
    return tuple(part for number in numbers for part in (round(number * 10_000), 10_000))


def write(path: Path, *tags: tuple[int, int, int, Any, bool]) -> None:
    tifffile.imwrite(path, COLOURS, photometric="rgb", extratags=tags)


def primaries(numbers: tuple[float, ...]) -> list[tuple[int, int, int, Any, bool]]:
    white = (318, RATIONAL, 2, rational((0.3127, 0.3290)), True)
    return [white, (319, RATIONAL, 6, rational(numbers), True)]


def curve(exponent: float) -> tuple[int, int, int, Any, bool]:
    table = (np.linspace(0, 1, 256) ** exponent * 65535).round().astype(int)
    return (301, SHORT, 256, tuple(table.tolist()), True)


def with_profile(path: Path, numbers: tuple[float, ...], exponent: float) -> np.ndarray:
    """The same colours by an ICC profile, as Little CMS converts them."""
    points = [part for start in (0, 2, 4) for part in (*numbers[start : start + 2], 1.0)]
    profile = imagecodecs.cms_profile(
        "rgb", primaries=points, whitepoint=[0.3127, 0.329, 1.0], gamma=exponent
    )
    Image.fromarray(COLOURS).save(path, icc_profile=bytes(profile))
    return decode_image(path).pixels


def test_primaries_and_curve_are_those_of_the_same_profile(path: Path) -> None:
    expected = with_profile(path, ADOBE, 2.2)
    write(path, *primaries(ADOBE), curve(2.2))
    np.testing.assert_allclose(decode_image(path).pixels, expected, atol=2 / 255)
    assert open_image(path).encoding.said_by == "its TransferFunction and PrimaryChromaticities"


def test_linear_light_is_recognised(path: Path) -> None:
    expected = with_profile(path, REC709, 1.0)
    write(path, curve(1.0))
    np.testing.assert_allclose(decode_image(path).pixels, expected, atol=2 / 255)


def test_the_colours_of_srgb_stay(path: Path) -> None:
    values = np.linspace(0, 1, 256)
    light = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    table = tuple((light * 65535).round().astype(int).tolist())
    write(path, *primaries(REC709), (301, SHORT, 256, table, True))
    assert open_image(path).encoding == SRGB
    np.testing.assert_array_equal(decode_image(path).pixels, COLOURS.astype(np.float32) / np.float32(255))


@pytest.mark.parametrize("numbers", [(0.0,) * 6, (0.3, 0.3, 0.3, 0.3, 0.3, 0.3), (7.0,) * 6])
def test_primaries_that_are_no_colours_are_left_out(path: Path, numbers: tuple[float, ...]) -> None:
    write(path, *primaries(numbers))
    assert open_image(path).encoding == SRGB


def test_a_curve_that_is_no_power_is_said(path: Path) -> None:
    table = np.linspace(0, 1, 256) ** 2
    table[128:] = table[128]
    write(path, (301, SHORT, 256, tuple((table * 65535).astype(int).tolist()), True))
    assert "its TransferFunction is no power of the values and is not applied" in decode_image(path).notes


@pytest.mark.parametrize(
    ("space", "index"), [(0xFFFF, "R03"), (None, "R03"), (2, None), (0xFFFF, None), (1, None)]
)
def test_a_camera_says_adobe_rgb_by_exif(path: Path, space: int | None, index: str | None) -> None:
    expected = with_profile(path, ADOBE, 563 / 256)
    exif = Image.Exif()
    if space is not None:
        exif.get_ifd(0x8769)[0xA001] = space
    if index:
        exif.get_ifd(0x8769)[0xA005] = {1: index}
    # Pillow saves no directory of interoperability in TIFF, but in EXIF, which is TIFF without an image.
    layout = {256: 4, 257: 1, 258: (8, 8, 8), 259: 1, 262: 2, 277: 3, 278: 1, 279: COLOURS.nbytes}
    for tag, value in {**layout, 273: 0}.items():  # it adds its own length to the offset
        exif[tag] = value
    path.write_bytes(exif.tobytes().removeprefix(b"Exif\0\0") + COLOURS.tobytes())
    decoded = decode_image(path)
    if space == 2 or index:
        np.testing.assert_allclose(decoded.pixels, expected, atol=2 / 255)
    else:
        np.testing.assert_allclose(decoded.pixels, COLOURS / 255, atol=1e-6)
        assert any("not calibrated" in note for note in decoded.notes) == (space == 0xFFFF)
