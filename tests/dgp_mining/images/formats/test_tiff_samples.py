"""Samples of any depth, packed or not, and the number that is white; LogL; orientations that do not exist."""

from __future__ import annotations

from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile
from tiff_files import LONG, SHORT, noise, packed, write_tiff

from dgp_mining.images.reader import decode_image, image_size
from dgp_mining.images.stored import open_image, read_stored


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a.tif"


@pytest.mark.parametrize("photometric", ["minisblack", "miniswhite", "rgb"])
@pytest.mark.parametrize(
    ("opaque", "said"),
    [
        (65535, (4095, 65535)),  # each sample has its own
        (65535, (4095,)),  # of colours alone
        (65535, 4095),  # one for all, which alpha exceeds
        (4095, (4095, 4095)),
    ],
)
def test_a_maximum_of_colours_is_not_that_of_alpha(
    path: Path, photometric: str, opaque: int, said: int | tuple[int, ...]
) -> None:
    count = 3 if photometric == "rgb" else 1
    colours = np.random.default_rng(0).integers(0, 4096, (5, 7, count), np.uint16)
    colours[0, 0] = 4095
    alpha = np.full((5, 7, 1), opaque, np.uint16)
    alpha[1] = opaque // 3
    values = (said,) if isinstance(said, int) else (said[0],) * count + said[1:]
    tifffile.imwrite(
        path,
        np.concatenate([colours, alpha], axis=2),
        photometric=photometric,
        planarconfig="contig",
        extrasamples=["unassalpha"],
        extratags=[(281, SHORT, len(values), values, True)],
        metadata=None,
    )
    read = read_stored(path)
    pixels = read.pixels / (np.iinfo(read.pixels.dtype).max if read.pixels.dtype.kind == "u" else 1)
    right = 1 - colours / 4095 if photometric == "miniswhite" else colours / 4095
    np.testing.assert_allclose(pixels[..., :-1], right, atol=1e-5)
    np.testing.assert_allclose(pixels[..., -1:], alpha / opaque, atol=1e-5)
    assert any("alpha holds 65535" in note for note in read.notes) == (opaque > 4095 and len(values) <= count)


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_an_orientation_that_does_not_exist_changes_nothing(path: Path, orientation: int) -> None:
    values = np.arange(35, dtype=np.uint8).reshape(5, 7)
    tifffile.imwrite(path, values, extratags=[(274, SHORT, 1, orientation, True)])
    assert image_size(path) == (5, 7)
    np.testing.assert_array_equal(read_stored(path).pixels[..., 0], values)


def test_logl_is_light_without_colour(path: Path) -> None:
    """L = 2^((Le + 0.5) / 256 - 64) (Larson 1998); libtiff writes it with 16-bit integers in its tags."""
    numbers = [0, 63 * 256, 62 * 256 + 128, 63 * 256 | 0x8000]
    planes = b"".join(bytes([4, *(number >> shift & 255 for number in numbers)]) for shift in (8, 0))
    tags = {259: (SHORT, [34676]), 339: (SHORT, [2])}
    write_tiff(path, (1, 4), planes, [16], 32844, tags)
    pixels = read_stored(path).pixels[0, :, 0]
    np.testing.assert_allclose(pixels, [0, 0.5, 0.25 * 2**0.5, 0], rtol=0.002)


@pytest.mark.parametrize("bits", [12, 16])
@pytest.mark.parametrize("compression", [7, 34712])
def test_white_is_that_of_the_compressed_data_if_the_tags_say_more_bits(
    path: Path, bits: int, compression: int
) -> None:
    values = np.random.default_rng(0).integers(0, 1 << bits, (16, 16, 3), np.uint16)
    if compression == 7:
        data = imagecodecs.jpeg8_encode(values, lossless=True, bitspersample=bits)
    else:
        data = imagecodecs.jpeg2k_encode(values, level=0, codecformat="j2k", bitspersample=bits)
    write_tiff(path, (16, 16), bytes(data), [16] * 3, 2, {259: (SHORT, [compression])})
    read = read_stored(path)
    np.testing.assert_allclose(read.pixels / 65535 if bits == 16 else read.pixels, values / (2**bits - 1))
    assert read.notes == (() if bits == 16 else ("its compressed data has 12 bits, so that 4095 is white",))


