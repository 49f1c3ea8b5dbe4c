"""AVIF: all bits are kept, and cropping, rotation, colours and frames are as the file says."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from heif_files import with_properties
from PIL import Image, ImageOps

from dgp_mining.images.image_file import Alpha, Model
from dgp_mining.images.reader import ImageError, image_size, read_image
from dgp_mining.images.reading import Reading
from dgp_mining.images.stored import open_image, read_stored


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a.avif"


def noise(*shape: int, bits: int = 8) -> np.ndarray:
    values = np.random.default_rng(bits).integers(0, 1 << bits, shape)
    return values.astype(np.uint8 if bits == 8 else np.uint16)


def ramp(bits: int = 8) -> np.ndarray:
    y, x = np.mgrid[:32, :40]
    colours = np.stack([y * 8, x * 6, (x + y) * 3], axis=2).clip(0, 255).astype(np.uint16)
    return (colours << (bits - 8)).astype(np.uint8 if bits == 8 else np.uint16)


def pillow_avif(image: Image.Image, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, "AVIF", **{"quality": 100, "subsampling": "4:4:4", **options})
    return file.getvalue()


@pytest.mark.parametrize("bits", [8, 10, 12])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_no_bit_is_lost(path: Path, bits: int, channels: int) -> None:
    values = noise(20, 24, channels, bits=bits)
    path.write_bytes(imagecodecs.avif_encode(values.squeeze(), bitspersample=bits))
    stored = read_stored(path)
    whole = 255 if stored.pixels.dtype == np.uint8 else 1
    np.testing.assert_allclose(stored.pixels / whole, values / ((1 << bits) - 1), atol=1e-7)
    assert (stored.file.bits, stored.alpha) == (bits, channels in (2, 4))
    assert stored.file.model == (Model.GREY if channels < 3 else Model.RGB)


@pytest.mark.parametrize("bits", [8, 10, 12])
@pytest.mark.parametrize("matrix", [0, 1, 5, 6, 9])
def test_libheif_sees_the_same_colours(path: Path, bits: int, matrix: int) -> None:
    pyvips = pytest.importorskip("pyvips")
    values = ramp(bits)
    path.write_bytes(imagecodecs.avif_encode(values, level=95, bitspersample=bits, matrix=matrix))
    other = pyvips.Image.new_from_file(str(path)).numpy()
    other = other / 255 if bits == 8 else (other >> (16 - bits)) / ((1 << bits) - 1)
    np.testing.assert_allclose(
        read_image(path), other, atol=1.1 / 255 if bits == 8 else 2.5 / ((1 << bits) - 1)
    )


@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:2", "4:2:0"])
def test_the_limited_range_is_spread(path: Path, subsampling: str) -> None:
    path.write_bytes(pillow_avif(Image.fromarray(ramp()), range="limited", subsampling=subsampling))
    np.testing.assert_allclose(read_image(path), ramp() / 255, atol=6 / 255)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_rotation_and_mirroring_are_applied_to_pixels_and_size(path: Path, orientation: int) -> None:
    image = Image.new("RGB", (32, 16))
    image.paste((255, 255, 255), (0, 0, 8, 8))
    exif = image.getexif()
    exif[0x0112] = orientation
    upright = np.asarray(ImageOps.exif_transpose(image))
    path.write_bytes(pillow_avif(image, exif=exif))  # Pillow writes irot and imir for it
    assert image_size(path) == upright.shape[:2]
    np.testing.assert_allclose(read_image(path), upright / 255, atol=1 / 255)


def test_mirroring_before_rotation_is_another_orientation(path: Path) -> None:
    values = noise(16, 32, 3)
    stored = bytes(imagecodecs.avif_encode(values))
    path.write_bytes(with_properties(stored, (b"imir", b"\1"), (b"irot", b"\1")))
    np.testing.assert_array_equal(read_stored(path).pixels, np.rot90(values[:, ::-1]))
    path.write_bytes(with_properties(stored, (b"irot", b"\1"), (b"imir", b"\1")))
    np.testing.assert_array_equal(read_stored(path).pixels, np.rot90(values)[:, ::-1])


def clean_aperture(width: int, height: int, right: int, down: int, halves: int = 1) -> tuple[bytes, bytes]:
    return b"clap", struct.pack(">IIIIiIiI", width, 1, height, 1, right, halves, down, halves)


def test_a_clean_aperture_crops_pixels_and_size(path: Path) -> None:
    values = noise(16, 32, 3)
    stored = bytes(imagecodecs.avif_encode(values))
    path.write_bytes(with_properties(stored, clean_aperture(20, 10, 2, -1), (b"irot", b"\1")))
    right = np.rot90(values[2:12, 8:28])  # the middle of 12 columns left is 6, moved by 2
    assert image_size(path) == (20, 10)
    np.testing.assert_array_equal(read_stored(path).pixels, right)


@pytest.mark.parametrize(
    ("properties", "says"),
    [
        ([clean_aperture(20, 10, 1, 0, 2)], "cropped between pixels"),
        ([clean_aperture(33, 10, 0, 0)], "cropped"),
        ([(b"irot", b"\1"), clean_aperture(10, 10, 0, 0)], "cropped after it is turned"),
        ([(b"imir", b"\1"), (b"imir", b"\0")], "mirrored twice"),
    ],
)
def test_transformations_that_are_not_read_are_refused(
    path: Path, properties: list[tuple[bytes, bytes]], says: str
) -> None:
    path.write_bytes(with_properties(bytes(imagecodecs.avif_encode(noise(16, 32, 3))), *properties))
    with pytest.raises(ImageError, match=says):
        open_image(path)


@pytest.mark.parametrize("channels", [2, 4])
def test_premultiplied_colours_are_divided_by_their_alpha(path: Path, channels: int) -> None:
    values = np.full((16, 16, channels), 60, np.uint8)
    values[..., -1] = 128
    stored = bytes(imagecodecs.avif_encode(values))
    for premultiplied, colour in ((False, 60), (True, 120)):
        path.write_bytes(with_properties(stored, alpha_is_premultiplied=premultiplied))
        read = read_stored(path)
        assert read.file.alpha == Alpha.STRAIGHT
        np.testing.assert_array_equal(read.pixels[0, 0, -2:], (colour, 128))


def test_a_profile_counts_and_is_converted(path: Path) -> None:
    profile = bytes(imagecodecs.cms_profile("adobergb"))
    path.write_bytes(pillow_avif(Image.new("RGB", (16, 16), (60, 180, 60)), icc_profile=profile))
    assert open_image(path).encoding.profile == profile
    np.testing.assert_allclose(read_image(path)[0, 0] * 255, (0, 181, 42), atol=2)


def test_code_points_of_the_colours_are_read(path: Path) -> None:
    path.write_bytes(imagecodecs.avif_encode(ramp(10), bitspersample=10, primaries=9, transfer=16))
    encoding = open_image(path).encoding
    assert encoding.transfer == "pq"
    assert encoding.cicp is not None
    assert encoding.cicp[:2] == (9, 16)
    path.write_bytes(imagecodecs.avif_encode(ramp(), primaries=1, transfer=13))
    assert open_image(path).encoding.is_srgb
    path.write_bytes(imagecodecs.avif_encode(ramp(), primaries=1, transfer=9))
    with pytest.raises(ImageError, match="has colours of kind 1/9"):
        open_image(path)


def test_of_a_sequence_one_frame_is_read_and_said(path: Path) -> None:
    frames = [Image.new("RGB", (16, 16), (level,) * 3) for level in (10, 100, 200)]
    path.write_bytes(pillow_avif(frames[0], save_all=True, append_images=frames[1:]))
    assert read_stored(path).notes == ("the first of its 3 frames is read",)
    np.testing.assert_allclose(read_image(path), 10 / 255, atol=1 / 255)
    np.testing.assert_allclose(read_image(path, Reading(slice=2)), 200 / 255, atol=1 / 255)
    with pytest.raises(ImageError, match="has 3 frames, so slice=3 is not among them"):
        open_image(path, Reading(slice=3))


def test_exif_and_xmp_are_kept(path: Path) -> None:
    exif = Image.Exif()
    exif[0x010E] = "a picture"
    path.write_bytes(pillow_avif(Image.new("RGB", (16, 16)), exif=exif, xmp=b"<x:xmpmeta/>"))
    kept = open_image(path).attachments()
    assert kept.xmp == b"<x:xmpmeta/>"
    read = Image.Exif()
    assert kept.exif is not None
    read.load(kept.exif)
    assert read[0x010E] == "a picture"


def test_what_ends_early_or_promises_too_much_is_refused(path: Path) -> None:
    whole = bytes(imagecodecs.avif_encode(noise(64, 65, 3)))
    for cut in (whole[:-3000], whole[:150], whole[:40]):
        path.write_bytes(cut)
        with pytest.raises(ImageError, match=r"a\.avif"):
            read_image(path)
    path.write_bytes(whole.replace(struct.pack(">II", 65, 64), struct.pack(">II", 1 << 20, 1 << 20)))
    with pytest.raises(ImageError, match=r"more than .* pixels"):
        image_size(path)


def test_a_file_that_ends_in_its_first_box_is_no_film(path: Path) -> None:
    path.write_bytes(bytes(imagecodecs.avif_encode(np.zeros((8, 8, 3), np.uint8)))[:24])
    with pytest.raises(ImageError, match="it holds neither a picture nor a film"):
        open_image(path)
