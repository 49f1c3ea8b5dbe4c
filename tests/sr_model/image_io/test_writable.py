"""A picture is written whatever its metadata are; what cannot be written is left out, with a line."""

from __future__ import annotations

import logging
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dgp_mining.images.formats import png
from sr_model.image_io.metadata import Metadata
from sr_model.image_io.reader import read_source_image
from sr_model.image_io.writable import writable
from sr_model.image_io.writer import Target, write_image
from tests.small_images import small_images, unwritable_exif

ENDINGS = [".png", ".jpg", ".webp", ".tif"]


def written(path: Path, metadata: Metadata, caplog: pytest.LogCaptureFixture) -> tuple[Metadata, str]:
    """Write two grey rows; returns what was kept, and what was logged."""
    pixels = np.full((2, 3, 3), 128, np.uint8)
    with caplog.at_level(logging.WARNING):
        target = writable(Target(path, 2, 3, 3, pixels.dtype, metadata))
    write_image(target, iter([pixels]))
    assert abs(np.asarray(Image.open(path).convert("RGB")).astype(int) - 128).max() <= 1
    return target.metadata, caplog.text


@pytest.mark.parametrize("ending", ENDINGS)
def test_exif_that_cannot_be_packed_is_left_out(tmp_path: Path, ending: str, caplog) -> None:
    about = Metadata(exif=unwritable_exif(), dpi=(72.0, 72.0))
    kept, said = written(tmp_path / f"a{ending}", about, caplog)
    assert kept == Metadata(exif=kept.exif, dpi=(72.0, 72.0))
    assert ("damaged EXIF cannot be written to TIFF" in said) == (kept.exif is None) == (ending == ".tif")


@pytest.mark.parametrize("ending", ENDINGS)
def test_each_kind_of_metadata_is_left_out_for_itself(tmp_path: Path, ending: str, caplog) -> None:
    about = Metadata(
        exif=b"no EXIF", dpi=(math.nan, 72.0), iptc=b"\x1c\x02\x05\0\3Owl", texts=(("Title", "Owl"),)
    )
    kept, said = written(tmp_path / f"a{ending}", about, caplog)
    assert kept == Metadata(iptc=about.iptc, texts=about.texts)
    assert said.count("\n") == 1
    assert "damaged EXIF and resolution cannot be written to" in said


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.tif", "a.webp"])
def test_sound_metadata_are_written_without_a_word(tmp_path: Path, name: str, ending: str, caplog) -> None:
    source = tmp_path / name
    source.write_bytes(small_images()[name])
    about = read_source_image(source).metadata
    assert about.exif
    assert about.profile
    kept, said = written(tmp_path / f"out{ending}", about, caplog)
    assert (kept, said) == (about, "")


def test_damage_to_what_a_file_holds_beside_its_pixels_keeps_the_pixels(
    tmp_path: Path, monkeypatch, caplog
) -> None:
    def broken() -> None:
        raise RecursionError

    path = tmp_path / "a.png"
    path.write_bytes(small_images()["a.png"])
    opened = png.open_file
    monkeypatch.setattr(png, "open_file", lambda *given: replace(opened(*given), attachments=broken))
    with caplog.at_level(logging.WARNING):
        source = read_source_image(path)
    assert source.pixels.shape == (12, 16, 3)
    assert "its metadata is damaged and is dropped" in caplog.text
