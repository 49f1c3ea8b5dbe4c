"""Metadata lose only what described the old pixels."""

import pytest
from PIL import ExifTags, Image, ImageCms

from dgp_mining.images.attachments import resolution
from sr_model.image_io.metadata import Metadata, portable_exif, profile_fits

MAKE, ORIENTATION, WIDTH = ExifTags.Base.Make, ExifTags.Base.Orientation, ExifTags.Base.ExifImageWidth


def test_exif_keeps_the_camera_and_loses_the_layout_of_the_pixels():
    exif = Image.Exif()
    exif[MAKE], exif[ORIENTATION] = "Camera", 6
    kept = Image.Exif()
    kept.load(portable_exif(exif))
    assert dict(kept) == {MAKE: "Camera"}
    layout = Image.Exif()
    layout[ORIENTATION] = 6
    assert portable_exif(layout) is None


def test_exif_states_the_size_of_the_new_image_if_it_stated_that_of_the_old_one():
    exif = Image.Exif()
    exif[MAKE] = "Camera"
    assert WIDTH not in Metadata(exif=portable_exif(exif)).sized_exif(30, 20).get_ifd(ExifTags.IFD.Exif)
    exif.get_ifd(ExifTags.IFD.Exif)[WIDTH] = 7
    assert Metadata(exif=portable_exif(exif)).sized_exif(30, 20).get_ifd(ExifTags.IFD.Exif)[WIDTH] == 30
    assert Metadata().sized_exif(30, 20) is None


@pytest.mark.parametrize(
    ("info", "unit", "dpi"),
    [({}, 2, (300, 150)), ({}, 3, (762, 381)), ({"dpi": (72, 72)}, 2, (72, 72)), ({}, 1, None)],
)
def test_resolution_is_in_dots_per_inch(info, unit, dpi):
    exif = Image.Exif()
    exif[ExifTags.Base.ResolutionUnit] = unit
    exif[ExifTags.Base.XResolution], exif[ExifTags.Base.YResolution] = 300.0, 150.0
    assert resolution(info, exif) == (None if dpi is None else pytest.approx(dpi))


@pytest.mark.parametrize("dpi", [(0, 72), (1e7, 72)])
def test_a_damaged_resolution_is_left_out(dpi):
    assert resolution({"dpi": dpi}, Image.Exif()) is None


def test_a_profile_fits_pixels_of_its_own_colour_space_only():
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert profile_fits(srgb, 3)
    assert not profile_fits(srgb, 1)
    assert profile_fits(srgb.replace(b"RGB ", b"GRAY"), 1)
