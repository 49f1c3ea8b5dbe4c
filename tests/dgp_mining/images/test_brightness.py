"""16-bit images that hold far smaller numbers are noticed, and the likely white is named."""

from __future__ import annotations

from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile

from dgp_mining.images.brightness import LOOKED_AT, too_dark, white_is_assumed
from dgp_mining.images.reading import AS_STORED, Reading
from dgp_mining.images.stored import open_image


def grey(path: Path, brightest: int, dtype: type = np.uint16) -> Path:
    pixels = np.zeros((8, 8), dtype)
    pixels[3, 4] = brightest
    tifffile.imwrite(path, pixels)
    return path


@pytest.mark.parametrize(
    ("brightest", "white"), [(9_873, 10_000), (4_095, 4_095), (200, 255), (16_383, 16_383)]
)
def test_the_likely_white_of_dark_images_is_named(tmp_path: Path, brightest: int, white: int) -> None:
    paths = [grey(tmp_path / "a.tif", 17), grey(tmp_path / "b.tif", brightest)]
    assert too_dark(paths, AS_STORED) == (
        f"The brightest pixel of its 16-bit images is {brightest:,} of 65,535: if white is {white:,}, say so "
        f"with white={white}."
    )


def test_satellites_of_15_bits_are_noticed_too(tmp_path: Path) -> None:
    path = tmp_path / "a.jp2"
    pixels = np.full((8, 8), 9_873, np.uint16)
    path.write_bytes(imagecodecs.jpeg2k_encode(pixels, level=0, codecformat="jp2", bitspersample=15))
    assert white_is_assumed(open_image(path))
    assert too_dark([path], AS_STORED) == (
        "The brightest pixel of its 15-bit images is 9,873 of 32,767: if white is 10,000, say so with "
        "white=10000."
    )


def test_one_bright_image_is_enough(tmp_path: Path) -> None:
    paths = [grey(tmp_path / f"{i}.tif", value) for i, value in enumerate((10, 20_000, 12))]
    assert too_dark(paths, AS_STORED) == ""


def test_few_of_many_images_are_looked_at_and_the_seed_says_which(tmp_path: Path) -> None:
    paths = [grey(tmp_path / f"{i:02}.tif", 1000 + i) for i in range(3 * LOOKED_AT)]
    said = [too_dark(paths, AS_STORED, seed) for seed in range(4)]
    assert said == [too_dark(paths, AS_STORED, seed) for seed in range(4)]
    assert len(set(said)) > 1
    assert all(f"of {LOOKED_AT} of its 16-bit images" in text for text in said)


def test_black_and_damaged_images_say_nothing(tmp_path: Path) -> None:
    cut = grey(tmp_path / "cut.tif", 9)
    cut.write_bytes(cut.read_bytes()[:-40])
    assert too_dark([], AS_STORED) == too_dark([grey(tmp_path / "a.tif", 0), cut], AS_STORED) == ""


def test_white_is_assumed_of_16_bits_only_if_nobody_says_it(tmp_path: Path) -> None:
    deep, shallow = grey(tmp_path / "a.tif", 9), grey(tmp_path / "b.tif", 9, np.uint8)
    tifffile.imwrite(tmp_path / "f.tif", np.zeros((8, 8), np.float32))
    assert white_is_assumed(open_image(deep))
    assert not white_is_assumed(open_image(deep, Reading(white=10_000)))
    assert not white_is_assumed(open_image(deep, Reading(window=(0, 65_535))))
    assert not white_is_assumed(open_image(shallow))
    assert not white_is_assumed(open_image(tmp_path / "f.tif"))
