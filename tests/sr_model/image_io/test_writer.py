"""Written images keep every bit and all metadata that their format can hold, and appear atomically."""

import logging
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import ExifTags, Image, ImageCms

from dgp_mining.images.reader import ImageError
from sr_model.image_io import tiff_writer, writer
from sr_model.image_io.metadata import Metadata
from sr_model.image_io.reader import read_source_image
from sr_model.image_io.writer import Target, check_target, format_of, write_image

PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def camera_exif() -> bytes:
    exif = Image.Exif()
    exif[ExifTags.Base.Make], exif[ExifTags.Base.Artist] = "Camera", "Zoë"
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.ExposureTime] = 0.01
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.ExifImageWidth] = 7
    exif.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitude] = (1.0, 2.0, 3.0)
    return exif.tobytes().removeprefix(b"Exif\0\0")


def pixels(channels: int, dtype: str, height: int = 300, width: int = 270) -> np.ndarray:
    values = np.random.default_rng(0).random((height, width, channels))
    return values.astype(dtype) if dtype == "float32" else (values * np.iinfo(dtype).max).astype(dtype)


def target(path: Path, image: np.ndarray, metadata: Metadata | None = None) -> Target:
    return Target(path, *image.shape, image.dtype, metadata or Metadata())


def bands(image: np.ndarray, *edges: int) -> Iterator[np.ndarray]:
    for first, end in zip((0, *edges), (*edges, len(image)), strict=True):
        yield image[first:end]


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize(
    ("name", "dtype"),
    [("a.png", "uint8"), ("a.png", "uint16"), ("a.tif", "uint8"), ("a.tiff", "uint16"), ("a.tif", "float32")],
)
def test_lossless_formats_give_every_value_back_however_it_is_cut(tmp_path, name, dtype, channels):
    image = pixels(channels, dtype)
    for edges in ((), (1, 2, 299), (256,)):
        write_image(target(tmp_path / name, image), bands(image, *edges))
        again = read_source_image(tmp_path / name).pixels
        assert again.dtype == image.dtype
        assert np.array_equal(again, image)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_other_decoders_agree(tmp_path):
    shallow, deep = pixels(4, "uint8"), pixels(3, "uint16")
    write_image(target(tmp_path / "8.png", shallow), bands(shallow, 100))
    write_image(target(tmp_path / "16.png", deep), bands(deep, 100))
    write_image(target(tmp_path / "8.tif", shallow), bands(shallow, 100))
    for name in ("8.png", "8.tif"):
        with Image.open(tmp_path / name) as opened:
            assert opened.mode == "RGBA"
            assert np.array_equal(opened, shallow)
    assert np.array_equal(imagecodecs.png_decode((tmp_path / "16.png").read_bytes()), deep)


def test_a_png_is_about_as_small_as_pillow_makes_it(tmp_path):
    random = np.random.default_rng(0)
    image = Image.fromarray(random.integers(0, 256, (60, 60, 3), np.uint8)).resize((600, 600), Image.BICUBIC)
    image.save(tmp_path / "pillow.png")
    array = np.asarray(image)
    write_image(target(tmp_path / "ours.png", array), bands(array))
    assert (tmp_path / "ours.png").stat().st_size < 1.1 * (tmp_path / "pillow.png").stat().st_size


@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.webp", "a.tif"])
def test_profile_exif_and_resolution_travel_with_the_pixels(tmp_path, monkeypatch, name, big):
    if big:
        monkeypatch.setattr(tiff_writer, "_CLASSIC_BYTES", 0)  # makes a BigTIFF of any image
    image = pixels(3, "uint8")
    write_image(
        target(tmp_path / name, image, Metadata(PROFILE, camera_exif(), (300.0, 150.0))), bands(image)
    )
    metadata = read_source_image(tmp_path / name).metadata
    assert metadata.profile == PROFILE
    if name != "a.webp":  # WebP has no other place for it than EXIF
        assert metadata.dpi == pytest.approx((300, 150), abs=0.02)  # PNG counts dots per metre
    if big and name == "a.tif":
        assert tifffile.TiffFile(tmp_path / name).is_bigtiff
        exif = tifffile.TiffFile(tmp_path / name).pages.first.tags
        assert exif["ExifTag"].value["PixelXDimension"] == image.shape[1]
        return
    with Image.open(tmp_path / name) as opened:
        exif = opened.getexif()
        details, place = exif.get_ifd(ExifTags.IFD.Exif), exif.get_ifd(ExifTags.IFD.GPSInfo)
    assert exif[ExifTags.Base.Make] == "Camera"
    assert details[ExifTags.Base.ExposureTime] == pytest.approx(0.01)
    assert details[ExifTags.Base.ExifImageWidth] == image.shape[1], "the size is the new one"
    assert place[ExifTags.GPS.GPSLatitude] == (1.0, 2.0, 3.0)