def test_a_strip_that_is_stored_is_not_called_empty(path: Path) -> None:
    """Some writers leave StripByteCounts at 0; the pixels are where StripOffsets says."""
    values = np.arange(35, dtype=np.uint8).reshape(5, 7)
    write_tiff(path, (5, 7), values.tobytes(), [8], 1, {279: (4, [0])})
    read = read_stored(path)
    np.testing.assert_array_equal(read.pixels[..., 0], values)
    assert read.notes == ()


@pytest.mark.parametrize("bits", [1, 2, 4, 5, 6, 9, 10, 12, 14, 15])
@pytest.mark.parametrize("samples", [1, 3])
@pytest.mark.parametrize(("order", "fill"), [("<", 1), (">", 1), ("<", 2)])
def test_packed_samples_of_any_depth_reach_white(
    path: Path, bits: int, samples: int, order: str, fill: int
) -> None:
    values = noise(7, 9, samples, bits=bits)
    values[0, 0], values[-1, -1] = 0, (1 << bits) - 1
    content = packed(values, bits)
    if fill == 2:
        content = bytes(imagecodecs.bitorder_encode(content))
    kind = 2 if samples == 3 else 1
    write_tiff(path, (7, 9), content, [bits] * samples, kind, {266: (SHORT, [fill])}, order)
    np.testing.assert_allclose(decode_image(path).pixels, values / ((1 << bits) - 1), atol=1e-6)
    assert open_image(path).bits == bits


@pytest.mark.parametrize("compression", [5, 8, 50000, 32773])
@pytest.mark.parametrize("bits", [4, 12])
def test_packed_samples_are_read_from_compressed_tiles(path: Path, bits: int, compression: int) -> None:
    values = noise(32, 64, bits=bits)
    encode = tifffile.TIFF.COMPRESSORS[compression]
    tiles = [encode(packed(tile, bits)) for row in np.split(values, 2) for tile in np.split(row, 2, 1)]
    starts = [8 + sum(map(len, tiles[:number])) for number in range(4)]
    more = {
        259: (SHORT, [compression]),
        322: (SHORT, [32]),
        323: (SHORT, [16]),
        324: (LONG, starts),
        325: (LONG, [len(tile) for tile in tiles]),
    }
    write_tiff(path, (32, 64), b"".join(tiles), [bits], 1, more)
    np.testing.assert_allclose(decode_image(path).pixels[..., 0], values / ((1 << bits) - 1), atol=1e-6)


@pytest.mark.parametrize("most", [1023, 4095, 16383])
def test_a_maximum_of_all_ones_is_white(path: Path, most: int) -> None:
    values = noise(7, 9, bits=16) % (most + 1)
    tifffile.imwrite(path, values, extratags=[(281, SHORT, 1, most, True)])
    decoded = decode_image(path)
    np.testing.assert_allclose(decoded.pixels[..., 0], values / most, atol=1e-6)
    assert decoded.notes == (f"its MaxSampleValue says that {most} is white",)


def test_a_maximum_that_is_only_the_brightest_value_is_not_white(path: Path) -> None:
    values = noise(7, 9, bits=12)
    tifffile.imwrite(path, values, extratags=[(281, SHORT, 1, int(values.max()) & ~1, True)])
    np.testing.assert_allclose(decode_image(path).pixels[..., 0], values / 65535, atol=1e-6)


def test_a_maximum_that_pixels_exceed_does_not_count(path: Path) -> None:
    values = noise(7, 9, bits=16)
    tifffile.imwrite(path, values, extratags=[(281, SHORT, 1, 4095, True)])
    decoded = decode_image(path)
    np.testing.assert_allclose(decoded.pixels[..., 0], values / 65535, atol=1e-6)
    assert "so that 65535 is taken for white after all" in decoded.notes[-1]
