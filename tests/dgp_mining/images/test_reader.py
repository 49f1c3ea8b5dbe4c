"""Whatever is in an image file becomes the right sRGB floats, or one sentence that names it."""

from __future__ import annotations

import errno
import io
import os
import struct
import zlib
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms

from dgp_mining.images.paths import list_images
from dgp_mining.images.reader import ImageError, decode_image, image_size, read_image, read_rgb


def pixels(*shape: int, dtype: type = np.uint8) -> np.ndarray:
    return np.random.default_rng(len(shape)).integers(0, np.iinfo(dtype).max + 1, shape, dtype)


def as_float(values: np.ndarray) -> np.ndarray:
    scaled = values.astype(np.float32) / np.float32(np.iinfo(values.dtype).max)
    return scaled[..., None] if scaled.ndim == 2 else scaled


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a.png"


def test_rgb_and_grey_are_divided_by_255(path: Path) -> None:
    for values in (pixels(5, 7, 3), pixels(5, 7)):
        Image.fromarray(values).save(path)
        read = read_image(path)
        assert read.dtype == np.float32
        np.testing.assert_array_equal(read, as_float(values))


def test_read_rgb_repeats_grey(path: Path) -> None:
    values = pixels(5, 7)
    Image.fromarray(values).save(path)
    np.testing.assert_array_equal(read_rgb(path), np.repeat(as_float(values), 3, axis=2))


@pytest.mark.parametrize("channels", [None, 2, 3, 4])
def test_sixteen_bit_png_keeps_its_sixteen_bits(path: Path, channels: int | None) -> None:
    values = pixels(*((5, 7) if channels is None else (5, 7, channels)), dtype=np.uint16)
    path.write_bytes(imagecodecs.png_encode(values))
    without_alpha = values if channels in (None, 3) else values[..., :-1]
    np.testing.assert_array_equal(read_image(path), as_float(without_alpha))


def test_a_palette_becomes_its_colours(path: Path) -> None:
    indices, palette = pixels(5, 7) % 4, pixels(4, 3)
    image = Image.fromarray(indices)
    image.putpalette(palette.ravel().tolist())
    image.save(path)
    np.testing.assert_array_equal(read_image(path), as_float(palette[indices]))


