"""JPEG XL: depth, colours, orientation, alpha and profile are as the codestream says."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from jxl_files import bare, colours, container, extra, with_header
from PIL import Image, ImageCms

from dgp_mining.images.image_file import Alpha, Model, turn
from dgp_mining.images.reader import ImageError, image_size, read_image
from dgp_mining.images.reading import Reading
from dgp_mining.images.stored import open_image, read_stored

GREEN = (60, 180, 60)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a.jxl"


def noise(*shape: int, bits: int = 8) -> np.ndarray:
    values = np.random.default_rng(bits).integers(0, 1 << bits, shape)
    return values.astype(np.uint8 if bits <= 8 else np.uint16)


def without_loss(values: np.ndarray, bits: int | None = None) -> bytes:
    return bytes(imagecodecs.jpegxl_encode(values, lossless=True, bitspersample=bits))


def in_xyb(colour: tuple[int, ...] = GREEN) -> bytes:
    values = np.full((24, 32, len(colour)), colour, np.uint8)
    return bytes(imagecodecs.jpegxl_encode(values.squeeze(), level=98))


@pytest.mark.parametrize("bits", [1, 4, 8, 10, 12, 16])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_no_bit_is_lost(path: Path, bits: int, channels: int) -> None:
    values = noise(20, 31, channels, bits=bits)
    path.write_bytes(without_loss(values.squeeze(), bits))
    stored = read_stored(path)
    whole = np.iinfo(stored.pixels.dtype).max if stored.pixels.dtype.kind == "u" else 1
    np.testing.assert_allclose(stored.pixels / whole, values / ((1 << bits) - 1), atol=1e-7)
    assert (stored.file.bits, stored.alpha, stored.file.size) == (bits, channels in (2, 4), (20, 31))
    assert stored.file.model == (Model.GREY if channels < 3 else Model.RGB)


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_floats_of_linear_light_are_read_as_such(path: Path, dtype: type) -> None:
    values = np.random.default_rng(0).random((20, 31, 3)).astype(dtype)
    values[0, 0, 0] = 4
    path.write_bytes(without_loss(values))  # this encoder says that floats are linear
    stored = read_stored(path)
    np.testing.assert_array_equal(stored.pixels, values.astype(np.float32).clip(0, 1))
    assert stored.file.encoding.transfer == "linear"
    assert "above white" in stored.notes[0]
    assert read_stored(path, Reading(white=4)).pixels.max() == 1


@pytest.mark.parametrize(("height", "width"), [(8, 8), (40, 40), (30, 40), (36, 64), (513, 3), (8200, 1)])
def test_the_size_is_read_from_each_form_of_header(path: Path, height: int, width: int) -> None:
    path.write_bytes(without_loss(np.zeros((height, width), np.uint8)))
    assert image_size(path) == (height, width)
    assert read_image(path).shape == (height, width, 1)


_SPACES = {
    "sRGB": colours(),
    "linear": colours(transfer=8),
    "gamma": colours(transfer=2.2),
    "Display P3": colours(primaries=11),
    "DCI P3": colours(white=11, primaries=11, transfer=17),
    "BT.2020": colours(primaries=9, transfer=1),
    "white E": colours(white=10),
    "own white": colours(white=(0.3457, 0.3585)),
    "own primaries": colours(primaries=[(0.7347, 0.2653), (0.1596, 0.8404), (0.0366, 0.0001)]),
}


@pytest.mark.parametrize("space", _SPACES)
def test_colours_come_out_the_same_whatever_space_they_are_decoded_to(path: Path, space: str) -> None:
    """libjxl converts XYB to the space in the header, and the reader converts from there to sRGB."""
    path.write_bytes(with_header(in_xyb(), _SPACES[space]))
    np.testing.assert_allclose(read_image(path) * 255, np.broadcast_to(GREEN, (24, 32, 3)), atol=4)
    assert space in ("sRGB", "own white") or open_image(path).encoding.is_srgb is False


@pytest.mark.parametrize("space", [colours(1), colours(1, transfer=8), colours(1, white=10)])
def test_grey_comes_out_the_same_too(path: Path, space: list[tuple[int, int]]) -> None:
    path.write_bytes(with_header(in_xyb((60,)), space))
    np.testing.assert_allclose(read_image(path) * 255, 60, atol=2)


def profiles() -> list[bytes]:
    adobe = bytes(imagecodecs.cms_profile("adobergb"))
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    curve = b"curv" + bytes(4) + struct.pack(">I", 600) + np.linspace(0, 65535, 600).astype(">u2").tobytes()
    numbers = (np.linspace(0, 1, 600) ** 2 * 1e9).astype(">u4").tobytes()
    text = b"A text in English, with Words, 1234 numbers. " * 20
    longer = [adobe + more for more in (curve * 2, numbers, text, bytes(range(256)), bytes(700))]
    return [adobe, srgb, *(len(profile).to_bytes(4) + profile[4:] for profile in longer)]


@pytest.mark.parametrize("number", range(7))
def test_a_profile_in_the_codestream_is_read_as_it_was_written(path: Path, number: int) -> None:
    """libjxl compresses the profile of a JPEG."""
    profile, jpeg = profiles()[number], io.BytesIO()
    Image.new("RGB", (16, 16), GREEN).save(jpeg, "JPEG", icc_profile=profile, quality=95)
    path.write_bytes(imagecodecs.jpegxl_encode_jpeg(jpeg.getvalue()))
    assert open_image(path).encoding.profile == profile


def test_a_profile_counts_for_what_is_stored_without_loss(path: Path) -> None:
    profile = bytes(imagecodecs.cms_profile("adobergb"))
    path.write_bytes(with_header(without_loss(np.full((16, 16, 3), GREEN, np.uint8)), profile=profile))
    stored = read_stored(path)
    assert stored.file.encoding.profile == profile
    np.testing.assert_array_equal(stored.pixels[0, 0], GREEN)
    np.testing.assert_allclose(read_image(path)[0, 0] * 255, (0, 181, 42), atol=1)


def test_a_grey_profile_keeps_one_channel(path: Path) -> None:
    profile = bytes(imagecodecs.cms_profile("gray", gamma=1.0))
    path.write_bytes(with_header(without_loss(np.full((16, 16), 128, np.uint8)), profile=profile))
    assert read_image(path).shape == (16, 16, 1)
    np.testing.assert_allclose(read_image(path) * 255, 188, atol=1.5)  # the sRGB curve


@pytest.mark.parametrize("boxed", [False, True])
@pytest.mark.parametrize("long_depth", [False, True])
def test_xyb_with_a_profile_is_decoded_to_linear_light_without_losing_dark_tones(
    path: Path, boxed: bool, long_depth: bool
) -> None:
    profile = bytes(imagecodecs.cms_profile("adobergb"))
    for colour in (GREEN, (3, 5, 8)):
        stream = with_header(in_xyb(colour), profile=profile, long_depth=long_depth)
        path.write_bytes(container((b"jxlc", stream)) if boxed else stream)
        assert open_image(path).encoding.transfer == "linear"
        np.testing.assert_allclose(read_image(path)[5, 5] * 255, colour, atol=1.5)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_applied_to_pixels_and_size(path: Path, orientation: int) -> None:
    values = noise(16, 24, 3)
    path.write_bytes(with_header(without_loss(values), orientation=orientation))
    right = turn(values, orientation)
    assert image_size(path) == right.shape[:2]
    np.testing.assert_array_equal(read_stored(path).pixels, right)


def test_the_orientation_in_exif_is_not_applied_again(path: Path) -> None:
    exif, jpeg = Image.Exif(), io.BytesIO()
    exif[0x0112], exif[0x010E] = 6, "a picture"
    Image.new("RGB", (32, 16)).save(jpeg, "JPEG", exif=exif)
    path.write_bytes(imagecodecs.jpegxl_encode_jpeg(jpeg.getvalue()))
    assert image_size(path) == read_image(path).shape[:2] == (32, 16)
    kept = open_image(path).attachments().exif
    assert kept is not None
    assert b"a picture" in kept


@pytest.mark.parametrize("colour", [(50, 20, 0), (50,)])
def test_associated_alpha_is_divided_out(path: Path, colour: tuple[int, ...]) -> None:
    stored = without_loss(np.full((16, 24, len(colour) + 1), (*colour, 128), np.uint8))
    space = colours(len(colour) == 1)
    for associated, factor in ((False, 1), (True, 255 / 128)):
        path.write_bytes(with_header(stored, space, extras=[extra(0, associated=associated)]))
        read = read_stored(path)
        assert read.file.alpha == (Alpha.ASSOCIATED if associated else Alpha.STRAIGHT)
        np.testing.assert_array_equal(read.pixels[0, 0, :-1], np.round(np.array(colour) * factor))


def test_alpha_of_fewer_bits_is_as_opaque(path: Path) -> None:
    stored = without_loss(np.full((16, 24, 4), (50, 20, 0, 5), np.uint8))
    path.write_bytes(with_header(stored, colours(), extras=[extra(0, bits=4)]))
    assert read_stored(path).pixels[0, 0, 3] == 5 * 17


@pytest.mark.parametrize("kind", [1, 3, 6, 16])  # depth, selection, thermal, optional
@pytest.mark.parametrize("colour", [(50, 20, 0), (50,)])
def test_other_channels_are_left_out_and_said(path: Path, kind: int, colour: tuple[int, ...]) -> None:
    stored = without_loss(np.full((16, 24, len(colour) + 1), (*colour, 128), np.uint8))
    path.write_bytes(with_header(stored, colours(len(colour) == 1), extras=[extra(kind)]))
    read = read_stored(path)
    np.testing.assert_array_equal(read.pixels[0, 0], colour)
    assert read.notes == ("a channel that is neither a colour nor transparency is left out",)


@pytest.mark.parametrize(("kind", "says"), [(4, "is CMYK in JPEG XL"), (5, "is a camera's raw picture")])
def test_what_needs_more_than_colours_is_refused(path: Path, kind: int, says: str) -> None:
    path.write_bytes(with_header(without_loss(noise(16, 24, 4)), extras=[extra(kind)]))
    with pytest.raises(ImageError, match=rf"a\.jxl {says}"):
        open_image(path)


def test_of_an_animation_the_first_frame_is_read_and_said(path: Path) -> None:
    frames = np.stack([np.full((16, 24, 3), level, np.uint8) for level in (10, 200)])
    path.write_bytes(without_loss(frames))
    stored = read_stored(path)
    np.testing.assert_array_equal(stored.pixels, frames[0])
    assert stored.notes == ("the first of its frames is read",)
    with pytest.raises(ImageError, match="only frame 0 is read, not slice=1"):
        open_image(path, Reading(slice=1))


def test_exif_and_xmp_are_kept_compressed_or_not(path: Path) -> None:
    exif = Image.Exif()
    exif[0x010E] = "a picture"
    tiff = exif.tobytes().removeprefix(b"Exif\0\0")
    stream, xmp = without_loss(noise(16, 24, 3)), b"<x:xmpmeta/>"
    plain = [(b"Exif", bytes(4) + tiff), (b"xml ", xmp)]
    packed = [(b"brob", kind + bytes(imagecodecs.brotli_encode(content))) for kind, content in plain]
    for boxes in (plain, packed):
        path.write_bytes(container(boxes[0], (b"jxlc", stream), boxes[1]))
        kept = open_image(path).attachments()
        assert (kept.exif, kept.xmp) == (tiff, xmp)


def test_a_codestream_in_parts_is_read(path: Path) -> None:
    values = noise(16, 24, 3)
    stream = without_loss(values)
    cuts = [stream[:3], stream[3:20], stream[20:]]
    numbers = [0, 1, 2 | 1 << 31]
    path.write_bytes(
        container(*((b"jxlp", n.to_bytes(4) + part) for n, part in zip(numbers, cuts, strict=True)))
    )
    assert image_size(path) == (16, 24)
    np.testing.assert_array_equal(read_stored(path).pixels, values)


def test_a_file_that_ends_early_or_promises_too_much_is_refused(path: Path) -> None:
    profile = bytes(imagecodecs.cms_profile("adobergb"))
    stream = with_header(without_loss(noise(64, 65, 3)), profile=profile)
    boxed = container((b"jxlc", stream))
    for cut in (stream[:-100], stream[:300], stream[:5], boxed[:-100], boxed[:20]):
        path.write_bytes(cut)
        with pytest.raises(ImageError, match=r"a\.jxl"):
            read_image(path)
    huge = 0xFF | 0x0A << 8 | (3 | (1 << 29) << 2 | 1 << 32 | 3 << 35) << 17
    path.write_bytes(huge.to_bytes(9, "little") + bytes(40))
    with pytest.raises(ImageError, match=r"more than .* pixels"):
        image_size(path)


def test_another_reader_sees_the_same_numbers(path: Path) -> None:
    pytest.importorskip("pillow_jxl")
    for stream in (in_xyb(), with_header(without_loss(noise(16, 24, 4)), orientation=6, extras=[extra(0)])):
        path.write_bytes(stream)
        with Image.open(path) as image:
            np.testing.assert_allclose(read_stored(path).pixels, np.asarray(image), atol=1)
    assert bare(container((b"jxlc", stream))) == stream
