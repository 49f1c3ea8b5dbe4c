"""JPEG 2000: what the boxes say of the components becomes the right colours, or one truthful sentence."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile
from jp2_files import box, definitions, encoded, enumerated, jp2, together
from PIL import Image

from dgp_mining.images.image_file import Alpha, Model
from dgp_mining.images.reader import ImageError, decode_image, image_size, read_image
from dgp_mining.images.stored import open_image, read_stored

SRGB, GREY, SYCC = 16, 17, 18  # EnumCS


def noise(*shape: int, bits: int = 8, signed: bool = False) -> np.ndarray:
    low = -(1 << (bits - 1)) if signed else 0
    values = np.random.default_rng(bits + len(shape)).integers(low, low + (1 << bits), shape)
    values.flat[:2] = low, low + (1 << bits) - 1
    return values.astype(f"{'i' if signed else 'u'}{1 if bits <= 8 else 2 if bits <= 16 else 4}")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a.jp2"


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("bits", [1, 2, 4, 7, 8, 9, 12, 15, 16, 20, 24])
@pytest.mark.parametrize("channels", [1, 3])
def test_the_largest_number_of_any_depth_is_white(path: Path, bits: int, signed: bool, channels: int) -> None:
    if bits == 1 and signed:
        pytest.skip("one bit with a sign is -1 and 0")
    values = noise(9, 11, channels, bits=bits, signed=signed)
    for content in (encoded(values.squeeze(), bits), jp2(encoded(values.squeeze(), bits), enumerated(17))):
        path.write_bytes(content)
        if content[:2] != b"\xff\x4f" and channels == 3:
            continue  # grey with further bands
        low = -(1 << (bits - 1)) if signed else 0
        right = (values.astype(np.float64) - low) / ((1 << bits) - 1)
        np.testing.assert_allclose(read_image(path), right, atol=1e-7)
        assert open_image(path).bits == bits


@pytest.mark.parametrize("bits", [8, 12, 16])
def test_another_decoder_gives_the_same_numbers(path: Path, bits: int) -> None:
    cv2 = pytest.importorskip("cv2")
    values = noise(19, 23, 3, bits=bits)
    path.write_bytes(jp2(encoded(values, bits), enumerated(SRGB)))
    other = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_UNCHANGED)[..., ::-1]
    np.testing.assert_allclose(read_image(path), other / ((1 << bits) - 1), atol=1e-6)


def test_an_icc_profile_is_converted_to_srgb(path: Path) -> None:
    profile = bytes(imagecodecs.cms_profile("adobergb"))
    values = np.full((6, 7, 3), (60, 180, 60), np.uint8)
    for bits in (8, 16):
        deep = values if bits == 8 else values.astype(np.uint16) * 257
        for method in (2, 3):
            path.write_bytes(jp2(encoded(deep), box(b"colr", bytes([method, 0, 0]), profile)))
            np.testing.assert_allclose(read_image(path)[0, 0] * 255, (0, 181, 42), atol=1)
            assert read_stored(path).file.encoding.profile == profile
            np.testing.assert_array_equal(read_stored(path).pixels, deep)


def test_a_grey_profile_keeps_one_channel(path: Path) -> None:
    profile = bytes(imagecodecs.cms_profile("gray", gamma=1.0))
    path.write_bytes(jp2(encoded(np.full((6, 7), 128, np.uint8)), box(b"colr", b"\2\0\0", profile)))
    assert read_image(path).shape == (6, 7, 1)
    np.testing.assert_allclose(read_image(path), 188 / 255, atol=1.5 / 255)  # the sRGB curve


def test_the_first_colour_specification_that_is_understood_counts(path: Path) -> None:
    values = noise(6, 7, 3)
    vendor, e_srgb = box(b"colr", b"\4\0\0", bytes(20)), enumerated(20)
    path.write_bytes(jp2(encoded(values), vendor, e_srgb, enumerated(SRGB), enumerated(SYCC)))
    np.testing.assert_array_equal(read_stored(path).pixels, values)
    assert read_stored(path).notes == ()
    path.write_bytes(jp2(encoded(values), vendor))
    assert read_stored(path).notes == ("its colour specification is not understood, and sRGB is assumed",)
    path.write_bytes(jp2(encoded(values), vendor, e_srgb))
    with pytest.raises(ImageError, match=r"a\.jp2 has e-sRGB colours, which are not read"):
        open_image(path)


def test_a_grey_profile_makes_no_bands_of_colours(path: Path) -> None:
    values, grey = noise(6, 7, 3), imagecodecs.cms_profile("gray", gamma=1.0)
    path.write_bytes(jp2(encoded(values), box(b"colr", b"\2\0\0", grey)))
    read = read_stored(path)
    np.testing.assert_array_equal(read.pixels, values)
    assert (read.file.model, read.file.encoding.is_srgb) == (Model.RGB, True)
    assert read.notes == ("its colour specification is not understood, and sRGB is assumed",)
    path.write_bytes(jp2(encoded(values), enumerated(GREY)))  # as GDAL writes three bands
    assert read_stored(path).file.model == Model.CHANNELS


def parameterized(*codes: int) -> bytes:
    return box(b"colr", b"\5\0\0", struct.pack(">HHHB", *codes[:3], codes[3] << 7))


def test_code_points_say_the_colours(path: Path) -> None:
    """As a profile with the same primaries and curve does (T.814, D.4.3; ITU-T H.273)."""
    values = noise(6, 7, 3) // 2 + 50
    p3 = imagecodecs.cms_profile(
        "rgb", whitepoint=[0.3127, 0.329, 1.0], primaries=[0.68, 0.32, 0.265, 0.69, 0.15, 0.06], gamma=2.2
    )
    path.write_bytes(jp2(encoded(values), box(b"colr", b"\2\0\0", p3)))
    expected = read_image(path)
    path.write_bytes(jp2(encoded(values), parameterized(12, 4, 0, 1)))  # P3 with a gamma of 2.2
    decoded = decode_image(path)
    np.testing.assert_allclose(decoded.pixels, expected, atol=2 / 255)
    assert decoded.notes[0].startswith("its colour specification says a gamma of 2.2 and other primaries")
    path.write_bytes(jp2(encoded(values), parameterized(1, 13, 0, 1)))
    np.testing.assert_array_equal(read_stored(path).pixels, values)
    assert read_stored(path).notes == ()


@pytest.mark.parametrize("bits", [8, 12])
def test_code_points_may_say_a_narrow_range(path: Path, bits: int) -> None:
    unit = 1 << (bits - 8)
    values = np.array([[0, 16 * unit, 126 * unit, 235 * unit]], np.uint8 if bits == 8 else np.uint16)
    path.write_bytes(jp2(encoded(values.repeat(4, 0), bits), parameterized(1, 13, 0, 0)))
    np.testing.assert_allclose(read_image(path)[0, :, 0], [0, 0, 110 / 219, 1], atol=1e-5)


def test_code_points_of_ycbcr(path: Path) -> None:
    values = noise(6, 7, 3)
    path.write_bytes(jp2(encoded(values), enumerated(SYCC)))
    expected = read_image(path)
    path.write_bytes(jp2(encoded(values), parameterized(1, 13, 5, 1)))  # the same
    np.testing.assert_array_equal(read_image(path), expected)
    for codes, what in (((9, 16, 9, 0), "YCbCr"), ((1, 9, 0, 1), r"unknown \(ITU-T H.273, 1/9\)")):
        path.write_bytes(jp2(encoded(values), parameterized(*codes)))
        with pytest.raises(ImageError, match=rf"a\.jp2 has {what} colours, which are not read"):
            open_image(path)


def test_channels_come_in_the_order_of_their_definition(path: Path) -> None:
    values = noise(6, 7, 4)
    stored = encoded(values)
    in_blue_green_red = definitions((0, 0, 3), (1, 0, 2), (2, 0, 1), (3, 1, 0))
    path.write_bytes(jp2(stored, enumerated(SRGB), in_blue_green_red))
    np.testing.assert_array_equal(read_stored(path).pixels, values[..., [2, 1, 0, 3]])
    alpha_first = definitions((0, 1, 0), (1, 0, 1), (2, 0, 2), (3, 0, 3))
    path.write_bytes(jp2(stored, enumerated(SRGB), alpha_first))
    np.testing.assert_array_equal(read_stored(path).pixels, values[..., [1, 2, 3, 0]])
    assert open_image(path).alpha == Alpha.STRAIGHT


def test_premultiplied_colours_are_divided_by_their_alpha(path: Path) -> None:
    values = np.full((6, 7, 4), (50, 25, 0, 128), np.uint8)
    path.write_bytes(
        jp2(encoded(values), enumerated(SRGB), definitions(*((i, 0, i + 1) for i in range(3)), (3, 2, 0)))
    )
    assert open_image(path).alpha == Alpha.ASSOCIATED
    np.testing.assert_allclose(read_image(path)[0, 0] * 128, (50, 25, 0), atol=0.3)


@pytest.mark.parametrize("told", [True, False])
def test_a_channel_of_unknown_meaning_is_no_colour_and_is_said(path: Path, told: bool) -> None:
    values = noise(6, 7, 4)
    told_so = definitions((0, 0, 1), (1, 0, 2), (2, 0, 3), (3, 65535, 65535))
    path.write_bytes(jp2(encoded(values), enumerated(SRGB), *([told_so] if told else [])))
    stored = read_stored(path)
    np.testing.assert_array_equal(stored.pixels, values[..., :3])
    assert stored.notes == ("a channel that is neither a colour nor transparency is left out",)


@pytest.mark.parametrize("channels", [5, 8])
def test_many_bands_are_read_as_channels(path: Path, channels: int) -> None:
    values = noise(6, 7, channels, bits=16)
    for content in (encoded(values), jp2(encoded(values), enumerated(GREY))):
        path.write_bytes(content)
        assert open_image(path).model == Model.CHANNELS
        np.testing.assert_array_equal(read_stored(path).pixels, values)


def test_the_headers_of_the_first_layer_count_where_the_default_says_nothing(path: Path) -> None:
    """JPX (T.801, M.11.6)."""
    values = noise(6, 7, 3)
    profile = bytes(imagecodecs.cms_profile("adobergb"))
    group = box(b"cgrp", box(b"colr", b"\3\0\0", profile))
    layer = box(b"jplh", group, definitions((0, 0, 3), (1, 0, 2), (2, 0, 1)))
    path.write_bytes(jp2(encoded(values), after=layer + box(b"jplh", box(b"cgrp", enumerated(GREY)))))
    stored = read_stored(path)
    assert stored.file.encoding.profile == profile
    np.testing.assert_array_equal(stored.pixels, values[..., ::-1])


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("swapped", [False, True])
def test_a_palette_becomes_its_colours(path: Path, bits: int, swapped: bool) -> None:
    indices, colours = noise(6, 7) % 5, noise(5, 3, bits=bits)
    entries = b"".join(int(value).to_bytes(bits // 8) for value in colours.flat)
    palette = box(b"pclr", struct.pack(">HB", 5, 3), bytes([bits - 1] * 3), entries)
    mapping = box(b"cmap", *(struct.pack(">HBB", 0, 1, column) for column in range(3)))
    order = definitions((0, 0, 3), (1, 0, 2), (2, 0, 1)) if swapped else b""
    path.write_bytes(jp2(encoded(indices), enumerated(SRGB), palette, mapping, order))
    right = colours[indices]
    stored = read_stored(path)
    np.testing.assert_array_equal(stored.pixels, right[..., ::-1] if swapped else right)
    assert (stored.file.bits, stored.file.model) == (bits, Model.RGB)
    if bits == 8 and not swapped:
        with Image.open(path) as image:
            np.testing.assert_array_equal(stored.pixels, np.asarray(image.convert("RGB")))


def test_a_direct_channel_next_to_a_palette_is_alpha(path: Path) -> None:
    values, colours = noise(6, 7, 2), noise(256, 3)
    palette = box(b"pclr", struct.pack(">HB", 256, 3), bytes([7] * 3), colours.tobytes())
    mapping = box(b"cmap", *(struct.pack(">HBB", 0, 1, c) for c in range(3)), struct.pack(">HBB", 1, 0, 0))
    opacity = definitions((0, 0, 1), (1, 0, 2), (2, 0, 3), (3, 1, 0))
    path.write_bytes(jp2(encoded(values), enumerated(SRGB), palette, mapping, opacity))
    right = np.concatenate([colours[values[..., 0]], values[..., 1:]], axis=2)
    np.testing.assert_array_equal(read_stored(path).pixels, right)


def as_rgb(planes: list[np.ndarray], step: tuple[int, int], bits: int) -> np.ndarray:
    """sYCC to RGB (IEC 61966-2-1, amendment 1), each colour repeated for its pixels; in [0, 1]."""
    height, width = planes[0].shape
    y = planes[0] / ((1 << bits) - 1)
    cb, cr = (
        (np.repeat(np.repeat(p, step[0], 0), step[1], 1)[:height, :width] - (1 << (bits - 1)))
        / ((1 << bits) - 1)
        for p in (plane.astype(np.float64) for plane in planes[1:])
    )
    rgb = np.stack([y + 1.402 * cr, y - 0.344136 * cb - 0.714136 * cr, y + 1.772 * cb], axis=2)
    return rgb.clip(0, 1)


@pytest.mark.parametrize("bits", [8, 12])
@pytest.mark.parametrize("step", [(1, 1), (1, 2), (2, 2)])
@pytest.mark.parametrize("size", [(8, 10), (7, 9), (1, 1)])
def test_ycc_of_any_size_becomes_rgb(
    path: Path, bits: int, step: tuple[int, int], size: tuple[int, int]
) -> None:
    halved = (-(-size[0] // step[0]), -(-size[1] // step[1]))
    planes = [noise(*size, bits=bits), noise(*halved, bits=bits), noise(*halved, bits=bits)[::-1]]
    path.write_bytes(jp2(together(planes, [bits] * 3, [(1, 1), step, step]), enumerated(SYCC)))
    assert image_size(path) == size
    np.testing.assert_allclose(read_image(path), as_rgb(planes, step, bits), atol=2 / ((1 << bits) - 1))


def test_halved_colours_without_a_specification_are_taken_for_ycc_and_this_is_said(path: Path) -> None:
    planes = [noise(7, 9), noise(4, 5), noise(4, 5)]
    path.write_bytes(together(planes, [8] * 3, [(1, 1), (2, 2), (2, 2)]))
    decoded = decode_image(path)
    np.testing.assert_allclose(decoded.pixels, as_rgb(planes, (2, 2), 8), atol=2 / 255)
    assert decoded.notes == ("its colours are taken for YCbCr, as two are halved",)


def test_ycc_keeps_its_alpha(path: Path) -> None:
    planes = [noise(7, 9), noise(4, 5), noise(4, 5), noise(7, 9)[::-1]]
    opacity = definitions((0, 0, 1), (1, 0, 2), (2, 0, 3), (3, 1, 0))
    stored = together(planes, [8] * 4, [(1, 1), (2, 2), (2, 2), (1, 1)])
    path.write_bytes(jp2(stored, enumerated(SYCC), opacity))
    read = read_stored(path).pixels
    np.testing.assert_array_equal(read[..., 3], planes[3])
    np.testing.assert_allclose(read[..., :3] / 255, as_rgb(planes[:3], (2, 2), 8), atol=2 / 255)


@pytest.mark.parametrize(
    ("steps", "corner", "space"),
    [
        ([(1, 1), (2, 1), (2, 1)], (0, 0), SYCC),  # 4:4:0
        ([(1, 1), (1, 4), (1, 4)], (0, 0), SYCC),  # 4:1:1
        ([(1, 1), (2, 2), (2, 2)], (0, 1), SYCC),
        ([(1, 1), (2, 2), (2, 2)], (0, 0), SRGB),
        ([(2, 2), (2, 2), (2, 2)], (0, 0), SRGB),
    ],
)
def test_other_resolutions_are_refused_truthfully(
    path: Path, steps: list[tuple[int, int]], corner: tuple[int, int], space: int
) -> None:
    sizes = [(-(-8 // step[0]), -(-8 // step[1])) for step in steps]
    path.write_bytes(
        jp2(together([noise(*size) for size in sizes], [8] * 3, steps, corner), enumerated(space))
    )
    with pytest.raises(ImageError, match="channels of several resolutions"):
        open_image(path)


def test_an_image_may_start_anywhere_on_its_grid(path: Path) -> None:
    planes = [noise(7, 9), noise(7, 9)[::-1], noise(7, 9)[:, ::-1]]
    path.write_bytes(jp2(together(planes, [8] * 3, [(1, 1)] * 3, corner=(3, 5)), enumerated(SRGB)))
    assert image_size(path) == (7, 9)
    np.testing.assert_array_equal(read_stored(path).pixels, np.stack(planes, axis=2))


def test_a_one_bit_mask_next_to_deeper_colours_is_alpha(path: Path) -> None:
    depths = [8, 5, 8, 1]
    planes = [noise(7, 9, bits=bits) for bits in depths]
    opacity = definitions((0, 0, 1), (1, 0, 2), (2, 0, 3), (3, 1, 0))
    path.write_bytes(jp2(together(planes, depths, [(1, 1)] * 4), enumerated(SRGB), opacity))
    right = np.stack([plane / ((1 << bits) - 1) for plane, bits in zip(planes, depths, strict=True)], axis=2)
    np.testing.assert_allclose(read_stored(path).pixels, right, atol=1e-6)
    path.write_bytes(together([noise(7, 9, bits=12), noise(7, 9)], [12, 8], [(1, 1)] * 2))
    with pytest.raises(ImageError, match="channels of several depths"):
        open_image(path)


@pytest.mark.parametrize("parameters", [b"", struct.pack(">6I", 100, 0, 255, 128, 255, 128) + b"\0D50"])
def test_lab_is_stored_as_its_ranges_say(path: Path, parameters: bytes) -> None:
    lightness, a, b = 60.0, 30.0, -40.0
    if parameters:
        stored = (lightness / 100 * 255, a + 128, b + 128)
    else:  # T.801, M.11.7.4.1: by default a* spans 170, b* 200
        stored = (lightness / 100 * 255, a * 255 / 170 + 128, b * 255 / 200 + 96)
    path.write_bytes(jp2(encoded(np.full((6, 7, 3), np.round(stored), np.uint8)), enumerated(14, parameters)))
    assert open_image(path).model == Model.LAB
    right = (lightness / 100, (a + 128) / 255, (b + 128) / 255)
    np.testing.assert_allclose(read_stored(path).pixels[0, 0], right, atol=0.6 / 255)


def test_cmyk_inks_become_light(path: Path) -> None:
    path.write_bytes(jp2(encoded(np.full((6, 7, 4), (0, 255, 0, 0), np.uint8)), enumerated(12)))
    np.testing.assert_array_equal(read_image(path)[0, 0], (1, 0, 1))


def test_zero_is_white_in_the_older_bilevel_space(path: Path) -> None:
    values = noise(6, 7, bits=1)
    path.write_bytes(jp2(encoded(values, 1), enumerated(0)))
    np.testing.assert_array_equal(read_image(path)[..., 0], 1 - values)
    path.write_bytes(jp2(encoded(values, 1), enumerated(15)))
    np.testing.assert_array_equal(read_image(path)[..., 0], values)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16])
def test_high_throughput_codestreams_are_read(tmp_path: Path, dtype: type) -> None:
    values = noise(20, 21, 3, bits=np.iinfo(dtype).bits, signed=dtype == np.int16)
    path = tmp_path / "a.jph"
    path.write_bytes(jp2(bytes(imagecodecs.htj2k_encode(values)), enumerated(SRGB)))
    low = np.iinfo(dtype).min
    right = (values.astype(np.float64) - low) / (np.iinfo(dtype).max - low)
    np.testing.assert_allclose(read_image(path), right, atol=1e-6)


def test_what_lies_beyond_the_pixels_is_kept(path: Path) -> None:
    exif = Image.Exif()
    exif[0x010E], exif[0x0112] = "a picture", 6
    xmp = b"<x:xmpmeta xmlns:x='adobe:ns:meta/'/>"
    tiff = io.BytesIO()
    tags = [(33550, "d", 3, (2.0, 2.0, 0.0), True), (33922, "d", 6, (0.0, 0.0, 0.0, 500.0, 700.0, 0.0), True)]
    tifffile.imwrite(tiff, np.zeros((1, 1), np.uint8), extratags=tags)
    boxes = [
        box(b"uuid", b"JpgTiffExif->JP2", exif.tobytes().removeprefix(b"Exif\0\0")),
        box(b"uuid", bytes.fromhex("be7acfcb97a942e89c71999491e3afac"), xmp),
        box(b"uuid", bytes.fromhex("b14bf8bd083d4b43a5ae8cd7d5a6ce03"), tiff.getvalue()),
    ]
    resolution = box(b"res ", box(b"resc", struct.pack(">4H2b", 300, 254, 150, 254, 4, 4)))
    path.write_bytes(jp2(encoded(noise(6, 7)), enumerated(GREY), resolution, after=b"".join(boxes)))
    file = open_image(path)
    kept = file.attachments()
    assert kept.exif is not None
    assert b"a picture" in kept.exif
    assert kept.xmp == xmp
    path.write_bytes(
        jp2(encoded(noise(6, 7)), enumerated(GREY), after=box(b"xml ", b"<a/>") + box(b"xml ", xmp))
    )
    assert open_image(path).attachments().xmp == xmp
    assert kept.dpi == pytest.approx((150, 300))
    assert kept.geo is not None
    assert (kept.geo.scale, kept.geo.tiepoints[3:5]) == ((2.0, 2.0, 0.0), (500.0, 700.0))
    assert file.notes == ("the orientation in its EXIF is not applied",)


def test_only_headers_are_read_for_the_size(path: Path) -> None:
    stored = jp2(encoded(noise(64, 65, 3)), enumerated(SRGB))
    body = stored.index(b"\xff\x93")
    path.write_bytes(stored[:body] + bytes(len(stored) - body))
    assert image_size(path) == (64, 65)
    with pytest.raises(ImageError, match="cannot be decoded"):
        read_image(path)


def test_a_file_that_ends_early_or_promises_too_much_is_refused(path: Path) -> None:
    whole = jp2(encoded(noise(64, 65, 3)), enumerated(SRGB))
    for cut in (whole[:-2], whole[:-1000], whole[:60], encoded(noise(64, 65, 3))[:-2000]):
        path.write_bytes(cut)
        with pytest.raises(ImageError, match=r"a\.jp2"):
            read_image(path)
    path.write_bytes(whole.replace(struct.pack(">2I", 65, 64), struct.pack(">2I", 1 << 30, 1 << 30)))
    with pytest.raises(ImageError, match=r"more than .* pixels"):
        image_size(path)


def test_a_second_image_and_what_is_no_image_are_said(path: Path) -> None:
    stream = encoded(noise(6, 7))
    path.write_bytes(jp2(stream, enumerated(GREY), after=box(b"jp2c", stream)))
    assert open_image(path).notes == ("the first of its 2 images is read",)
    path.write_bytes(box(b"jP  ", b"\r\n\x87\n") + box(b"ftyp", b"mjp2\0\0\0\0mjp2") + box(b"moov"))
    with pytest.raises(ImageError, match=r"a\.jp2 is Motion JPEG 2000"):
        open_image(path)