def test_alpha_is_dropped_and_said(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    values = pixels(5, 7, 4)
    Image.fromarray(values).save(path)
    np.testing.assert_array_equal(read_image(path), as_float(values[..., :3]))
    assert "a.png: the alpha channel is dropped" in caplog.text


def test_cmyk_becomes_rgb(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    values = np.zeros((5, 7, 4), np.uint8)
    values[..., 1] = 255  # magenta
    Image.frombytes("CMYK", (7, 5), values.tobytes()).save(path)
    np.testing.assert_array_equal(read_image(path)[0, 0], [1, 0, 1])


@pytest.mark.parametrize("bits", [8, 16])
def test_an_icc_profile_is_converted_to_srgb(path: Path, bits: int) -> None:
    values = np.full((5, 7, 3), 128, np.uint8) if bits == 8 else np.full((5, 7, 3), 32896, np.uint16)
    linear = imagecodecs.cms_profile("rgb", primaries=_SRGB_PRIMARIES, whitepoint=_D65, gamma=1.0)
    if bits == 8:
        Image.fromarray(values).save(path, icc_profile=linear)
    else:
        path.write_bytes(_with_profile(imagecodecs.png_encode(values), linear))
    encoded = 1.055 * (128 / 255) ** (1 / 2.4) - 0.055  # the sRGB curve
    np.testing.assert_allclose(read_image(path), encoded, atol=1.5 / 255)


@pytest.mark.parametrize("bits", [8, 16])
def test_an_srgb_profile_changes_nothing(path: Path, bits: int) -> None:
    values = pixels(5, 7, 3, dtype=np.uint8 if bits == 8 else np.uint16)
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    path.write_bytes(_with_profile(imagecodecs.png_encode(values), profile))
    np.testing.assert_array_equal(read_image(path), as_float(values))


def test_a_linear_profile_is_converted_though_it_is_called_srgb(path: Path) -> None:
    linear = bytearray(imagecodecs.cms_profile("rgb", primaries=_SRGB_PRIMARIES, whitepoint=_D65, gamma=1.0))
    name = "RGB built-in".encode("utf-16-be")
    assert linear.count(name) == 1
    linear[linear.index(name) :][: len(name)] = name
    linear = linear.replace(name, "sRGB linear.".encode("utf-16-be"))
    assert "sRGB" in ImageCms.getProfileDescription(ImageCms.ImageCmsProfile(io.BytesIO(bytes(linear))))
    Image.new("RGB", (7, 5), (128, 128, 128)).save(path, icc_profile=bytes(linear))
    encoded = 1.055 * (128 / 255) ** (1 / 2.4) - 0.055
    np.testing.assert_allclose(read_image(path), encoded, atol=1.5 / 255)


def test_a_converted_profile_keeps_sixteen_bits(path: Path) -> None:
    """Neighbouring values of 16 bits stay apart: nothing has gone through 8 bits."""
    values = np.arange(20_000, 20_000 + 64 * 64 * 3, dtype=np.uint16).reshape(64, 64, 3)
    gamma = imagecodecs.cms_profile("rgb", primaries=_SRGB_PRIMARIES, whitepoint=_D65, gamma=1.8)
    path.write_bytes(_with_profile(imagecodecs.png_encode(values), gamma))
    assert len(np.unique(read_image(path)[..., 1])) > 0.9 * 64 * 64


def test_a_cmyk_profile_is_converted_to_srgb(tmp_path: Path) -> None:
    """A profile in which only ink K darkens, so that mistaking another ink for K would show."""
    path = tmp_path / "a.tif"
    inks = np.zeros((1, 3, 4), np.uint8)
    inks[0, :, 3] = (0, 255, 0)
    inks[0, 2, :3] = 255
    Image.frombytes("CMYK", (3, 1), inks.tobytes()).save(path, icc_profile=_only_k_darkens())
    np.testing.assert_allclose(read_image(path)[0], [[1, 1, 1], [0, 0, 0], [1, 1, 1]], atol=2 / 255)


def test_a_profile_for_other_pixels_is_ignored_and_said(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    values = pixels(5, 7)
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    Image.fromarray(values).save(path, icc_profile=profile)
    np.testing.assert_array_equal(read_image(path), as_float(values))
    assert "colour profile does not fit" in caplog.text


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["jpeg", "png", "png16", "tif", "tif16"])
def test_exif_orientation_is_applied_to_pixels_and_size(tmp_path: Path, orientation: int, kind: str) -> None:
    path = tmp_path / f"a.{kind[:4].rstrip('1')}"
    values = np.zeros((16, 32), np.uint16 if kind.endswith("16") else np.uint8)
    values[:8, :8] = np.iinfo(values.dtype).max  # the top left of what is stored
    exif = Image.Exif()
    exif[274] = orientation
    if kind == "png16":
        path.write_bytes(_with_exif(imagecodecs.png_encode(values), exif.tobytes()))
    elif kind == "tif16":
        tifffile.imwrite(path, values, extratags=[(274, "H", 1, orientation, True)])
    else:
        Image.fromarray(values).save(path, exif=exif)
    read = read_image(path)[..., 0]
    assert read.shape == image_size(path) == ((32, 16) if orientation >= 5 else (16, 32))
    # EXIF 2.3, tag 274: the side of the picture on which the stored first row, and first column, lie.
    right = orientation in (2, 3, 6, 7)
    bottom = orientation in (3, 4, 7, 8)
    corner = read[-8:] if bottom else read[:8]
    corner = corner[:, -8:] if right else corner[:, :8]
    assert corner.min() > 0.8
    assert read.sum() == pytest.approx(64, rel=0.1)


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_sixteen_bit_jpeg_2000_keeps_its_sixteen_bits(tmp_path: Path, channels: int) -> None:
    path = tmp_path / "a.jp2"
    values = pixels(16, 17, channels, dtype=np.uint16)
    path.write_bytes(imagecodecs.jpeg2k_encode(values.squeeze(), level=0))
    np.testing.assert_array_equal(read_image(path), as_float(values[..., :3]))
    assert image_size(path) == (16, 17)


@pytest.mark.parametrize("suffix", ["bmp", "webp", "jp2"])
def test_other_formats_are_read_as_they_are(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    values = pixels(16, 17, 3)
    Image.fromarray(values).save(path, **({"lossless": True} if suffix == "webp" else {}))
    np.testing.assert_array_equal(read_image(path), as_float(values))
    assert image_size(path) == (16, 17)


def test_of_an_animation_the_first_frame_is_read_and_said(tmp_path: Path) -> None:
    path = tmp_path / "a.webp"
    frames = [Image.fromarray(np.full((8, 8, 3), level, np.uint8)) for level in (10, 200)]
    frames[0].save(path, save_all=True, append_images=frames[1:], lossless=True)
    decoded = decode_image(path)
    np.testing.assert_array_equal(decoded.pixels, np.full((8, 8, 3), np.float32(10) / np.float32(255)))
    assert decoded.notes == ("the first of its 2 frames is read",)


def test_what_is_no_image_is_named_in_one_sentence(tmp_path: Path) -> None:
    text = tmp_path / "text.png"
    text.write_text("not an image")
    jpeg = tmp_path / "cut.jpg"
    Image.fromarray(pixels(64, 64, 3)).save(jpeg)
    jpeg.write_bytes(jpeg.read_bytes()[:1000])
    deep = tmp_path / "cut16.png"
    deep.write_bytes(imagecodecs.png_encode(pixels(64, 64, 3, dtype=np.uint16))[:1000])
    tiff = tmp_path / "cut.tif"
    tifffile.imwrite(tiff, pixels(64, 64, 5), photometric="minisblack", planarconfig="contig")
    tiff.write_bytes(tiff.read_bytes()[:1000])
    empty = tmp_path / "empty.png"
    empty.touch()
    for path in (text, jpeg, deep, tiff, empty, tmp_path / "missing.png", tmp_path):
        with pytest.raises(ImageError) as caught:
            read_image(path)
        assert str(path) in str(caught.value)
        assert "\n" not in str(caught.value)
    with pytest.raises(ImageError, match=r"text\.png is not an image"):
        image_size(text)


@pytest.mark.parametrize("side", [14_000, 60_000, 1_000_000])
def test_a_decompression_bomb_is_refused_without_being_decoded(path: Path, side: int) -> None:
    for depth in (8, 16):
        path.write_bytes(_png_header(side, side, depth))
        for read in (read_image, image_size):
            with pytest.raises(ImageError, match=r"a\.png has more than 178,956,970 pixels.*DGP_MAX_PIXELS"):
                read(path)


def test_the_limit_on_pixels_can_be_moved(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", Image.MAX_IMAGE_PIXELS)  # put back in the end
    path.write_bytes(_png_header(60_000, 60_000, 8))
    os.truncate(path, 12_000_000)  # fewer bytes cannot hold so many pixels
    monkeypatch.setenv("DGP_MAX_PIXELS", "3600000000")
    assert image_size(path) == (60_000, 60_000)
    monkeypatch.setenv("DGP_MAX_PIXELS", "100")
    Image.new("L", (11, 10)).save(path)
    with pytest.raises(ImageError, match="more than 100 pixels"):
        read_image(path)
    monkeypatch.setenv("DGP_MAX_PIXELS", "many")
    with pytest.raises(ImageError, match="DGP_MAX_PIXELS must be a number of pixels, got 'many'"):
        read_image(path)


def test_what_is_no_file_is_refused_and_blocks_nothing(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "device.png").symlink_to("/dev/zero")
    (tmp_path / "dangling.png").symlink_to(tmp_path / "nothing.png")
    (tmp_path / "loop.png").symlink_to(tmp_path / "loop.png")
    (tmp_path / "empty.png").touch()
    (tmp_path / "folder.png").mkdir()
    reasons = {
        "pipe": "is a pipe, a socket or a device, not a file",
        "device": "is a pipe, a socket or a device, not a file",
        "dangling": "is a link that leads nowhere",
        "loop": "is a link that leads back to itself",
        "empty": "is empty",
        "folder": "is a folder, not an image",
    }
    for name, reason in reasons.items():
        for read in (read_image, image_size):
            with pytest.raises(ImageError, match=rf"{name}\.png {reason}"):
                read(tmp_path / f"{name}.png")
    listed = [path.stem for path in list_images(tmp_path)]
    assert listed == ["dangling", "device", "empty", "loop", "pipe"]  # a folder may have any name


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_what_may_not_be_read_is_named(tmp_path: Path) -> None:
    Image.new("L", (8, 8)).save(tmp_path / "a.png")
    (tmp_path / "locked").mkdir()
    Image.new("L", (8, 8)).save(tmp_path / "locked/b.png")
    (tmp_path / "a.png").chmod(0)
    (tmp_path / "locked").chmod(0)
    try:
        listed = list_images(tmp_path)
        assert [path.name for path in listed] == ["a.png", "locked"]
        for path in listed:
            with pytest.raises(ImageError, match=rf"{path.name} may not be read: check its permissions"):
                image_size(path)
    finally:
        (tmp_path / "locked").chmod(0o700)


def test_a_fault_of_the_disk_is_not_blamed_on_the_image(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An ImageError is recorded for good, so a transient error must be raised as one that is retried."""
    Image.new("L", (8, 8)).save(path)

    def fail(*_: object, **__: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(Path, "open", fail)
    with pytest.raises(OSError, match=r"Input/output error.*a\.png"):
        read_image(path)


def test_the_size_is_read_from_the_header_alone(path: Path) -> None:
    path.write_bytes(_png_header(300, 200, 8) + bytes(1000))  # no pixels follow it
    assert image_size(path) == (200, 300)


_SRGB_PRIMARIES = [0.64, 0.33, 1.0, 0.30, 0.60, 1.0, 0.15, 0.06, 1.0]
_D65 = [0.3127, 0.3290, 1.0]


def _only_k_darkens() -> bytes:
    """A CMYK profile (ICC.1, 10.10: an 8-bit table, two points per ink): white, or black if K is full."""
    ramp = bytes(range(256))
    table = bytes(value for inks in range(16) for value in ((0 if inks & 1 else 255), 128, 128))
    identity = struct.pack(">9i", *(65536 * (i % 4 == 0) for i in range(9)))
    lut = b"mft1" + bytes(4) + bytes([4, 3, 2, 0]) + identity + ramp * 4 + table + ramp * 3
    size = 128 + 4 + 12 + len(lut)
    header = struct.pack(">I4sI4s4s4s", size, b"none", 0x02400000, b"prtr", b"CMYK", b"Lab ") + bytes(12)
    header += b"acsp" + bytes(28) + struct.pack(">3i", 63190, 65536, 54061)
    return header.ljust(128, b"\0") + struct.pack(">I4sII", 1, b"A2B0", 144, len(lut)) + lut


def _chunk(kind: bytes, data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")


def _png_header(width: int, height: int, depth: int) -> bytes:
    fields = width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes([depth, 2, 0, 0, 0])
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", fields) + _chunk(b"IDAT", b"")


def _with_exif(png: bytes, exif: bytes) -> bytes:
    return png[:33] + _chunk(b"eXIf", exif.removeprefix(b"Exif\0\0")) + png[33:]


def _with_profile(png: bytes, profile: bytes) -> bytes:
    return png[:33] + _chunk(b"iCCP", b"x\0\0" + zlib.compress(profile)) + png[33:]
