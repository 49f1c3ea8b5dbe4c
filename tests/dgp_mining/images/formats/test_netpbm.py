"""Netpbm files of every kind and largest value come out as their pages say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dgp_mining.images.image_file import Alpha, Model
from dgp_mining.images.reader import ImageError, decode_image, image_size
from dgp_mining.images.reading import Reading
from dgp_mining.images.stored import open_image, read_stored


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a.pnm"


@pytest.mark.parametrize("maxval", [1, 7, 100, 255, 256, 1000, 4095, 65535])
@pytest.mark.parametrize("magic", [b"P2", b"P3", b"P5", b"P6"])
def test_the_largest_value_is_white(path: Path, magic: bytes, maxval: int) -> None:
    shape = (3, 5, 3 if magic in (b"P3", b"P6") else 1)
    values = np.random.default_rng(0).integers(0, maxval + 1, shape)
    values[0, 0], values[0, 1] = 0, maxval
    if magic in (b"P2", b"P3"):
        raster = " ".join(map(str, values.reshape(-1))).encode()
    else:
        raster = values.astype(">u2" if maxval > 255 else "u1").tobytes()
    path.write_bytes(magic + b"\n# a comment\n5 3 # and another\n%d\n" % maxval + raster)
    read = decode_image(path)
    np.testing.assert_allclose(read.pixels, values / maxval, atol=1e-6)
    assert read.notes == ()
    assert open_image(path).bits == int(maxval).bit_length()


def test_ones_are_black_in_pbm(path: Path) -> None:
    numbers = np.array([[1, 0, 0, 1, 1, 0, 1, 0, 0, 1], [0] * 9 + [1]])
    path.write_bytes(b"P1\n10 2\n1001 1010 #1 1\n01\n0000000001")
    np.testing.assert_array_equal(decode_image(path).pixels[..., 0], 1 - numbers)
    path.write_bytes(b"P4 10 2\n" + np.packbits(numbers, axis=1).tobytes())
    np.testing.assert_array_equal(decode_image(path).pixels[..., 0], 1 - numbers)


def test_only_one_white_space_character_ends_the_header(path: Path) -> None:
    path.write_bytes(b"P5 2 1 255\n \n")
    np.testing.assert_array_equal(decode_image(path).pixels.squeeze() * 255, [0x20, 0x0A])
    path.write_bytes(b"P5 2 1 255# a comment ends as a line does\n##")
    np.testing.assert_array_equal(decode_image(path).pixels.squeeze() * 255, [0x23, 0x23])


@pytest.mark.parametrize(
    ("kind", "depth", "model", "alpha"),
    [
        (b"BLACKANDWHITE", 1, Model.GREY, Alpha.NONE),
        (b"GRAYSCALE", 1, Model.GREY, Alpha.NONE),
        (b"GRAYSCALE_ALPHA", 2, Model.GREY, Alpha.STRAIGHT),
        (b"RGB", 3, Model.RGB, Alpha.NONE),
        (b"RGB_ALPHA", 4, Model.RGB, Alpha.STRAIGHT),
        (b"CMYK", 4, Model.CMYK, Alpha.NONE),
        (b"near infrared", 1, Model.GREY, Alpha.NONE),
        (b"", 5, Model.CHANNELS, Alpha.NONE),
    ],
)
@pytest.mark.parametrize("maxval", [1, 255, 1023])
def test_tuple_types_name_the_channels(
    path: Path, kind: bytes, depth: int, model: Model, alpha: Alpha, maxval: int
) -> None:
    values = np.random.default_rng(0).integers(0, maxval + 1, (2, 3, depth))
    head = b"P7\nWIDTH 3\n#c\nHEIGHT 2\nDEPTH %d\nMAXVAL %d\n" % (depth, maxval)
    raster = values.astype(">u2" if maxval > 255 else "u1").tobytes()
    path.write_bytes(head + (b"TUPLTYPE " + kind + b"\n" if kind else b"") + b"ENDHDR\n" + raster)
    read = read_stored(path)
    assert (read.file.model, read.file.alpha) == (model, alpha)
    scale = np.iinfo(read.pixels.dtype).max if read.pixels.dtype.kind == "u" else 1
    np.testing.assert_allclose(read.pixels / scale, values / maxval, atol=1e-6)
    assert bool(read.notes) == (kind in (b"", b"near infrared"))


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("channels", [1, 3])
def test_pfm_starts_with_its_lowest_row(path: Path, order: str, channels: int) -> None:
    values = np.random.default_rng(0).random((3, 4, channels)).astype(np.float32)
    head = b"%s\n4 3\n%s\n" % (b"PF" if channels == 3 else b"Pf", b"-1.0" if order == "<" else b"1.0")
    path.write_bytes(head + values[::-1].astype(order + "f4").tobytes())
    read = decode_image(path)
    np.testing.assert_array_equal(read.pixels, values)
    assert read.notes == ("its floats are taken for sRGB values",)
    path.write_bytes(head + (values[::-1] * 100).astype(order + "f4").tobytes())
    with pytest.raises(ImageError, match="white="):
        decode_image(path)
    np.testing.assert_allclose(decode_image(path, Reading(white=100)).pixels, values, atol=1e-6)


def test_a_file_written_by_another_library_comes_back(tmp_path: Path) -> None:
    cv2 = pytest.importorskip("cv2")
    values = np.random.default_rng(0).integers(0, 65536, (4, 5, 3)).astype(np.uint16)
    # Not PAM, in which OpenCV exchanges red and blue: findings/opencv-pam-red-is-blue.sh
    assert cv2.imwrite(str(tmp_path / "a.ppm"), values[..., ::-1])
    np.testing.assert_allclose(decode_image(tmp_path / "a.ppm").pixels, values / 65535, atol=1e-6)
    floats = (values / 65535).astype(np.float32)
    assert cv2.imwrite(str(tmp_path / "a.pfm"), floats[..., ::-1])
    np.testing.assert_array_equal(decode_image(tmp_path / "a.pfm").pixels, floats)


def test_of_several_images_one_is_read_and_said(path: Path) -> None:
    path.write_bytes(b"P5 2 1 255\n\1\2P6 1 1 255\n\3\4\5P4 3 1\n\xa0")
    first = decode_image(path)
    assert first.notes == ("the first of its 3 images is read",)
    np.testing.assert_array_equal(first.pixels.squeeze() * 255, [1, 2])
    assert image_size(path, Reading(slice=2)) == (1, 3)
    np.testing.assert_array_equal(decode_image(path, Reading(slice=1)).pixels.squeeze() * 255, [3, 4, 5])
    with pytest.raises(ImageError, match="slice=3 is not among them"):
        image_size(path, Reading(slice=3))


@pytest.mark.parametrize(
    "content",
    [
        b"P5 2 2 255\n\1\2\3",
        b"P2 2 1 255\n7",
        b"P5 2 1 100\n\1\x65",
        b"P2 2 1 100\n1 101",
        b"P1 2 1\n12",
        b"P5 2 1 70000\n\1\2\3\4",
        b"P5 -2 1 255\n\1\2",
        b"P5 2",
        b"PF 1 1 0\n" + bytes(12),
        b"P7\nWIDTH 1\nHEIGHT 1\nDEPTH 2\nMAXVAL 1\nTUPLTYPE RGB\nENDHDR\n\1\1",
        b"P7\nWIDTH 1\nHEIGHT 1\nDEPTH 1\nMAXVAL 1\n",
        b"P6 99999 99999 255\n",
    ],
)
def test_damage_is_one_sentence(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(ImageError, match=r"a\.pnm .*\.$"):
        decode_image(path)
