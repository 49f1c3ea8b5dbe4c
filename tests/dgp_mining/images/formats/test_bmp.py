"""Every kind of BMP comes out in its colours, or is refused for what it is.

Files are built field by field from the headers' documentation.
"""

from __future__ import annotations

import struct
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from PIL import Image

from dgp_mining.images.paths import list_images
from dgp_mining.images.reader import ImageError, decode_image, image_size
from dgp_mining.images.stored import open_image, read_stored

PALETTE = ((10, 20, 30), (200, 0, 0), (0, 150, 0), (0, 0, 250))  # R, G, B


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a.bmp"


def bmp(
    width: int,
    height: int,
    bits: int,
    raster: bytes,
    compression: int = 0,
    palette: tuple[tuple[int, int, int], ...] = (),
    after: bytes = b"",
    size: int = 40,
) -> bytes:
    """A BMP with a header of `size` bytes; `after` follows its first 40 bytes."""
    table = b"".join(bytes([b, g, r, 0]) for r, g, b in palette)
    head = struct.pack("<iiHHIIiiII", width, height, 1, bits, compression, 0, 2835, 2835, len(palette), 0)
    body = struct.pack("<I", size) + head[: size - 4] + after + table
    return b"BM" + struct.pack("<IHHI", 0, 0, 0, 14 + len(body)) + body + raster


