"""Reading gives the pixels as they are stored, upright, and their metadata."""

import logging
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import ExifTags, Image, ImageCms

from dgp_mining.images.formats.jpeg import says_adobe_rgb
from dgp_mining.images.reader import ImageError
from sr_model.image_io.reader import images_in, read_eight_bits, read_source_image


def noise(*shape: int, dtype: type = np.uint8) -> np.ndarray:
    return np.random.default_rng(0).integers(0, np.iinfo(dtype).max + 1, shape, dtype)


def adobe_like() -> bytes:
    """The profile of another colour space than sRGB."""
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes().replace(b"sRGB", b"mine")


STORED = {
    1: lambda upright: upright,
    2: lambda upright: upright[:, ::-1],
    3: lambda upright: upright[::-1, ::-1],
    4: lambda upright: upright[::-1],
    5: lambda upright: upright.swapaxes(0, 1),
    6: lambda upright: np.rot90(upright),
    7: lambda upright: np.rot90(upright, 2).swapaxes(0, 1),
    8: lambda upright: np.rot90(upright, -1),
}
"""By EXIF orientation: how the rows and columns of an upright image are stored (EXIF 2.3, 4.6.4)."""


@pytest.mark.parametrize(("mode", "channels"), [("L", 1), ("LA", 2), ("RGB", 3), ("RGBA", 4)])
@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_eight_bits_are_read_as_they_are(tmp_path, suffix, mode, channels):
    image = noise(9, 7, channels)
    Image.fromarray(image.squeeze(), mode).save(tmp_path / f"a{suffix}")
    assert np.array_equal(read_source_image(tmp_path / f"a{suffix}").pixels, image)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_sixteen_bits_are_read_as_they_are(tmp_path, channels):
    image = noise(9, 7, channels, dtype=np.uint16)
    (tmp_path / "a.png").write_bytes(imagecodecs.png_encode(image.squeeze()))
    extra = ["unassalpha"] if channels in (2, 4) else None
    kind = "rgb" if channels > 2 else "minisblack"
    planar = "contig" if channels > 1 else None
    tifffile.imwrite(
        tmp_path / "a.tif", image.squeeze(), photometric=kind, planarconfig=planar, extrasamples=extra
    )
    for name in ("a.png", "a.tif"):
        assert np.array_equal(read_source_image(tmp_path / name).pixels, image), name


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("name", ["a.png", "a.jpg", "deep.png", "a.tif", "deep.tif"])
def test_every_orientation_is_applied_and_then_gone(tmp_path, name, orientation):
    upright = np.zeros((8, 16, 3), np.uint8)
    upright[:, :8] = 200  # left half bright
    upright[:4] += 50  # upper half brighter
    stored = np.ascontiguousarray(STORED[orientation](upright))
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation], exif[ExifTags.Base.Make] = orientation, "Camera"
    path = tmp_path / name
    if name == "deep.png":
        Image.fromarray(stored).save(path, exif=exif)
        chunks = path.read_bytes()
        start = chunks.index(b"eXIf") - 4
        exif_chunk = chunks[start : start + 12 + int.from_bytes(chunks[start : start + 4])]
        deep = imagecodecs.png_encode(stored.astype(np.uint16) * 257)
        path.write_bytes(deep[:33] + exif_chunk + deep[33:])
    elif name.endswith(".tif"):
        values = stored.astype(np.uint16) * 257 if name == "deep.tif" else stored
        tags = [(274, "H", 1, orientation, True), (271, "s", 0, "Camera", True)]
        tifffile.imwrite(path, values, photometric="rgb", extratags=tags)
    else:
        Image.fromarray(stored).save(path, exif=exif, **({"quality": 100} if name == "a.jpg" else {}))
    picture = read_source_image(path)
    levels = picture.pixels.astype(float) / np.iinfo(picture.pixels.dtype).max * 255
    assert levels == pytest.approx(upright.astype(float), abs=8 if name == "a.jpg" else 0.01)
    kept = Image.Exif()
    kept.load(picture.metadata.exif)
    assert kept[ExifTags.Base.Make] == "Camera"
    assert ExifTags.Base.Orientation not in kept


@pytest.mark.parametrize("orientation", [2, 3, 4])
def test_palette_tiff_is_turned_once(tmp_path, orientation):
    image = Image.fromarray(noise(9, 7, 3)).quantize(8)
    image.save(tmp_path / "a.tif", tiffinfo={274: orientation})
    expected = STORED[orientation](np.asarray(image.convert("RGB")))  # these are their own inverses
    assert np.array_equal(read_source_image(tmp_path / "a.tif").pixels, expected)


