"""Sizes and scales follow from each other, rounded to whole pixels."""

from __future__ import annotations

import pytest

from sr_model.scaling import check_size, complete_size, scale_between, scaled


def test_the_side_that_is_left_out_follows_from_the_aspect_ratio() -> None:
    assert complete_size((1080, 1920), (10, 10)) == (1080, 1920)
    assert complete_size((None, 1920), (400, 600)) == (1280, 1920)
    assert complete_size((1080, None), (400, 600)) == (1080, 1620)
    assert complete_size((None, 10), (1, 400)) == (1, 10)
    assert complete_size((None, 9), (4.25, 8)) == (5, 9)


def test_a_size_of_no_side_is_refused() -> None:
    with pytest.raises(ValueError, match="a height or a width"):
        complete_size((None, None), (4, 4))


def test_unequal_scales_are_one_number_that_makes_as_many_pixels() -> None:
    assert scale_between((10, 20), (20, 40)) == 2
    assert scale_between((10, 20), (20, 160)) == 4
    assert scale_between((10, 20), (30, 120)) == pytest.approx(18**0.5)


def test_a_size_beyond_all_pictures_is_refused_without_its_three_hundred_digits() -> None:
    with pytest.raises(ValueError, match=r"^2e\+301x2e\+301 pixels are too many"):
        check_size(*scaled((20, 20), 1e300))
