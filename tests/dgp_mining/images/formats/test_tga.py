"""TGA files of every type, depth and orientation come out as the specification says."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dgp_mining.images.image_file import Alpha
from dgp_mining.images.reader import ImageError, decode_image, image_size
from dgp_mining.images.stored import read_stored


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a.tga"


def tga(
    kind: int,
    width: int,
    height: int,
    depth: int,
    raster: bytes,
    descriptor: int = 32,
    colours: bytes = b"",
    first: int = 0,
    entry: int = 24,
    attributes: int | None = None,
) -> bytes:
    """A TGA with rows from the top; `attributes` adds an extension area of that attributes type."""
    count = len(colours) // ((entry + 7) // 8)
    head = struct.pack(
        "<BBBHHBHHHHBB",
        2,
        bool(colours),
        kind,
        first,
        count,
        entry if colours else 0,
        0,
        0,
        width,
        height,
        depth,
        descriptor,
    )
    content = head + b"id" + colours + raster
    if attributes is None:
        return content
    area = struct.pack("<H", 495) + bytes(492) + bytes([attributes])
    return content + area + struct.pack("<II", len(content), 0) + b"TRUEVISION-XFILE.\0"


@pytest.mark.parametrize("mode", ["L", "LA", "P", "RGB", "RGBA"])
@pytest.mark.parametrize("compression", [None, "tga_rle"])
@pytest.mark.parametrize("orientation", [1, -1])
def test_what_another_writer_writes_comes_back(
    path: Path, mode: str, compression: str | None, orientation: int
) -> None:
    values = np.random.default_rng(0).integers(0, 3, (6, 300, 4), np.uint8) * 90
    image = Image.fromarray(values).convert("RGB" if mode == "P" else mode).convert(mode)
    image.save(path, compression=compression, orientation=orientation)
    right = np.asarray(image.convert("RGB") if mode == "P" else image)
    read = read_stored(path)
    np.testing.assert_array_equal(read.pixels.squeeze(), right)
    assert read.alpha == (mode in ("LA", "RGBA"))
    assert image_size(path) == (6, 300)


@pytest.mark.parametrize("descriptor", [0, 16, 32, 48])
def test_the_first_pixel_is_in_the_corner_that_the_descriptor_names(path: Path, descriptor: int) -> None:
    values = np.arange(6, dtype=np.uint8).reshape(2, 3)
    path.write_bytes(tga(3, 3, 2, 8, values.tobytes(), descriptor))
    right = values[:: 1 if descriptor & 32 else -1, :: -1 if descriptor & 16 else 1]
    np.testing.assert_array_equal(decode_image(path).pixels[..., 0] * 255, right)


@pytest.mark.parametrize("attributes", [0, 1])
@pytest.mark.parametrize("depth", [15, 16])
def test_five_bits_have_31_as_white(path: Path, depth: int, attributes: int) -> None:
    words = np.random.default_rng(0).integers(0, 1 << 16, (2, 3)).astype("<u2")
    path.write_bytes(tga(2, 3, 2, depth, words.tobytes(), 32 | attributes))
    right = np.stack([(words >> 10 & 31) / 31, (words >> 5 & 31) / 31, (words & 31) / 31, words >> 15], 2)
    read = read_stored(path)
    assert read.alpha == (attributes == 1 and depth == 16)
    np.testing.assert_allclose(read.pixels, right[..., : read.pixels.shape[2]], atol=1e-6)


@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("entry", [15, 16, 24, 32])
def test_a_colour_map_may_start_beyond_0(path: Path, depth: int, entry: int) -> None:
    table = np.random.default_rng(0).integers(0, 256, (4, (entry + 7) // 8), np.uint8)
    numbers = np.array([[100, 101, 103]], "<u2" if depth == 16 else "u1")
    path.write_bytes(tga(1, 3, 1, depth, numbers.tobytes(), colours=table.tobytes(), first=100, entry=entry))
    if entry < 24:
        words = table.view("<u2")[..., 0]
        right = np.stack([words >> 10 & 31, words >> 5 & 31, words & 31], 1) / 31
    else:
        right = table[:, 2::-1] / 255
    np.testing.assert_allclose(decode_image(path).pixels, right[None, [0, 1, 3]], atol=1e-6)
    path.write_bytes(tga(1, 1, 1, 8, b"\x05", colours=table.tobytes(), first=100, entry=entry))
    with pytest.raises(ImageError, match="beyond its colour map"):
        decode_image(path)


@pytest.mark.parametrize(
    ("bits", "attributes", "alpha"),
    [
        (8, None, Alpha.STRAIGHT),
        (8, 3, Alpha.STRAIGHT),
        (8, 2, Alpha.STRAIGHT),
        (8, 4, Alpha.ASSOCIATED),
        (8, 0, Alpha.NONE),
        (8, 1, Alpha.NONE),
        (0, None, Alpha.NONE),
        (0, 3, Alpha.NONE),
    ],
)
def test_the_fourth_byte_is_what_attribute_bits_and_type_say(
    path: Path, bits: int, attributes: int | None, alpha: Alpha
) -> None:
    path.write_bytes(tga(2, 1, 1, 32, bytes([30, 20, 10, 128]), 32 | bits, attributes=attributes))
    read = read_stored(path)
    assert read.file.alpha == alpha
    right = (20, 40, 60, 128) if alpha == Alpha.ASSOCIATED else (10, 20, 30, 128)
    np.testing.assert_array_equal(read.pixels[0, 0], right[: read.pixels.shape[2]])
    assert bool(read.notes) == (bits == 8 and attributes in (0, 1))


@pytest.mark.parametrize("depth", [16, 32])
def test_alpha_of_0_everywhere_is_opaque_and_bytes_without_meaning_are_said(path: Path, depth: int) -> None:
    words = np.array([0x7C00, 0x001F], "<u2") if depth == 16 else np.array([0xFF0000, 0xFF], "<u4")
    path.write_bytes(tga(2, 2, 1, depth, words.tobytes(), 32 | (1 if depth == 16 else 8)))
    read = read_stored(path)
    whole = 1 if read.pixels.dtype == np.float32 else 255
    np.testing.assert_array_equal(read.pixels[0] / whole, [[1, 0, 0, 1], [0, 0, 1, 1]])
    assert read.notes == ("its alpha is 0 everywhere and counts as opaque",)
    path.write_bytes(tga(2, 2, 1, 32, bytes([0, 0, 255, 7, 255, 0, 0, 9])))
    read = read_stored(path)
    np.testing.assert_array_equal(read.pixels[0] / 255, [[1, 0, 0], [0, 0, 1]])
    assert read.notes == ("its fourth bytes, to which its header gives no meaning, are left out",)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (tga(2, 2, 2, 24, bytes(11)), "ends before its pixels do"),
        (tga(10, 2, 2, 24, bytes([0x81, 1, 2, 3])), "ends before its pixels do"),
        (tga(32, 2, 2, 24, bytes(12)), "image type 32"),
        (tga(0, 2, 2, 24, bytes(12)), "image type 0"),
        (tga(3, 2, 2, 16, bytes(8)), "of 16 bits per pixel"),
        (tga(2, 2, 2, 24, bytes(12), 0xC0), "interleaved"),
        (tga(1, 2, 2, 8, bytes(4)), "colour map is missing"),
        (tga(10, 65535, 65535, 24, bytes(12)), "more than"),
    ],
)
def test_what_cannot_be_read_is_one_sentence(path: Path, content: bytes, reason: str) -> None:
    path.write_bytes(content)
    with pytest.raises(ImageError, match=rf"a\.tga .*{reason}.*\.$"):
        decode_image(path)