def test_what_is_not_read_of_a_scientific_format_is_said(tmp_path, caplog):
    (tmp_path / "a.hdr").write_bytes(
        b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\nEXPOSURE=1\n\n-Y 8 +X 9\n" + bytes([90, 80, 70, 128]) * 72
    )
    picture = read_source_image(tmp_path / "a.hdr")
    assert picture.pixels[0, 0] == pytest.approx(np.array([90, 80, 70]) / 256, abs=0.01)  # 2^(128 - 136)
    assert picture.metadata.encoding.transfer == "linear"
    assert "a.hdr: of what Radiance HDR holds, only the pixels are kept" in caplog.text


def test_damaged_exif_costs_no_more_than_itself(tmp_path, caplog):
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = "Camera"
    damaged = bytearray(exif.tobytes())
    damaged[damaged.index(b"\x01\x0f") + 3] = 11  # a text tag whose declared type is float
    image = Image.fromarray(noise(9, 7, 3))
    image.save(tmp_path / "a.webp", lossless=True, exif=bytes(damaged) + bytes(30))
    assert np.array_equal(read_source_image(tmp_path / "a.webp").pixels, np.asarray(image))
    assert "a.webp: its EXIF is damaged and is dropped" in caplog.text


def test_palettes_keep_their_transparency(tmp_path):
    image = Image.fromarray(noise(9, 7, 3)).quantize(8)
    image.save(tmp_path / "plain.png")
    image.save(tmp_path / "clear.png", transparency=3)
    assert read_source_image(tmp_path / "plain.png").pixels.shape == (9, 7, 3)
    clear = read_source_image(tmp_path / "clear.png").pixels
    assert np.array_equal(clear[..., 3] == 0, np.asarray(image) == 3)


def test_a_transparent_colour_becomes_alpha(tmp_path):
    grey = noise(9, 7, 1) // 64
    Image.fromarray(grey.squeeze()).save(tmp_path / "a.png", transparency=2)
    assert np.array_equal(read_source_image(tmp_path / "a.png").pixels[..., 1] == 0, grey[..., 0] == 2)


def test_multiplied_alpha_is_divided_out(tmp_path):
    straight = noise(9, 7, 4, dtype=np.uint16)
    straight[0, :, 3] = 0
    multiplied = straight.copy()
    multiplied[..., :3] = straight[..., :3].astype(float) * straight[..., 3:] / 65535 + 0.5
    tifffile.imwrite(tmp_path / "a.tif", multiplied, photometric="rgb", extrasamples=["assocalpha"])
    pixels = read_source_image(tmp_path / "a.tif").pixels
    opaque = straight[..., 3] > 6000
    assert np.abs(pixels[opaque].astype(int) - straight[opaque]).max() <= 12  # 16 bits times 1/11
    assert not pixels[0].any()


def test_colours_stay_in_their_own_profile(tmp_path):
    image, profile = noise(9, 7, 3), adobe_like()
    Image.fromarray(image).save(tmp_path / "a.png", icc_profile=profile)
    picture = read_source_image(tmp_path / "a.png")
    assert np.array_equal(picture.pixels, image)
    assert picture.metadata.profile == profile


@pytest.mark.parametrize("name", ["a.webp", "a.png", "a.jpg"])
def test_exif_says_of_colours_what_was_read(tmp_path, name):
    """PNG and WebP are sRGB whatever their EXIF says; in the EXIF of a JPEG it would count (DCF 2.0)."""
    exif = Image.Exif()
    exif[0x010F] = "a maker"
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.ColorSpace] = 0xFFFF
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.IFD.Interop] = {1: "R03"}
    Image.new("RGB", (8, 8), (60, 180, 60)).save(tmp_path / name, exif=exif)
    metadata = read_source_image(tmp_path / name).metadata
    assert metadata.exif is not None
    assert b"a maker" in metadata.exif
    assert says_adobe_rgb(metadata.exif) == (not metadata.encoding.is_srgb) == (name == "a.jpg")


def test_a_profile_of_other_channels_is_dropped_and_said(tmp_path, caplog):
    Image.fromarray(noise(9, 7)).save(tmp_path / "a.png", icc_profile=adobe_like())
    assert read_source_image(tmp_path / "a.png").metadata.profile is None
    assert "a.png" in caplog.text


