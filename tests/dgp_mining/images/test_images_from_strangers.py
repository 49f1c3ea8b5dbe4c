"""Whatever becomes of an image file, it is read as its header says, or refused in one sentence.

By hand for longer: pytest --hypothesis-profile long.
"""

from __future__ import annotations

import itertools
import resource
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mutations import changed_bytes, examples, is_one_sentence, outcome

from dgp_mining.images.limits import MAX_PIXELS_VARIABLE
from dgp_mining.images.reader import ImageError, decode_image, image_size
from dgp_mining.images.survey import survey
from tests.small_images import HEIGHT, WIDTH, small_images

FILES = small_images()
MOST_PIXELS = 1 << 21
MOST_BYTES = 400_000_000
"""Memory that MOST_PIXELS of any format take, and what the packages of its decoder do."""


@pytest.fixture(scope="module", autouse=True)
def small(monkeypatch_module: pytest.MonkeyPatch) -> None:
    """Claims of many pixels are refused early, so that those that are tried are quick."""
    monkeypatch_module.setenv(MAX_PIXELS_VARIABLE, str(MOST_PIXELS))


@pytest.fixture(scope="module")
def monkeypatch_module():
    with pytest.MonkeyPatch.context() as patch:
        yield patch


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("images")


def with_checksums(png: bytes) -> bytes:
    """A PNG whose chunks have their checksums again, so that what they say is believed."""
    found, at = png[:8], 8
    while at + 12 <= len(png) and (end := at + 12 + int.from_bytes(png[at : at + 4])) <= len(png):
        found += png[at : end - 4] + struct.pack(">I", zlib.crc32(png[at + 4 : end - 4]))
        at = end
    return found + png[at:]


@st.composite
def changed_files(draw: st.DrawFn, names: tuple[str, ...] = tuple(FILES)) -> tuple[str, bytes]:
    """The name and the changed content of an image file."""
    name = draw(st.sampled_from(names))
    content = draw(changed_bytes(FILES[name]))
    if name.endswith(".png") and draw(st.booleans()):
        content = with_checksums(content)
    return name, content


def test_every_file_is_whole_as_it_is(folder: Path) -> None:
    for name, content in FILES.items():
        (folder / name).write_bytes(content)
        assert decode_image(folder / name).pixels.shape[:2] == image_size(folder / name)


@examples(400)
@given(changed_files())
def test_a_changed_file_is_read_as_its_header_says_or_refused_in_one_sentence(
    folder: Path, changed: tuple[str, bytes]
) -> None:
    name, content = changed
    path = folder / name
    path.write_bytes(content)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    decoded, said = outcome(lambda: decode_image(path).pixels, ImageError)
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 < MOST_BYTES
    if decoded is None:
        assert str(path) in said
        assert is_one_sentence(said)
        return
    assert decoded.dtype == np.float32
    assert decoded.shape[:2] == image_size(path)
    assert np.isfinite(decoded).all()
    assert 0 <= decoded.min() <= decoded.max() <= 1


@examples(30)
@given(st.lists(changed_files(), min_size=1, max_size=8))
def test_a_folder_of_changed_files_is_surveyed_to_its_end(
    tmp_path_factory: pytest.TempPathFactory, changed: list[tuple[str, bytes]]
) -> None:
    folder = tmp_path_factory.mktemp("survey")
    for number, (name, content) in enumerate(changed):
        (folder / f"{number}{name}").write_bytes(content)
        (folder / f"{number}same{name}").write_bytes(content)  # which are compared
    found = survey(folder, decode=True)
    assert len(found.images) == 2 * len(changed)
    assert all(is_one_sentence(image.error) for image in found.unreadable)


@pytest.mark.parametrize("name", sorted(FILES))
def test_a_header_that_claims_much_takes_no_memory(
    folder: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = claiming(FILES[name], 13_377)
    if content == FILES[name]:
        pytest.skip("its size is not stored as plain numbers")
    monkeypatch.delenv(MAX_PIXELS_VARIABLE)
    path = folder / name
    path.write_bytes(with_checksums(content) if name.endswith(".png") else content)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    decoded, said = outcome(lambda: decode_image(path), ImageError)
    assert (decoded, is_one_sentence(said)) == (None, True)
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 < 200_000_000


def claiming(content: bytes, side: int) -> bytes:
    """A file that says that its picture is `side` pixels high and wide, wherever it says HEIGHT and WIDTH."""
    for numbers in (">HH", "<HH", ">II", "<II"):
        for size in ((HEIGHT, WIDTH), (WIDTH, HEIGHT)):
            content = content.replace(struct.pack(numbers, *size), struct.pack(numbers, side, side))
    for order in "<>":  # of TIFF: ImageWidth, ImageLength, RowsPerStrip, TileWidth, TileLength
        for tag, kind, was in itertools.product((256, 257, 278, 322, 323), (3, 4), (12, 16, 36, 48)):
            start = struct.pack(f"{order}HHI", tag, kind, 1)
            number = struct.Struct(f"{order}{'H' if kind == 3 else 'I'}")
            content = content.replace(start + number.pack(was), start + number.pack(side))
    corner = struct.pack("<ii", side - 1, side - 1)  # of OpenEXR
    content = content.replace(struct.pack("<ii", WIDTH - 1, HEIGHT - 1), corner)
    for text in (b"%d %d", b"WIDTH %d\nHEIGHT %d"):
        content = content.replace(text % (WIDTH, HEIGHT), text % (side, side))
    return content.replace(b"-Y %d +X %d" % (HEIGHT, WIDTH), b"-Y %d +X %d" % (side, side))
