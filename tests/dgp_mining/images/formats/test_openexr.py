"""OpenEXR files are linear light in their display window, of the layer that is the image."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dgp_mining.images.image_file import Alpha, Model
from dgp_mining.images.reader import ImageError, decode_image, image_size
from dgp_mining.images.reading import Reading
from dgp_mining.images.stored import open_image, read_stored

OpenEXR = pytest.importorskip("OpenEXR")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a.exr"


def light(*shape: int, dtype: Any = np.float32) -> np.ndarray:
    return np.random.default_rng(0).random(shape).astype(dtype)


def write(path: Path, channels: dict[str, np.ndarray], **header: Any) -> None:
    header = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage, **header}
    # The library takes any other array for one whose elements are next to each other.
    channels = {name: np.ascontiguousarray(pixels) for name, pixels in channels.items()}
    with OpenEXR.File(header, channels) as file:
        file.write(str(path))


def box(left: int, top: int, right: int, bottom: int) -> tuple[np.ndarray, np.ndarray]:
    return np.array([left, top], np.int32), np.array([right, bottom], np.int32)


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
@pytest.mark.parametrize("tiled", [False, True])
@pytest.mark.parametrize("name", ["Y", "RGB"])
def test_light_comes_back_as_it_was_written(path: Path, dtype: type, tiled: bool, name: str) -> None:
    values = light(5, 7, len(name), dtype=dtype)
    more = {"type": OpenEXR.tiledimage, "tiles": OpenEXR.TileDescription()} if tiled else {}
    write(path, {name: values if name == "RGB" else values[..., 0]}, **more)
    read = read_stored(path)
    assert image_size(path) == (5, 7)
    np.testing.assert_array_equal(read.pixels, values.astype(np.float32))
    assert (read.file.bits, read.file.encoding.transfer) == (np.dtype(dtype).itemsize * 8, "linear")
    assert read.file.model == (Model.RGB if name == "RGB" else Model.GREY)
    assert read.notes == ()


def test_colours_are_divided_by_alpha_before_white_cuts_them(path: Path) -> None:
    pixel = np.array([[[0.6, 0.3, 0.1, 0.5], [0.2, 0.2, 0.2, 0]]], np.float32)
    write(path, {"RGBA": pixel})
    read = read_stored(path)
    assert read.file.alpha == Alpha.ASSOCIATED
    np.testing.assert_allclose(read.pixels, [[[1, 0.6, 0.2, 0.5], [0, 0, 0, 0]]], rtol=1e-6)
    read = read_stored(path, Reading(white=2))
    np.testing.assert_allclose(read.pixels, [[[0.6, 0.3, 0.1, 0.5], [0, 0, 0, 0]]], rtol=1e-6)
    read = read_stored(path, Reading(tone="reinhard"))
    np.testing.assert_allclose(read.pixels[0, 0], [1.2 / 2.2, 0.6 / 1.6, 0.2 / 1.2, 0.5], rtol=1e-6)


def test_the_image_is_the_display_window(path: Path) -> None:
    values = light(4, 6, 3)  # rows 1 to 4, columns -2 to 3
    write(path, {"RGB": values}, dataWindow=box(-2, 1, 3, 4), displayWindow=box(0, 0, 4, 2))
    read = read_stored(path)
    assert image_size(path) == (3, 5)
    right = np.zeros((3, 5, 3), np.float32)
    right[1:3, 0:4] = values[0:2, 2:6]
    np.testing.assert_array_equal(read.pixels, right)
    assert read.notes == (
        "what lies outside of its display window is left out",
        "its display window reaches beyond its data window",
        "46.67% of its pixels hold no data",
    )
    write(path, {"RGB": values}, dataWindow=box(0, 0, 5, 3), displayWindow=box(9, 9, 12, 12))
    with pytest.raises(ImageError, match="no pixels in its display window"):
        decode_image(path)


def test_the_layer_without_a_name_is_the_image_else_the_first(path: Path) -> None:
    values, other = light(3, 4, 3), light(3, 4, 3) / 2
    front, back = (
        {f"{name}.{short}": pixels[..., i] for i, short in enumerate("RGB")}
        for name, pixels in (("front", other), ("back", values))
    )
    write(path, {"RGB": values, **front, "Z": values[..., 0]})
    read = read_stored(path)
    np.testing.assert_array_equal(read.pixels, values)
    assert read.notes == ("4 other channels of it are left out",)
    write(path, {**front, **back, "depth.Z": values[..., 0]})
    read = read_stored(path)
    np.testing.assert_array_equal(read.pixels, values)
    assert read.notes == ("its layer back is read", "4 other channels of it are left out")


def test_of_several_parts_the_first_image_is_read_and_said(path: Path) -> None:
    values, other = light(3, 4, 3), light(3, 4, 3) / 2
    header = {"type": OpenEXR.scanlineimage}
    parts = [
        OpenEXR.Part({**header, "name": "depth"}, {"Z": values[..., 0].copy()}, "depth"),
        OpenEXR.Part({**header, "name": "image"}, {"RGB": values}, "image"),
        OpenEXR.Part({**header, "name": "other"}, {"RGB": other}, "other"),
    ]
    with OpenEXR.File(parts) as file:
        file.write(str(path))
    read = read_stored(path)
    np.testing.assert_array_equal(read.pixels, values)
    assert read.notes == ("number 1 (from 0) of its 3 parts is read",)
    np.testing.assert_array_equal(read_stored(path, Reading(slice=2)).pixels, other)
    with pytest.raises(ImageError, match="slice=3 is not among them"):
        image_size(path, Reading(slice=3))
    with pytest.raises(ImageError, match="holds the channels Z"):
        image_size(path, Reading(slice=0))


def test_chromaticities_are_those_of_the_header(path: Path) -> None:
    said = (0.7, 0.3, 0.2, 0.7, 0.1, 0.05, 0.33, 0.34)  # red, green, blue, white
    write(path, {"RGB": light(2, 2, 3)}, chromaticities=said)
    assert open_image(path).encoding.primaries == pytest.approx((0.33, 0.34, *said[:6]))


def test_infinite_light_is_white_and_no_number_is_refused(path: Path) -> None:
    values = np.array([[[np.inf, 0.5, -0.5]]], np.float16)
    write(path, {"RGB": values})
    read = read_stored(path)
    np.testing.assert_array_equal(read.pixels, [[[1, 0.5, 0]]])
    assert read.notes[0] == "1 of its numbers are infinite and count as the largest"
    write(path, {"RGB": values * np.float16(np.nan)})
    with pytest.raises(ImageError, match="not finite"):
        decode_image(path)


def test_whole_numbers_need_a_white(path: Path) -> None:
    values = np.array([[0, 500, 1000]], np.uint32)
    write(path, {"Y": values})
    with pytest.raises(ImageError, match="white="):
        decode_image(path)
    read = read_stored(path, Reading(white=1000))
    np.testing.assert_allclose(read.pixels[0, :, 0], [0, 0.5, 1])


def test_other_images_are_named(path: Path) -> None:
    write(path, {"Z": light(2, 2)})
    with pytest.raises(ImageError, match="holds the channels Z, but R, G and B or Y are needed"):
        image_size(path)
    write(path, {name: light(2, 2) for name in ("Y", "RY", "BY")})
    with pytest.raises(ImageError, match="luminance and chroma"):
        image_size(path)
    write(path, {"RGB": light(2, 2, 3)})
    content = path.read_bytes()
    path.write_bytes(content[:4] + struct.pack("<I", 2 | 0x800) + content[8:])
    with pytest.raises(ImageError, match="deep image"):
        image_size(path)


def test_in_a_file_of_one_part_a_wrong_type_attribute_does_not_count(path: Path) -> None:
    values = light(3, 4, 3)
    write(path, {"RGB": values})
    content = path.read_bytes()
    end = content.index(b"scanlineimage")
    path.write_bytes(
        content[:end].removesuffix(struct.pack("<I", 13))
        + struct.pack("<I", 12)
        + b"deepscanline"
        + content[end + 13 :]
    )
    assert image_size(path) == (3, 4)


def test_damage_is_one_sentence(path: Path) -> None:
    write(path, {"RGB": light(20, 30, 3)})
    content = path.read_bytes()
    window = content.index(b"displayWindow\0box2i\0") + 24
    huge = content[:window] + struct.pack("<4i", 0, 0, 999_999, 999_999) + content[window + 16 :]
    for damaged in (content[:100], content[:-500], content[:20], huge):
        path.write_bytes(damaged)
        with pytest.raises(ImageError, match=r"a\.exr .*\.$"):
            decode_image(path)