def test_cmyk_becomes_srgb_and_says_so(tmp_path, caplog):
    caplog.set_level(logging.WARNING)
    Image.new("CMYK", (5, 4), (255, 0, 0, 0)).save(tmp_path / "a.jpg", dpi=(72, 72))
    picture = read_source_image(tmp_path / "a.jpg")
    assert picture.pixels.shape == (4, 5, 3)
    assert picture.pixels[0, 0, 0] < 40
    assert picture.metadata.dpi == (72, 72)
    assert "converted to sRGB" in caplog.text


def test_jpeg_2000_keeps_sixteen_bits(tmp_path):
    image = noise(32, 40, 3, dtype=np.uint16)
    (tmp_path / "a.jp2").write_bytes(imagecodecs.jpeg2k_encode(image, level=0))
    assert np.array_equal(read_source_image(tmp_path / "a.jp2").pixels, image)


@pytest.mark.parametrize(
    ("value", "mentions"),
    [(np.nan, "not finite"), (np.inf, "not finite"), (1.5, r"scale them into \[0, 1\]")],
)
def test_floats_without_meaning_are_refused(tmp_path, value, mentions):
    image = np.full((4, 4, 3), 0.5, np.float32)
    image[1, 2, 0] = value
    tifffile.imwrite(tmp_path / "a.tif", image, photometric="rgb")
    with pytest.raises(ImageError, match=rf"a\.tif .*{mentions}"):
        read_source_image(tmp_path / "a.tif")


def test_what_is_no_picture_is_named(tmp_path):
    (tmp_path / "text.png").write_text("text")
    Image.fromarray(noise(40, 40, 3)).save(tmp_path / "cut.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "cut.png").read_bytes()[:1000])
    tifffile.imwrite(tmp_path / "bands.tif", noise(4, 4, 6), photometric="minisblack", planarconfig="contig")
    tifffile.imwrite(tmp_path / "whole.tif", np.zeros((4, 4), np.int32))
    for name in ("text.png", "cut.png", "bands.tif", "whole.tif", "missing.png"):
        with pytest.raises(ImageError, match=name):
            read_source_image(tmp_path / name)


def test_a_folder_without_images_names_the_argument(tmp_path: Path):
    for folder in (tmp_path, tmp_path / "missing"):
        with pytest.raises(ImageError, match=rf"{folder.name}.*images="):
            images_in(folder, "images=")


def test_the_range_that_only_pixels_show_is_said_and_so_are_pixels_without_data(tmp_path, caplog):
    fits = pytest.importorskip("astropy.io.fits")
    caplog.set_level(logging.WARNING)
    values = np.float32([[1, 2], [3, 5]])
    fits.PrimaryHDU(values).writeto(tmp_path / "a.fits")
    read_source_image(tmp_path / "a.fits")
    assert "its values 1 to 5 become 0 to 1" in caplog.text
    assert "without data" not in caplog.text
    values[0, 0] = np.nan
    fits.PrimaryHDU(values).writeto(tmp_path / "b.fits")
    read_source_image(tmp_path / "b.fits")
    assert "pixels without data are upscaled as black" in caplog.text


def test_where_nothing_can_be_chosen_no_choice_is_advised(tmp_path):
    tifffile.imwrite(tmp_path / "whole.tif", np.zeros((4, 4), np.int32))
    with pytest.raises(ImageError, match=r"white is unknown: convert it to 8 bits"):
        read_eight_bits(tmp_path / "whole.tif")
    tifffile.imwrite(tmp_path / "floats.tif", np.full((4, 4), 9, np.float32))
    with pytest.raises(ImageError, match=r"scale them into \[0, 1\]\.$"):
        read_eight_bits(tmp_path / "floats.tif")


def test_eight_bits_are_srgb_and_grey_is_repeated(tmp_path):
    pixels = noise(4, 5)
    tifffile.imwrite(tmp_path / "grey.tif", pixels.astype(np.uint16) * 257)
    np.testing.assert_array_equal(read_eight_bits(tmp_path / "grey.tif"), np.stack([pixels] * 3, axis=2))


def test_exif_that_pillow_does_not_read_is_not_called_damaged(tmp_path, caplog):
    caplog.set_level(logging.WARNING)
    tifffile.imwrite(tmp_path / "a.tif", noise(4, 4), bigtiff=True, byteorder=">")
    assert read_source_image(tmp_path / "a.tif").metadata.exif is None
    assert "its EXIF, if it has any, is not read from a big-endian BigTIFF and is dropped" in caplog.text