def test_what_a_format_cannot_keep_is_said_in_one_line(tmp_path, caplog):
    caplog.set_level(logging.WARNING)
    deep = Target(tmp_path / "a.jpg", 4, 4, 4, np.dtype("uint16"), Metadata())
    check_target(deep, 10**9)
    (line,) = caplog.messages
    assert line.endswith(
        "a.jpg: JPEG keeps no transparency, so the image is laid on white, and no more than 8 bits per value"
    )
    check_target(Target(tmp_path / "a.png", 4, 4, 4, np.dtype("uint16"), Metadata()), 10**9)
    assert len(caplog.messages) == 1
    assert deep.written_dtype == np.uint8


def test_transparency_is_laid_on_white_where_there_is_none(tmp_path):
    image = np.zeros((8, 8, 4), np.uint8)
    image[:4, :, 3] = 255
    write_image(target(tmp_path / "a.jpg", image), bands(image))
    opened = np.asarray(Image.open(tmp_path / "a.jpg"))
    assert opened[0, 0].tolist() == [0, 0, 0]
    assert opened[7, 0].tolist() == [255, 255, 255]


def test_quality_is_that_of_the_format(tmp_path):
    image = pixels(3, "uint8")
    for name in ("a.jpg", "a.webp"):
        sizes = []
        for quality in (10, 95):
            write_image(Target(tmp_path / name, *image.shape, image.dtype, Metadata(), quality), bands(image))
            sizes.append((tmp_path / name).stat().st_size)
        assert 2 * sizes[0] < sizes[1]


def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path):
    (tmp_path / "a.png").write_text("old")

    def broken() -> Iterator[np.ndarray]:
        yield np.zeros((2, 4, 3), np.uint8)
        raise MemoryError

    with pytest.raises(MemoryError):
        write_image(Target(tmp_path / "a.png", 4, 4, 3, np.dtype("uint8"), Metadata()), broken())
    assert (tmp_path / "a.png").read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 1


def test_a_full_disk_is_one_sentence(tmp_path, monkeypatch):
    def full(*arguments) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(writer, "write_png", full)
    with pytest.raises(ImageError, match=r"a\.png cannot be written \(No space left on device\)"):
        write_image(Target(tmp_path / "a.png", 4, 4, 3, np.dtype("uint8"), Metadata()), iter(()))


@pytest.mark.parametrize(
    ("name", "size", "mentions"),
    [
        ("a.webp", (20_000, 10), r"16,383 a side: ask for fewer, or write TIFF"),
        ("a.jpg", (60_000, 60_000), r"21\.6 GB of memory.*write TIFF or PNG"),
        ("a.tif", (10_000_000, 10_000_000), r"300,000\.0 GB of disk"),
        (
            "a.xyz",
            (4, 4),
            r"does not end in the suffix of .* be written: end it in \.png, \.jpg, \.webp, \.tif",
        ),
    ],
)
def test_what_cannot_be_written_says_what_it_would_take(tmp_path, name, size, mentions):
    with pytest.raises(ImageError, match=mentions):
        check_target(Target(tmp_path / name, *size, 3, np.dtype("uint8"), Metadata()), 10**9)


def test_a_small_disk_that_is_full_has_sizes_other_than_nought(tmp_path, monkeypatch):
    monkeypatch.setattr(writer.shutil, "disk_usage", lambda folder: SimpleNamespace(free=1_000_000))
    with pytest.raises(ImageError, match=r"up to 4\.\d MB of disk, of which 1\.0 MB are free"):
        check_target(Target(tmp_path / "a.png", 1024, 1536, 3, np.dtype("uint8"), Metadata()), 10**9)


def test_endings_tell_the_format_in_any_case():
    assert [format_of(Path(name)).name for name in ("a.JPEG", "b.tif", "c.WebP")] == ["JPEG", "TIFF", "WebP"]