def rows(numbers: np.ndarray, bits: int) -> bytes:
    """Rows from the lowest, each padded to 4 bytes, of pixels of 1 to 8 bits."""
    unpacked = np.unpackbits(numbers[::-1, :, None], axis=2)[..., 8 - bits :]
    packed = np.packbits(unpacked.reshape(len(numbers), -1), axis=1)
    return b"".join(row.tobytes().ljust(-(-len(row.tobytes()) // 4) * 4, b"\0") for row in packed)


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
@pytest.mark.parametrize("width", [1, 7, 9])
def test_numbers_of_1_to_8_bits_take_the_colours_of_the_palette(path: Path, bits: int, width: int) -> None:
    palette = PALETTE[: 1 << bits]
    numbers = np.random.default_rng(0).integers(0, len(palette), (3, width), np.uint8)
    path.write_bytes(bmp(width, 3, bits, rows(numbers, bits), palette=palette))
    np.testing.assert_array_equal(decode_image(path).pixels * 255, np.array(palette)[numbers])
    assert image_size(path) == (3, width)


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB"])
def test_what_another_writer_writes_comes_back(path: Path, mode: str) -> None:
    values = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)
    image = Image.fromarray(values).convert(mode)
    image.save(path, dpi=(300, 300))
    right = np.asarray(image.convert("L" if mode in ("1", "L") else "RGB"))
    np.testing.assert_array_equal((decode_image(path).pixels * 255).squeeze(), right)
    assert open_image(path).attachments().dpi == pytest.approx((300, 300), abs=0.1)


def test_pixels_never_begin_in_the_palette(path: Path) -> None:
    numbers = np.array([[0, 1, 2, 3]], np.uint8)
    content = bmp(4, 1, 8, numbers.tobytes(), palette=PALETTE)
    path.write_bytes(content[:10] + struct.pack("<I", 54) + content[14:])  # a writer that forgot it
    np.testing.assert_array_equal(decode_image(path).pixels * 255, np.array(PALETTE)[numbers])


def test_rows_may_run_from_the_top_and_a_dib_needs_no_file_header(tmp_path: Path, path: Path) -> None:
    numbers = np.array([[0, 1, 2, 3], [3, 3, 3, 0]], np.uint8)
    content = bmp(4, -2, 8, numbers.tobytes(), palette=PALETTE)
    path.write_bytes(content)
    dib = tmp_path / "b.dib"
    dib.write_bytes(content[14:])
    for file in list_images(tmp_path):
        np.testing.assert_array_equal(decode_image(file).pixels * 255, np.array(PALETTE)[numbers])


@pytest.mark.parametrize("size", [12, 16, 24, 64])
def test_os2_headers_of_any_length_are_read(path: Path, size: int) -> None:
    numbers = np.array([[0, 1, 2, 3]], np.uint8)
    if size == 12:
        body = struct.pack("<IHHHH", 12, 4, 1, 1, 8) + b"".join(bytes(c[::-1]) for c in PALETTE)
        path.write_bytes(b"BM" + struct.pack("<IHHI", 0, 0, 0, 14 + len(body)) + body + numbers.tobytes())
    else:
        extra = bytes(max(size - 40, 0))
        path.write_bytes(bmp(4, 1, 8, numbers.tobytes(), palette=PALETTE, size=size, after=extra))
    np.testing.assert_array_equal(decode_image(path).pixels * 255, np.array(PALETTE)[numbers])


@pytest.mark.parametrize(
    ("bits", "masks"),
    [
        (16, None),
        (16, (0xF800, 0x7E0, 0x1F)),
        (16, (0xF00, 0xF0, 0xF, 0xF000)),
        (16, (0x6000, 0x1C00, 1)),
        (32, None),
        (32, (0xFF00, 0xFF0000, 0xFF000000)),
        (32, (0xFF, 0xFF00, 0xFF0000, 0xFF000000)),
        (32, (0x3FF, 0xFFC00, 0x3FF00000, 0xC0000000)),
        (32, (0xFFE00000, 0x1FFC00, 0x3FF)),
        (24, None),
    ],
)
def test_each_mask_has_its_own_white(path: Path, bits: int, masks: tuple[int, ...] | None) -> None:
    words = np.random.default_rng(0).integers(0, 1 << bits, (2, 4), np.int64)
    raster = b"".join(int(word).to_bytes(bits // 8, "little") for word in words[::-1].reshape(-1))
    after = struct.pack(f"<{len(masks)}I", *masks) if masks else b""
    sizes = {3: [40, 52], 4: [56]}[len(masks)] if masks else [40]
    # Without masks, 5 bits for each colour, or 8; a fourth byte then means nothing ([MS-WMF] 2.2.2.9).
    used = masks or {16: (0x7C00, 0x3E0, 0x1F)}.get(bits, (0xFF0000, 0xFF00, 0xFF))
    right = np.stack([(words & mask) / mask for mask in used], 2)
    for size in sizes:
        path.write_bytes(bmp(4, 2, bits, raster, compression=3 if masks else 0, after=after, size=size))
        read = read_stored(path)
        assert read.alpha == (len(used) == 4)
        scale = 255 if read.pixels.dtype == np.uint8 else 1
        np.testing.assert_allclose(read.pixels / scale, right, atol=1e-6)
        np.testing.assert_allclose(decode_image(path).pixels, right[..., :3], atol=1e-6)


def test_alpha_of_0_everywhere_is_opaque_and_bytes_without_meaning_are_said(path: Path) -> None:
    raster = bytes([0, 0, 255, 0, 255, 0, 0, 0])
    masks = struct.pack("<4I", 0xFF0000, 0xFF00, 0xFF, 0xFF000000)
    path.write_bytes(bmp(2, 1, 32, raster, compression=3, after=masks, size=56))
    read = read_stored(path)
    np.testing.assert_array_equal(read.pixels, [[[255, 0, 0, 255], [0, 0, 255, 255]]])
    assert read.notes == ("its alpha is 0 everywhere and counts as opaque",)
    path.write_bytes(bmp(2, 1, 32, bytes([0, 0, 255, 7, 255, 0, 0, 9])))
    read = read_stored(path)
    np.testing.assert_array_equal(read.pixels, [[[255, 0, 0], [0, 0, 255]]])
    assert read.notes == ("its fourth bytes, to which its header gives no meaning, are left out",)


def test_run_lengths_of_8_bits_with_jumps_and_literal_numbers(path: Path) -> None:
    runs = bytes([3, 1, 0, 3, 1, 2, 3, 0, 0, 0]) + bytes([0, 2, 2, 1, 2, 3, 0, 1])
    path.write_bytes(bmp(6, 3, 8, runs, compression=1, palette=PALETTE))
    numbers = [[0, 0, 3, 3, 0, 0], [0, 0, 0, 0, 0, 0], [1, 1, 1, 1, 2, 3]]
    read = decode_image(path)
    np.testing.assert_array_equal(read.pixels * 255, np.array(PALETTE)[numbers])
    assert read.notes == ("pixels that its run lengths leave out take the number 0",)


def test_run_lengths_of_4_bits_alternate_two_numbers(path: Path) -> None:
    runs = bytes([5, 0x12, 0, 0]) + bytes([0, 5, 0x01, 0x23, 0x10, 0, 0, 1])
    path.write_bytes(bmp(5, 2, 4, runs, compression=2, palette=PALETTE))
    numbers = [[0, 1, 2, 3, 1], [1, 2, 1, 2, 1]]
    read = decode_image(path)
    np.testing.assert_array_equal(read.pixels * 255, np.array(PALETTE)[numbers])
    assert read.notes == ()


def test_run_lengths_of_24_bits_are_blue_green_red(path: Path) -> None:
    runs = bytes([2, 1, 2, 3, 0, 1])
    path.write_bytes(bmp(2, 1, 24, runs, compression=4, size=64, after=bytes(24)))
    np.testing.assert_array_equal(decode_image(path).pixels * 255, [[[3, 2, 1]] * 2])


@pytest.mark.parametrize(
    ("compression", "bits", "reason"),
    [
        (4, 0, "holds a JPEG image"),
        (5, 0, "holds a PNG image"),
        (11, 32, "holds CMYK inks"),
        (0, 64, "64 bits"),
    ],
)
def test_other_content_is_named(path: Path, compression: int, bits: int, reason: str) -> None:
    path.write_bytes(bmp(1, 1, bits, bytes(8), compression=compression))
    with pytest.raises(ImageError, match=f"a.bmp is a BMP .*{reason}"):
        decode_image(path)


def test_missing_pixels_and_colours_are_not_made_up(path: Path) -> None:
    path.write_bytes(bmp(4, 2, 8, bytes(7), palette=PALETTE))
    with pytest.raises(ImageError, match="ends before its pixels do"):
        decode_image(path)
    path.write_bytes(bmp(4, 1, 8, bytes([0, 1, 2, 9]), palette=PALETTE))
    read = decode_image(path)
    assert not read.pixels[0, 3].any()
    assert read.notes == ("pixels that name a colour beyond its palette are black",)
    path.write_bytes(bmp(100_000, 1_000_000, 24, b""))
    with pytest.raises(ImageError, match="more than"):
        image_size(path)


def v5(kind: bytes, rest: bytes) -> bytes:
    """What follows the first 40 bytes of a BITMAPV5HEADER: empty masks, kind of colour space, the rest."""
    return bytes(16) + kind[::-1] + rest.ljust(64, b"\0")


def test_a_profile_inside_is_used_and_one_in_another_file_is_said(path: Path) -> None:
    profile = bytes(imagecodecs.cms_profile("adobergb"))
    fields = bytes(48) + struct.pack("<IIII", 0, 124 + 4, len(profile), 0)
    pixel = bytes([60, 180, 60, 0])
    path.write_bytes(bmp(1, 1, 24, pixel + profile, size=124, after=v5(b"MBED", fields)))
    assert open_image(path).encoding.profile == profile
    assert np.abs(decode_image(path).pixels * 255 - (0, 181, 42)).max() < 1
    path.write_bytes(bmp(1, 1, 24, pixel, size=124, after=v5(b"LINK", fields)))
    assert decode_image(path).notes == ("its colour profile is in another file and is not read",)


def test_calibrated_colours_have_the_primaries_and_gamma_of_the_header(path: Path) -> None:
    xyz = [(0.64, 0.33, 0.03), (0.21, 0.71, 0.08), (0.15, 0.06, 0.79)]
    points = struct.pack("<9i", *(round(part * 2**30) for point in xyz for part in point))
    for gamma in (2.2, 1 / 2.2):
        fields = points + struct.pack("<3I", *[round(gamma * 2**16)] * 3)
        path.write_bytes(bmp(1, 1, 24, bytes(4), size=124, after=v5(bytes(4), fields)))
        encoding = open_image(path).encoding
        assert encoding.transfer == pytest.approx(2.2, abs=1e-3)
        assert encoding.primaries == pytest.approx((0.3127, 0.329, 0.64, 0.33, 0.21, 0.71, 0.15, 0.06))
    for kind, fields in ((b"sRGB", points), (b"Win ", points), (bytes(4), b"")):
        path.write_bytes(bmp(1, 1, 24, bytes(4), size=124, after=v5(kind, fields)))
        assert open_image(path).encoding.is_srgb


def test_a_few_run_lengths_do_not_make_a_huge_picture(path: Path) -> None:
    path.write_bytes(bmp(10_000, 10_000, 8, bytes([0, 1]), compression=1, palette=PALETTE))
    with pytest.raises(ImageError, match="ends before its pixels do"):
        decode_image(path)
