"""WebP: lossy, lossless, transparent, animated; what its chunks say is kept."""

from __future__ import annotations

import struct
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from PIL import Image, ImageOps

from dgp_mining.images.reader import ImageError, decode_image, image_size
from dgp_mining.images.reading import Reading
from dgp_mining.images.stored import open_image, read_stored


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a.webp"


def pixels(channels: int) -> np.ndarray:
    values = np.random.default_rng(0).integers(0, 256, (9, 14, channels), np.uint8)
    if channels == 4:
        values[..., 3] = values[..., 3].clip(1)  # encoders clear what cannot be seen
    return values


@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize("lossless", [True, False])
def test_pixels_are_those_of_another_decoder(path: Path, channels: int, lossless: bool) -> None:
    values = pixels(channels)
    encoded = imagecodecs.webp_encode(values, level=None if lossless else 80, lossless=lossless)
    path.write_bytes(encoded)
    read = read_stored(path)
    assert image_size(path) == (9, 14)
    np.testing.assert_array_equal(read.pixels, imagecodecs.webp_decode(encoded))
    if lossless:
        np.testing.assert_array_equal(read.pixels, values)
    assert read.alpha == (channels == 4)
    assert read.notes == ()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_behind_the_pixels_turns_them(path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[274] = orientation
    Image.fromarray(pixels(3)).save(path, lossless=True, exif=exif)
    assert image_size(path) == ((9, 14) if orientation < 5 else (14, 9))
    right = ImageOps.exif_transpose(Image.open(path))
    np.testing.assert_array_equal(read_stored(path).pixels, np.asarray(right))
    kept = open_image(path).attachments().exif
    assert kept is not None
    assert kept[:2] in (b"II", b"MM")


def test_profile_and_xmp_are_found(path: Path) -> None:
    profile = bytes(imagecodecs.cms_profile("adobergb"))
    colour = np.full((4, 4, 3), (60, 180, 60), np.uint8)
    Image.fromarray(colour).save(path, lossless=True, icc_profile=profile, xmp=b"<x/>")
    file = open_image(path)
    assert file.encoding.profile == profile
    assert file.attachments().xmp == b"<x/>"
    assert np.abs(decode_image(path).pixels * 255 - (0, 181, 42)).max() < 1


@pytest.mark.parametrize("form", ["WebP", "PNG"])
def test_adobe_rgb_by_exif_alone_does_not_count_and_is_said(path: Path, form: str) -> None:
    """RFC 9649: without an ICC profile, sRGB is assumed. PNG: EXIF is of "historical value only"."""
    exif, colour = Image.Exif(), np.full((4, 4, 3), (60, 180, 60), np.uint8)
    exif[274] = 1  # without an entry, Pillow writes none into PNG
    exif.get_ifd(0x8769)[0xA001] = 0xFFFF
    exif.get_ifd(0x8769)[0xA005] = {1: "R03"}
    Image.fromarray(colour).save(path, form, lossless=True, exif=exif)
    decoded = decode_image(path)
    np.testing.assert_array_equal((decoded.pixels * 255).round(), colour)
    said = f"its EXIF says Adobe RGB, which does not count in {form}: it is taken for sRGB"
    assert decoded.notes == (said,)


def test_of_an_animation_the_first_frame_is_read_and_said(path: Path) -> None:
    frames = [Image.fromarray(pixels(3)), Image.fromarray(255 - pixels(3))]
    frames[0].save(path, save_all=True, append_images=frames[1:], lossless=True)
    read = decode_image(path)
    np.testing.assert_array_equal(read.pixels * 255, np.asarray(frames[0]))
    assert "the first of its 2 frames is read" in read.notes
    read = decode_image(path, Reading(slice=1))
    np.testing.assert_array_equal(read.pixels * 255, np.asarray(frames[1]))
    with pytest.raises(ImageError, match="slice=2 is not among them"):
        image_size(path, Reading(slice=2))


def test_damage_is_one_sentence(path: Path) -> None:
    whole = bytes(imagecodecs.webp_encode(pixels(3), lossless=True))
    huge = b"RIFF\0\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0" + struct.pack("<I", 99_999)[:3] * 2
    for damaged in (whole[:20], whole[: len(whole) // 2], huge):
        path.write_bytes(damaged)
        with pytest.raises(ImageError, match=r"a\.webp .*\.$"):
            decode_image(path)
