"""QOI files keep their pixels, and are sRGB whatever their header says."""

from __future__ import annotations

from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from PIL import Image

from dgp_mining.images.reader import ImageError, decode_image, image_size
from dgp_mining.images.stored import read_stored


def content(values: np.ndarray, linear: bool = False) -> bytes:
    encoded = bytearray(imagecodecs.qoi_encode(values))
    encoded[13] = linear  # the colour space
    return bytes(encoded)


@pytest.mark.parametrize("channels", [3, 4])
def test_pixels_come_back_as_another_decoder_sees_them(tmp_path: Path, channels: int) -> None:
    values = np.random.default_rng(0).integers(0, 3, (5, 40, channels), np.uint8)
    path = tmp_path / "a.qoi"
    path.write_bytes(content(values))
    read = read_stored(path)
    assert image_size(path) == (5, 40)
    np.testing.assert_array_equal(read.pixels, np.asarray(Image.open(path)))
    assert read.alpha == (channels == 4)
    assert read.file.encoding.is_srgb
    assert read.notes == ()


@pytest.mark.parametrize("channels", [3, 4])
def test_linear_light_in_the_header_is_said_and_not_applied(tmp_path: Path, channels: int) -> None:
    """The field is "purely informative", and common writers set it for pictures in sRGB, too."""
    path = tmp_path / "a.qoi"
    values = np.random.default_rng(0).integers(0, 256, (5, 7, channels), np.uint8)
    path.write_bytes(content(values, linear=True))
    read = read_stored(path)
    np.testing.assert_array_equal(read.pixels, values)
    assert read.file.encoding.is_srgb
    assert read.notes == ("its header says linear light, as writers do for any values: it is taken for sRGB",)
    np.testing.assert_allclose(decode_image(path).pixels, values[..., :3] / 255, atol=1e-6)


def test_damage_is_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "a.qoi"
    whole = content(np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8))
    for damaged, reason in (
        (whole[:-20], "ends before its pixels do"),
        (whole[:10], "header is damaged"),
        (whole[:12] + b"\7" + whole[13:], "header is damaged"),
        (whole[:4] + b"\x7f\xff\xff\xff" * 2 + whole[12:], "more than"),
    ):
        path.write_bytes(damaged)
        with pytest.raises(ImageError, match=reason):
            decode_image(path)
