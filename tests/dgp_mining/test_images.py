"""Whatever is in an image file becomes the right sRGB floats, or one sentence that names it."""

from __future__ import annotations

import zlib
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms

from dgp_mining.images import ImageError, image_size, list_images, read_image, read_rgb


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


def test_an_srgb_profile_changes_nothing(path: Path) -> None:
    values = pixels(5, 7, 3)
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    Image.fromarray(values).save(path, icc_profile=profile)
    np.testing.assert_array_equal(read_image(path), as_float(values))


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


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("planar", [False, True])
def test_a_multispectral_tiff_keeps_its_channels(tmp_path: Path, dtype: type, planar: bool) -> None:
    path = tmp_path / "a.tif"
    values = pixels(16, 17, 5, dtype=dtype)
    stored = np.moveaxis(values, 2, 0) if planar else values
    tifffile.imwrite(path, stored, photometric="minisblack", planarconfig="separate" if planar else "contig")
    np.testing.assert_array_equal(read_image(path), as_float(values))
    assert image_size(path) == (16, 17)
    with pytest.raises(ImageError, match="5 channels"):
        read_rgb(path)


def test_a_sixteen_bit_rgba_tiff_loses_its_alpha_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    values = pixels(16, 17, 4, dtype=np.uint16)
    tifffile.imwrite(path, values, photometric="rgb", extrasamples=["unassalpha"])
    np.testing.assert_array_equal(read_image(path), as_float(values[..., :3]))


def test_floats_outside_zero_to_one_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.full((4, 4), 0.5, np.float32))
    np.testing.assert_array_equal(read_image(path), np.full((4, 4, 1), 0.5, np.float32))
    for bad in (1.5, np.nan):
        tifffile.imwrite(path, np.full((4, 4), bad, np.float32))
        with pytest.raises(ImageError, match=r"a\.tif holds float32"):
            read_image(path)


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
    with pytest.raises(ImageError, match=r"text\.png is not a PNG"):
        image_size(text)


def test_a_decompression_bomb_is_refused_without_being_decoded(path: Path) -> None:
    for depth in (8, 16):
        path.write_bytes(_png_header(60_000, 60_000, depth))
        for read in (read_image, image_size):
            with pytest.raises(ImageError, match=r"a\.png has more than 178,956,970 pixels"):
                read(path)


def test_the_size_is_read_from_the_header_alone(path: Path) -> None:
    path.write_bytes(_png_header(300, 200, 8))  # nothing follows it
    assert image_size(path) == (200, 300)


def test_listing_is_sorted_recursive_and_skips_hidden_and_other_files(tmp_path: Path) -> None:
    for name in ("b.PNG", "a/z.jpg", "a/.hidden.png", ".cache/x.png", "a.txt", "c.tiff"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert [p.relative_to(tmp_path).as_posix() for p in list_images(tmp_path)] == [
        "a/z.jpg",
        "b.PNG",
        "c.tiff",
    ]


def test_a_folder_without_images_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for folder, reason in (("none", "does not exist"), ("file", "not a folder"), (".", "holds no images")):
        with pytest.raises(ImageError, match=f"{reason}.*--images"):
            list_images(tmp_path / folder)


_SRGB_PRIMARIES = [0.64, 0.33, 1.0, 0.30, 0.60, 1.0, 0.15, 0.06, 1.0]
_D65 = [0.3127, 0.3290, 1.0]


def _chunk(kind: bytes, data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")


def _png_header(width: int, height: int, depth: int) -> bytes:
    fields = width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes([depth, 2, 0, 0, 0])
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", fields) + _chunk(b"IDAT", b"")


def _with_exif(png: bytes, exif: bytes) -> bytes:
    return png[:33] + _chunk(b"eXIf", exif.removeprefix(b"Exif\0\0")) + png[33:]


def _with_profile(png: bytes, profile: bytes) -> bytes:
    return png[:33] + _chunk(b"iCCP", b"x\0\0" + zlib.compress(profile)) + png[33:]
