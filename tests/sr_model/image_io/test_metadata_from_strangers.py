"""Whatever a stranger makes of the metadata of a picture, the picture is written in every format."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mutations import changed_bytes, examples, outcome

from dgp_mining.images.reader import ImageError, image_size
from sr_model.image_io.reader import read_source_image
from sr_model.image_io.writable import writable
from sr_model.image_io.writer import Target, write_image
from tests.small_images import HEIGHT, WIDTH, small_images

FILES = {name: small_images()[name] for name in ("a.png", "a.jpg", "a.tif", "a.webp")}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("images")


@st.composite
def changed_files(draw: st.DrawFn) -> tuple[str, bytes]:
    """The name and the changed content of an image file."""
    name = draw(st.sampled_from(sorted(FILES)))
    return name, draw(changed_bytes(FILES[name]))


@examples(120)
@given(changed_files())
def test_what_can_be_read_can_be_written(folder: Path, changed: tuple[str, bytes]) -> None:
    path = folder / changed[0]
    path.write_bytes(changed[1])
    source, _ = outcome(lambda: read_source_image(path), ImageError)
    if source is None or source.pixels.shape[:2] != (HEIGHT, WIDTH):
        return
    pixels = source.pixels
    for ending in (".png", ".jpg", ".webp", ".tif"):
        target = Target(folder / f"out{ending}", *pixels.shape, pixels.dtype, source.metadata)
        if target.colours is None:  # of another encoding, which would be converted first
            continue
        shown = pixels if target.written_dtype == pixels.dtype else np.uint8(pixels >> 8)
        write_image(writable(target), iter([shown]))
        assert image_size(target.path) == (HEIGHT, WIDTH)
