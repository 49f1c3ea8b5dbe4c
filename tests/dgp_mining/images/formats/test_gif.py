"""A GIF is its first frame on its canvas; files are written block by block (GIF89a Specification)."""

from __future__ import annotations

import struct
from pathlib import Path

import imagecodecs
import numpy as np
import pytest

from dgp_mining.images.image_file import Model
from dgp_mining.images.reader import ImageError, decode_image, image_size
from dgp_mining.images.reading import Reading
from dgp_mining.images.stored import open_image, read_stored

PALETTE = np.random.default_rng(1).integers(0, 256, (256, 3), np.uint8)
NUMBERS = np.random.default_rng(0).integers(0, 255, (11, 13), np.uint8)
END = b";"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a.gif"


def screen(height: int, width: int, palette: np.ndarray | None = PALETTE, background: int = 0) -> bytes:
    flags = 0 if palette is None else 0x80 | 7
    head = b"GIF89a" + struct.pack("<HHBBB", width, height, flags, background, 0)
    return head + (b"" if palette is None else palette.tobytes())


def frame(
    numbers: np.ndarray,
    at: tuple[int, int] = (0, 0),
    transparent: int | None = None,
    local: np.ndarray | None = None,
    interlaced: bool = False,
) -> bytes:
    """An image descriptor and its pixels, which are "compressed" by clear codes before a code gets longer."""
    height, width = numbers.shape
    flags = (0 if local is None else 0x80 | 7) | 0x40 * interlaced
    descriptor = b"," + struct.pack("<HHHHB", at[1], at[0], width, height, flags)
    if transparent is not None:
        descriptor = b"!\xf9\4" + struct.pack("<BHB", 1, 0, transparent) + b"\0" + descriptor
    if interlaced:
        numbers = np.concatenate([numbers[0::8], numbers[4::8], numbers[2::4], numbers[1::2]])
    codes: list[int] = []
    for i, number in enumerate(numbers.reshape(-1)):
        codes += [256, int(number)] if i % 100 == 0 else [int(number)]
    bits = sum(code << (9 * i) for i, code in enumerate([*codes, 257]))
    content = bits.to_bytes((len(codes) + 1) * 9 // 8 + 1, "little")
    blocks = [content[start : start + 255] for start in range(0, len(content), 255)]
    data = b"".join(bytes([len(block)]) + block for block in blocks)
    return descriptor + (b"" if local is None else local.tobytes()) + b"\x08" + data + b"\0"


@pytest.mark.parametrize("interlaced", [False, True])
def test_numbers_take_the_colours_of_the_palette(path: Path, interlaced: bool) -> None:
    path.write_bytes(screen(11, 13) + frame(NUMBERS, interlaced=interlaced) + END)
    read = decode_image(path)
    np.testing.assert_array_equal(read.pixels * 255, PALETTE[NUMBERS])
    assert image_size(path) == (11, 13)
    assert read.notes == ()


def test_a_frame_may_have_its_own_palette(path: Path) -> None:
    other = PALETTE[::-1]
    for palette in (PALETTE, None):
        path.write_bytes(screen(11, 13, palette) + frame(NUMBERS, local=other) + END)
        np.testing.assert_array_equal(decode_image(path).pixels * 255, other[NUMBERS])


def test_a_palette_of_greys_is_grey(path: Path) -> None:
    greys = PALETTE[:, :1].repeat(3, axis=1)
    path.write_bytes(screen(11, 13, greys) + frame(NUMBERS) + END)
    read = read_stored(path)
    assert read.file.model == Model.GREY
    np.testing.assert_array_equal(read.pixels, greys[NUMBERS][..., :1])
    path.write_bytes(screen(11, 13, greys) + frame(NUMBERS, transparent=NUMBERS[0, 0]) + END)
    np.testing.assert_array_equal(read_stored(path).pixels[..., 0], greys[NUMBERS][..., 0])
    path.write_bytes(screen(11, 13, None) + frame(NUMBERS) + END)
    read = read_stored(path)
    np.testing.assert_array_equal(read.pixels[..., 0], NUMBERS)
    assert read.notes == ("it has no palette: its numbers are taken for grey",)


def test_one_number_may_be_transparent(path: Path) -> None:
    path.write_bytes(screen(11, 13) + frame(NUMBERS, transparent=NUMBERS[0, 0]) + END)
    read = read_stored(path)
    np.testing.assert_array_equal(read.pixels[..., :3], PALETTE[NUMBERS])
    np.testing.assert_array_equal(read.pixels[..., 3], np.where(NUMBERS[0, 0] == NUMBERS, 0, 255))


@pytest.mark.parametrize("transparent", [None, 255])
def test_the_image_is_the_canvas_even_if_its_first_frame_is_smaller(
    path: Path, transparent: int | None
) -> None:
    path.write_bytes(screen(20, 30, background=7) + frame(NUMBERS, (4, 5), transparent) + END)
    assert image_size(path) == (20, 30)
    read = read_stored(path)
    right = np.zeros((20, 30, 4), np.uint8)
    right[..., :3] = PALETTE[7 if transparent is None else transparent]
    right[4:15, 5:18] = np.dstack([PALETTE[NUMBERS], np.full((11, 13), 255)])
    np.testing.assert_array_equal(read.pixels, right)


def test_a_frame_that_leaves_its_canvas_enlarges_it(path: Path) -> None:
    path.write_bytes(screen(3, 3) + frame(NUMBERS) + END)
    assert image_size(path) == (11, 13)
    np.testing.assert_array_equal(decode_image(path).pixels * 255, PALETTE[NUMBERS])


def test_of_an_animation_the_first_frame_is_read_and_said(path: Path) -> None:
    second = np.full((2, 3), 9, np.uint8)
    path.write_bytes(screen(11, 13) + frame(NUMBERS) + frame(second, (1, 1)) + END)
    read = decode_image(path)
    np.testing.assert_array_equal(read.pixels * 255, PALETTE[NUMBERS])
    assert read.notes == ("the first of its 2 frames is read",)
    both = NUMBERS.copy()
    both[1:3, 1:4] = 9
    read = decode_image(path, Reading(slice=1))
    np.testing.assert_array_equal(read.pixels * 255, PALETTE[both])
    assert read.notes == ("number 1 (from 0) of its 2 frames is read",)
    with pytest.raises(ImageError, match="has 2 frames, so slice=2 is not among them"):
        image_size(path, Reading(slice=2))


def test_an_icc_profile_in_its_extension_is_used(path: Path) -> None:
    profile = bytes(imagecodecs.cms_profile("adobergb"))
    blocks = b"".join(
        bytes([len(profile[i : i + 255])]) + profile[i : i + 255] for i in range(0, len(profile), 255)
    )
    path.write_bytes(screen(11, 13) + b"!\xff\x0bICCRGBG1012" + blocks + b"\0" + frame(NUMBERS) + END)
    assert open_image(path).encoding.profile == profile


def test_damage_is_one_sentence(path: Path) -> None:
    whole = screen(11, 13) + frame(NUMBERS) + END
    for damaged in (whole[:8], whole[:100], whole[:-60], screen(11, 13) + END):
        path.write_bytes(damaged)
        with pytest.raises(ImageError, match=r"a\.gif .*\.$"):
            decode_image(path)
