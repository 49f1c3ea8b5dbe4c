"""Colours of every model, depth and encoding become the right sRGB."""

from __future__ import annotations

import io

import imagecodecs
import numpy as np
import pytest
from PIL import Image, ImageCms

from dgp_mining.images.colour import profile_of, to_srgb
from dgp_mining.images.encoding import LINEAR, SRGB, Encoding
from dgp_mining.images.h273 import PRIMARIES
from dgp_mining.images.image_file import Model

DTYPES = (np.uint8, np.uint16, np.float32)
ADOBE = Encoding(transfer=2.19921875, primaries=(0.3127, 0.3290, 0.64, 0.33, 0.21, 0.71, 0.15, 0.06))


def stored(colours: list[list[float]], dtype: type) -> np.ndarray:
    """Colours in [0, 255] as [1, N, C] of a type."""
    values = np.array([colours]) / 255
    return (
        values.astype(dtype) if dtype == np.float32 else (values * np.iinfo(dtype).max).round().astype(dtype)
    )


def converted(
    colours: list[list[float]], dtype: type, model: Model, encoding: Encoding
) -> tuple[np.ndarray, list[str]]:
    """What `to_srgb` makes of colours in [0, 255], in [0, 255], and its notes."""
    notes: list[str] = []
    pixels = stored(colours, dtype)
    rgb = to_srgb(pixels, model, encoding, notes.append)
    assert rgb.dtype == dtype
    assert rgb.shape == (1, len(colours), 1 if model == Model.GREY else 3)
    return rgb[0] / (1 if dtype == np.float32 else np.iinfo(dtype).max) * 255, notes


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_grey_profile_keeps_grey_one_channel(dtype: type) -> None:
    profile = Encoding(imagecodecs.cms_profile("gray", gamma=1.0))
    rgb, notes = converted([[0], [64], [255]], dtype, Model.GREY, profile)
    np.testing.assert_allclose(rgb[:, 0], [0, 137.2, 255], atol=0.6)
    assert notes == []


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "encoding", [Encoding(imagecodecs.cms_profile("adobergb")), ADOBE], ids=["icc", "own"]
)
def test_adobe_rgb_is_converted_alike_in_every_type(dtype: type, encoding: Encoding) -> None:
    """The matrix is that of Adobe RGB (1998), 4.3.6.1: R = 1.39836 r - 0.39836 g, for instance."""
    rgb, notes = converted([[60, 180, 60], [128, 128, 128], [150, 120, 100]], dtype, Model.RGB, encoding)
    np.testing.assert_allclose(rgb, [[0, 181.5, 42.2], [129, 129, 129], [161.6, 120.8, 99.1]], atol=1.1)
    assert notes[-1] == "its colours outside sRGB are clipped"


@pytest.mark.parametrize("dtype", DTYPES)
def test_profiles_agree_with_pillow(dtype: type) -> None:
    """Pillow converts 8 bits with Little CMS as well, but by another way through it."""
    profile = profile_of(Encoding(transfer=1.8, primaries=PRIMARIES[12]))
    assert profile is not None
    values = np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)
    expected = ImageCms.profileToProfile(
        Image.fromarray(values), ImageCms.ImageCmsProfile(io.BytesIO(profile)), ImageCms.createProfile("sRGB")
    )
    rgb, _ = converted(values.reshape(-1, 3).tolist(), dtype, Model.RGB, Encoding(profile))
    np.testing.assert_allclose(rgb, np.asarray(expected).reshape(-1, 3), atol=1.6)


@pytest.mark.parametrize("dtype", DTYPES)
def test_lab_is_converted(dtype: type) -> None:
    """L* 50 is the sRGB grey 118.9 (CIE 15: Y = 0.1842); (87.82, -79.27, 80.99) is green."""
    colours = [[127.5, 128, 128], [255, 128, 128], [0, 128, 128], [87.82 * 2.55, 128 - 79.27, 128 + 80.99]]
    rgb, _ = converted(colours, dtype, Model.LAB, SRGB)
    np.testing.assert_allclose(rgb[:3], [[118.9] * 3, [255] * 3, [0] * 3], atol=0.7)
    np.testing.assert_allclose(rgb[3], [0, 255, 0], atol=10 if dtype == np.uint8 else 3)


