"""What an image is taken for is said in words that a user can check."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from PIL import Image, ImageCms

from dgp_mining.images.encoding import LINEAR, Encoding
from dgp_mining.images.image_file import Alpha, ImageFile, Levels, Model, Samples, full_range
from dgp_mining.images.kinds import colours_in_words, encoding_in_words, kind_of, levels_in_words, white_of
from dgp_mining.images.reading import AS_STORED, Reading


def image(**facts: object) -> ImageFile:
    about = {"path": Path("a"), "format": "TIFF", "height": 1, "width": 1, "model": Model.GREY, "channels": 1}
    return ImageFile(**{**about, "bits": 16, "decode": lambda: Samples(np.zeros((1, 1, 1))), **facts})


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({}, "16-bit grey TIFF"),
        ({"floating": True, "bits": 32}, "32-bit float grey TIFF"),
        ({"model": Model.CHANNELS, "channels": 4}, "16-bit 4-channel TIFF"),
        ({"model": Model.CMYK, "channels": 4, "alpha": Alpha.ASSOCIATED}, "16-bit CMYK TIFF with alpha"),
    ],
)
def test_kinds(facts: dict[str, object], words: str) -> None:
    assert kind_of(image(**facts)) == words


@pytest.mark.parametrize(
    ("levels", "reading", "words"),
    [
        (full_range(12), AS_STORED, "white is 4,095"),
        (Levels(65_535, 0), AS_STORED, "black is 65,535, white is 0"),
        (Levels(-128, 127), AS_STORED, "black is -128, white is 127"),
        (Levels(0, (1.5, 2.0)), AS_STORED, "white is 1.5 to 2"),
        (Levels(0, 1, "tone"), AS_STORED, "white is 1, and what is brighter is white too"),
        (
            Levels(0, 1, "tone"),
            Reading(tone="reinhard"),
            "white is 1, and what is brighter is mapped by reinhard",
        ),
        (None, AS_STORED, "the value of white is unknown"),
    ],
)
def test_levels(levels: Levels | None, reading: Reading, words: str) -> None:
    assert levels_in_words(image(levels=levels), reading) == words


def test_levels_are_those_of_colours_not_of_alpha() -> None:
    grey = image(alpha=Alpha.STRAIGHT, levels=Levels((255, 0), (0, 255)))
    assert (levels_in_words(grey), white_of(grey)) == ("black is 255, white is 0", 0)
    lab = image(model=Model.LAB, channels=3, levels=Levels((0, -128, -128), (100, 127, 127)))
    assert (levels_in_words(lab), white_of(lab)) == ("white is 100", 100)
    assert colours_in_words(lab) == "Lab of D50"


def test_levels_of_inks_are_named_as_such() -> None:
    inks = image(model=Model.CMYK, channels=4, levels=full_range(8), bits=8)
    assert (levels_in_words(inks), white_of(inks)) == ("full ink is 255", 0)
    assert colours_in_words(inks) == "inks without a profile"
    reversed_ = replace(inks, levels=Levels(4095, 0))
    assert (levels_in_words(reversed_), white_of(reversed_)) == ("no ink is 4,095, full ink is 0", 4095)


def test_where_the_pixels_decide_the_reader_of_the_format_says_how() -> None:
    file = image(levels=full_range(16), levels_by_pixels="white is 65,535, or 4,095")
    assert (levels_in_words(file), white_of(file)) == ("white is 65,535, or 4,095", None)
    chosen = replace(file, levels=Levels(0, 9), levels_chosen=True)
    assert (levels_in_words(chosen), white_of(chosen)) == ("white is 9 (as you chose)", 9)


def test_levels_that_the_user_chose_are_named_as_such() -> None:
    assert (
        levels_in_words(image(levels=Levels(0, 10_000), levels_chosen=True))
        == "white is 10,000 (as you chose)"
    )


def test_bits_that_a_decoder_scales_up_are_named_as_stored() -> None:
    file = image(bits=4, levels=full_range(8))
    assert (levels_in_words(file), white_of(file)) == ("white is 15", 15)


def test_encodings() -> None:
    wide = (0.3127, 0.3290, 0.708, 0.292, 0.170, 0.797, 0.131, 0.046)
    assert encoding_in_words(Encoding()) == encoding_in_words(Encoding(said_by="its sRGB chunk")) == "sRGB"
    assert encoding_in_words(LINEAR) == "linear light by its format"
    said = encoding_in_words(Encoding(transfer="pq", primaries=wide, said_by="its cICP chunk"))
    assert said == "PQ with other primaries by its cICP chunk"
    assert colours_in_words(image(model=Model.CHANNELS, channels=5)) == "bands as they are"


@pytest.mark.parametrize(
    "profile",
    [ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes(), imagecodecs.cms_profile("srgb")],
)
def test_a_profile_is_named_as_pillow_names_it(profile: bytes) -> None:
    name = ImageCms.getProfileDescription(ImageCms.getOpenProfile(BytesIO(profile))).strip()
    assert encoding_in_words(Encoding(profile)) == f"ICC profile {name}"


@pytest.mark.parametrize("profile", [b"", b"x" * 131, bytes(128) + b"\xff\xff\xff\xffdesc" + b"\xff" * 8])
def test_a_damaged_profile_has_no_name(profile: bytes) -> None:
    assert encoding_in_words(Encoding(profile)) == "ICC profile"


def test_a_profile_of_version_2_is_named_too() -> None:
    path = Path(__file__).resolve().parents[3] / "data/samples/mining"
    profiles = [
        Image.open(file).info.get("icc_profile")
        for file in sorted(path.iterdir())
        if file.suffix in (".jpg", ".png")
    ]
    names = {encoding_in_words(Encoding(profile)) for profile in profiles if profile}
    assert "ICC profile Adobe RGB (1998)" in names
