"""Pixels without data are black and have no part in how the others are scaled."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from dgp_mining.images import stored
from dgp_mining.images.image_file import ImageFile, Levels, Model, Samples, full_range
from dgp_mining.images.reading import Reading
from dgp_mining.images.stored import read_stored

VALID = np.array([[True, False], [True, True]])


def holding(monkeypatch: pytest.MonkeyPatch, path: Path, samples: Samples, **header: object) -> None:
    """Make `path` hold these samples, whatever is in it."""
    path.write_bytes(b"something")
    height, width, channels = samples.pixels.shape
    model = Model.GREY if channels == 1 else Model.CHANNELS
    file = ImageFile(
        path=path,
        format="any",
        height=height,
        width=width,
        model=model,
        channels=channels,
        bits=samples.pixels.dtype.itemsize * 8,
        floating=samples.pixels.dtype.kind == "f",
        decode=lambda: samples,
    )
    module = SimpleNamespace(open_file=lambda path, reading: replace(file, **header))
    monkeypatch.setattr(stored, "format_of", lambda path: module)


@pytest.mark.parametrize("hole", [np.nan, np.inf, -9999.0])
def test_floats_without_data_are_black_and_the_others_are_scaled(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, hole: float
) -> None:
    pixels = np.array([[0.0, hole], [5.0, 10.0]], np.float32)[..., None]
    holding(monkeypatch, tmp_path / "a", Samples(pixels, valid=VALID), levels=Levels(0, 10))
    read = read_stored(tmp_path / "a")
    np.testing.assert_array_equal(read.pixels[..., 0], np.float32([[0, 0], [0.5, 1]]))
    assert read.notes == ("25.00% of its pixels hold no data",)


def test_integers_keep_their_type_and_reversed_ones_are_black_too(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pixels = np.array([[0, 255], [100, 200]], np.uint8)[..., None]
    for levels, expected in ((full_range(8), [[0, 0], [100, 200]]), (Levels(255, 0), [[255, 0], [155, 55]])):
        holding(monkeypatch, tmp_path / "a", Samples(pixels, valid=VALID), levels=levels)
        read = read_stored(tmp_path / "a").pixels[..., 0]
        assert read.dtype == np.uint8
        np.testing.assert_array_equal(read, expected)


def test_an_image_without_any_data_is_black(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    samples = Samples(np.full((2, 2, 3), np.nan, np.float32), valid=np.zeros((2, 2), bool))
    holding(monkeypatch, tmp_path / "a", samples)
    assert not read_stored(tmp_path / "a").pixels.any()


def test_the_users_window_applies_to_measurements_of_eight_bits_and_not_to_pictures(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    samples = Samples(np.array([[0, 50], [100, 150]], np.uint8)[..., None])
    for measured, expected in ((True, [[0, 0.5], [1, 1]]), (False, [[0, 50], [100, 150]])):
        holding(monkeypatch, tmp_path / "a", samples, levels=full_range(8), measured=measured)
        read = read_stored(tmp_path / "a", Reading(window=(0, 100)))
        np.testing.assert_array_equal(read.pixels[..., 0], expected)
