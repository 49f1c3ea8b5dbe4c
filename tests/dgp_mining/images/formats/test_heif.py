"""HEIC: all bits are kept, and cropping, rotation, colours and pictures are as the file says."""

from __future__ import annotations

import struct
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from heif_files import with_properties
from PIL import Image

from dgp_mining.images.formats import table
from dgp_mining.images.image_file import Alpha, Model
from dgp_mining.images.reader import ImageError, image_size, read_image
from dgp_mining.images.stored import open_image, read_stored

pillow_heif = pytest.importorskip("pillow_heif")
WITHOUT_LOSS = {"quality": -1, "chroma": 444, "matrix_coefficients": 0, "full_range_flag": 1}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a.heic"


def noise(height: int, width: int, channels: int, bits: int = 8) -> np.ndarray:
    return np.random.default_rng(bits).integers(0, 1 << bits, (height, width, channels))


def encode(path: Path, values: np.ndarray, bits: int = 8, mode: str = "") -> None:
    height, width, channels = values.shape
    mode = mode or {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}[channels] + (";16" if bits > 8 else "")
    stored = values.astype(np.uint8) if bits == 8 else (values << (16 - bits)).astype(np.uint16)
    pillow_heif.options.SAVE_HDR_TO_12_BIT = bits == 12
    try:
        pillow_heif.encode(mode, (width, height), stored.tobytes(), str(path), **WITHOUT_LOSS)
    finally:
        pillow_heif.options.SAVE_HDR_TO_12_BIT = False


@pytest.mark.parametrize("bits", [8, 10, 12])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_no_bit_is_lost(path: Path, bits: int, channels: int) -> None:
    values = noise(64, 70, channels, bits)
    encode(path, values, bits)
    stored = read_stored(path)
    whole = 255 if stored.pixels.dtype == np.uint8 else 1
    np.testing.assert_allclose(stored.pixels / whole, values / ((1 << bits) - 1), atol=1e-7)
    assert (stored.file.bits, stored.alpha) == (bits, channels in (2, 4))
    assert stored.file.model == (Model.GREY if channels < 3 else Model.RGB)


def test_premultiplied_colours_are_divided_by_their_alpha(path: Path) -> None:
    values = np.full((64, 64, 4), (60, 30, 0, 128))
    encode(path, values, mode="RGBa")
    assert open_image(path).alpha == Alpha.ASSOCIATED
    np.testing.assert_array_equal(read_stored(path).pixels[0, 0], (120, 60, 0, 128))


@pytest.mark.parametrize("options", [{"chroma": 420}, {"full_range_flag": 0, "matrix_coefficients": 1}])
def test_matrix_and_range_are_applied(path: Path, options: dict[str, int]) -> None:
    y, x = np.mgrid[:64, :80]
    values = np.stack([y * 3, x * 3, x + y], axis=2).astype(np.uint8)
    pillow_heif.from_pillow(Image.fromarray(values)).save(str(path), quality=95, **options)
    assert np.abs(read_image(path) * 255 - values).mean() < 2


@pytest.mark.parametrize("quarters", range(4))
@pytest.mark.parametrize("mirror", [None, 0, 1])
def test_rotation_and_mirroring_are_applied_to_pixels_and_size(
    path: Path, quarters: int, mirror: int | None
) -> None:
    values = noise(64, 96, 3)
    encode(path, values)
    turning = [(b"irot", bytes([quarters]))] if quarters else []
    mirroring = [] if mirror is None else [(b"imir", bytes([mirror]))]
    path.write_bytes(with_properties(path.read_bytes(), *turning, *mirroring))
    right = np.rot90(values, quarters)  # anticlockwise, as irot says
    right = right if mirror is None else right[::-1] if mirror == 0 else right[:, ::-1]
    assert image_size(path) == right.shape[:2]
    np.testing.assert_array_equal(read_stored(path).pixels, right)


def test_a_clean_aperture_crops_pixels_and_size(path: Path) -> None:
    values = noise(64, 96, 3)
    encode(path, values)
    crop = struct.pack(">IIIIiIiI", 70, 1, 50, 1, 3, 1, -2, 1)
    path.write_bytes(with_properties(path.read_bytes(), (b"clap", crop)))
    assert image_size(path) == (50, 70)
    np.testing.assert_array_equal(read_stored(path).pixels, values[5:55, 16:86])


def test_an_odd_size_and_a_grid_of_tiles_are_read(path: Path) -> None:
    values = noise(201, 233, 3).astype(np.uint8)
    pillow_heif.from_pillow(Image.fromarray(values)).save(str(path), tile_size=128, **WITHOUT_LOSS)
    assert image_size(path) == (201, 233)
    stored = read_stored(path)
    np.testing.assert_array_equal(stored.pixels, values)
    assert stored.notes == ()


def test_a_profile_counts_and_the_primary_picture_is_read_and_said(path: Path) -> None:
    profile = bytes(imagecodecs.cms_profile("adobergb"))
    heif = pillow_heif.from_pillow(Image.new("RGB", (64, 64)))
    green = Image.new("RGB", (80, 64), (60, 180, 60))
    green.info["icc_profile"] = profile
    heif.add_from_pillow(green)
    heif.save(str(path), primary_index=1, **WITHOUT_LOSS)
    stored = read_stored(path)
    assert (stored.file.encoding.profile, stored.file.size) == (profile, (64, 80))
    assert stored.notes == ("the primary of its 2 pictures is read",)
    np.testing.assert_allclose(read_image(path)[0, 0] * 255, (0, 181, 42), atol=1)


def test_exif_and_xmp_are_kept_and_its_orientation_is_not_applied_again(path: Path) -> None:
    exif = Image.Exif()
    exif[0x010E], exif[0x0112] = "a picture", 6
    heif = pillow_heif.from_pillow(Image.new("RGB", (80, 64)))
    heif.save(str(path), exif=exif.tobytes(), xmp=b"<x:xmpmeta/>", **WITHOUT_LOSS)  # and irot
    file = open_image(path)
    kept = file.attachments()
    assert file.size == (80, 64)
    assert kept.xmp == b"<x:xmpmeta/>"
    assert kept.exif is not None
    assert kept.exif[:2] in (b"II", b"MM")
    assert b"a picture" in kept.exif


def test_without_its_library_it_is_said_what_to_install(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    encode(path, noise(64, 64, 3))

    def missing(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(table.importlib, "import_module", missing)
    with pytest.raises(ImageError, match=r"a\.heic is HEIF, which pillow-heif reads: install it with pip"):
        open_image(path)


def test_a_file_that_ends_early_is_refused(path: Path) -> None:
    encode(path, noise(64, 64, 3))
    whole = path.read_bytes()
    for cut in (whole[:-2000], whole[:200], whole[:40]):
        path.write_bytes(cut)
        with pytest.raises(ImageError, match=r"a\.heic"):
            read_image(path)