def test_a_lab_profile_fits_lab_and_nothing_else() -> None:
    lab = Encoding(imagecodecs.cms_profile("lab4"))
    assert converted([[127.5, 128, 128]], np.uint16, Model.LAB, lab)[0].round().tolist() == [[119] * 3]
    rgb, notes = converted([[10, 20, 30]], np.uint8, Model.RGB, lab)
    assert rgb.tolist() == [[10, 20, 30]]
    assert notes == ["its colour profile does not fit its pixels and is ignored"]


@pytest.mark.parametrize("dtype", DTYPES)
def test_inks_without_a_profile_absorb_one_after_the_other(dtype: type) -> None:
    rgb, notes = converted([[0, 0, 0, 0], [255, 0, 0, 0], [0, 102, 0, 51]], dtype, Model.CMYK, SRGB)
    np.testing.assert_allclose(rgb, [[255] * 3, [0, 255, 255], [204, 122.4, 204]], atol=0.51)
    assert notes == []


@pytest.mark.parametrize("dtype", DTYPES)
def test_srgb_by_whatever_name_leaves_every_bit(dtype: type) -> None:
    values = stored(np.random.default_rng(0).uniform(0, 255, (50, 3)).tolist(), dtype)
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    slightly_off = Encoding(primaries=(0.3127, 0.3291, 0.6405, 0.3302, 0.3, 0.6, 0.1499, 0.06))
    for encoding in (SRGB, Encoding(profile), Encoding(profile_of(SRGB)), slightly_off):
        notes: list[str] = []
        assert to_srgb(values, Model.RGB, encoding, notes.append) is values
        assert notes == []


def test_bt709_is_the_inverse_of_its_camera_curve() -> None:
    """ITU-R BT.709-6, 1.2: V = 1.099 L^0.45 - 0.099, so that V = 0.5 is L = 0.2598."""
    rgb, notes = converted(
        [[127.5] * 3], np.float32, Model.RGB, Encoding(transfer="bt709", said_by="its nclx box")
    )
    light = ((0.5 + 0.099) / 1.099) ** (1 / 0.45)
    np.testing.assert_allclose(rgb, 255 * (1.055 * light ** (1 / 2.4) - 0.055), atol=0.1)
    assert notes == ["its nclx box says the transfer function of BT.709: converted to sRGB"]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("transfer", ["pq", "hlg"])
def test_grey_and_neutral_rgb_of_high_dynamic_range_agree(dtype: type, transfer: str) -> None:
    encoding = Encoding(transfer=transfer, primaries=PRIMARIES[9])
    levels = [20.0, 90.0, 140.0]
    grey, _ = converted([[level] for level in levels], dtype, Model.GREY, encoding)
    rgb, _ = converted([[level] * 3 for level in levels], dtype, Model.RGB, encoding)
    np.testing.assert_allclose(rgb, np.repeat(grey, 3, axis=1), atol=0.51)


def test_a_profile_is_made_of_every_encoding_but_high_dynamic_range() -> None:
    for encoding in (
        SRGB,
        LINEAR,
        ADOBE,
        Encoding(transfer="bt709"),
        Encoding(transfer="dci", primaries=PRIMARIES[11]),
    ):
        for channels, mode in ((1, "L"), (3, "RGB")):
            profile = profile_of(encoding, channels)
            assert profile is not None
            assert profile == profile_of(encoding, channels)
            read = ImageCms.ImageCmsProfile(io.BytesIO(profile)).profile
            assert read.xcolor_space.strip() == {"L": "GRAY", "RGB": "RGB"}[mode]
    assert profile_of(Encoding(transfer="pq")) is None
    assert profile_of(Encoding(primaries=(0.3127, 0.329, 0.3, 0.3, 0.3, 0.3, 0.3, 0.3))) is None


@pytest.mark.parametrize("primaries", sorted(PRIMARIES))
def test_made_profiles_have_the_primaries_that_little_cms_would_give_them(primaries: int) -> None:
    points = PRIMARIES[primaries]
    theirs = imagecodecs.cms_profile("rgb", whitepoint=points[:2], primaries=points[2:], gamma=2.2)
    ours = profile_of(Encoding(transfer=2.2, primaries=points))
    assert ours is not None
    colours = np.random.default_rng(0).uniform(0, 255, (50, 3)).tolist()
    one, other = (
        converted(colours, np.float32, Model.RGB, Encoding(profile))[0] for profile in (ours, theirs)
    )
    np.testing.assert_allclose(one, other, atol=0.05)
