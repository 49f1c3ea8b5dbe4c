"""Radiance pictures are linear light: radiance, upright, with the primaries that they name."""

from __future__ import annotations

from pathlib import Path

import imagecodecs
import numpy as np
import pytest

from dgp_mining.images.reader import ImageError, decode_image, image_size
from dgp_mining.images.reading import Reading
from dgp_mining.images.stored import open_image, read_stored

FORMAT = "FORMAT=32-bit_rle_rgbe\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a.hdr"


def rgbe(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Stored bytes [H, W, 4], and the light that they stand for: m / 256 * 2^(e - 128)."""
    random = np.random.default_rng(0)
    stored = np.concatenate(
        [random.integers(128, 256, (height, width, 3)), random.integers(122, 129, (height, width, 1))], 2
    ).astype(np.uint8)
    light = stored[..., :3] / 256 * 2.0 ** (stored[..., 3:].astype(int) - 128)
    return stored, light.astype(np.float32)


def picture(raster: bytes, size: str, header: str = FORMAT, magic: str = "#?RADIANCE") -> bytes:
    return f"{magic}\n{header}\n{size}\n".encode() + raster


@pytest.mark.parametrize("width", [3, 20])
@pytest.mark.parametrize("magic", ["#?RADIANCE", "#?RGBE", "#?PROGRAM"])
def test_pixels_stored_one_by_one(path: Path, width: int, magic: str) -> None:
    stored, light = rgbe(5, width)
    path.write_bytes(picture(stored.tobytes(), f"-Y 5 +X {width}", magic=magic))
    read = read_stored(path)
    assert image_size(path) == (5, width)
    np.testing.assert_array_equal(read.pixels, light)
    assert read.file.encoding.transfer == "linear"
    assert read.notes == ()


def test_run_lengths_of_another_writer(path: Path) -> None:
    cv2 = pytest.importorskip("cv2")
    light = np.repeat(rgbe(5, 10)[1], 8, axis=1)
    assert cv2.imwrite(str(path), light[..., ::-1])
    right = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)[..., ::-1]
    np.testing.assert_array_equal(read_stored(path).pixels, right)
    np.testing.assert_allclose(right, light, rtol=0.02)


def test_the_old_run_lengths_repeat_the_pixel_before_them(path: Path) -> None:
    stored, light = rgbe(1, 3)
    a, b, c = (stored[0, i].tobytes() for i in range(3))
    # 1 + 3, 1 + (2 + 1 * 256), 1
    raster = a + bytes([1, 1, 1, 3]) + b + bytes([1, 1, 1, 2, 1, 1, 1, 1]) + c
    path.write_bytes(picture(raster, "-Y 2 +X 132"))
    right = light[0].repeat([4, 259, 1], axis=0).reshape(2, 132, 3)
    np.testing.assert_array_equal(read_stored(path).pixels, right)


@pytest.mark.parametrize(
    ("order", "upright"),
    [
        ("-Y 4 +X 9", lambda rows: rows),
        ("+Y 4 +X 9", lambda rows: rows[::-1]),
        ("-Y 4 -X 9", lambda rows: rows[:, ::-1]),
        ("+Y 4 -X 9", lambda rows: rows[::-1, ::-1]),
        # Rows of the file are columns of the picture; with +X, from the left; with -Y, from the top.
        ("+X 4 -Y 9", lambda rows: rows.swapaxes(0, 1)),
        ("-X 4 -Y 9", lambda rows: rows.swapaxes(0, 1)[:, ::-1]),
        ("+X 4 +Y 9", lambda rows: rows.swapaxes(0, 1)[::-1]),
        ("-X 4 +Y 9", lambda rows: rows.swapaxes(0, 1)[::-1, ::-1]),
    ],
)
def test_every_order_of_rows_and_pixels_is_put_upright(path: Path, order: str, upright: object) -> None:
    stored, light = rgbe(4, 9)
    right = upright(light)  # type: ignore[operator]
    path.write_bytes(picture(stored.tobytes(), order))
    assert image_size(path) == right.shape[:2]
    np.testing.assert_array_equal(read_stored(path).pixels, right)
    encoded = imagecodecs.rgbe_encode(light)  # with run lengths
    raster = bytes(encoded)[bytes(encoded).index(b"+X 9\n") + 5 :]
    path.write_bytes(picture(raster, order))
    np.testing.assert_array_equal(read_stored(path).pixels, right)


def test_exposures_and_colour_corrections_are_divided_out(path: Path) -> None:
    stored, light = rgbe(2, 3)
    header = FORMAT + "EXPOSURE=2\nSOFTWARE=x\nEXPOSURE= 4\nCOLORCORR=1 2 4\n"
    path.write_bytes(picture(stored.tobytes(), "-Y 2 +X 3", header))
    read = read_stored(path)
    np.testing.assert_allclose(read.pixels, light / (8, 16, 32), rtol=1e-6)
    assert read.notes == ("its values are divided by its exposure of 16, 32, 8",)


def test_primaries_are_those_of_the_header(path: Path) -> None:
    header = FORMAT + "PRIMARIES=0.7 0.3 0.2 0.7 0.1 0.05 0.33 0.34\n"
    path.write_bytes(picture(rgbe(1, 1)[0].tobytes(), "-Y 1 +X 1", header))
    assert open_image(path).encoding.primaries == (0.33, 0.34, 0.7, 0.3, 0.2, 0.7, 0.1, 0.05)


def test_xyz_of_d65_white_is_white(path: Path) -> None:
    # X, Y, Z = 0.475, 0.5, 0.545 (of 256 steps), i.e. half of D65's white.
    stored = np.array([[[243, 256 - 1, 255, 127], [243, 255, 0, 0]]], np.uint8)
    stored[0, 0, :3] = np.round(np.array([0.9505, 1, 1.0891]) * 230)
    path.write_bytes(picture(stored.tobytes(), "-Y 1 +X 2", FORMAT.replace("rgbe", "xyze")))
    read = read_stored(path)
    np.testing.assert_allclose(read.pixels[0, 0], 230 / 512, atol=0.003)
    np.testing.assert_array_equal(read.pixels[0, 1], 0)


def test_white_and_tone_say_what_becomes_of_bright_light(path: Path) -> None:
    stored = np.array([[[128, 128, 128, 130], [128, 128, 128, 128]]], np.uint8)  # 2 and 0.5
    path.write_bytes(picture(stored.tobytes(), "-Y 1 +X 2"))
    read = read_stored(path)
    np.testing.assert_allclose(read.pixels[0, :, 0], [1, 0.5])
    assert read.notes == ("50.00% of its values are below black or above white and are clipped",)
    np.testing.assert_allclose(read_stored(path, Reading(white=4)).pixels[0, :, 0], [0.5, 0.125])
    mapped = read_stored(path, Reading(white=0.5, tone="reinhard"))
    np.testing.assert_allclose(mapped.pixels[0, :, 0], [4 / 5, 1 / 2])
    assert mapped.notes == ()


def test_the_tone_mapping_of_a_pixel_does_not_depend_on_the_others(path: Path) -> None:
    stored, light = rgbe(2, 3)
    path.write_bytes(picture(stored.tobytes(), "-Y 2 +X 3"))
    mapped = read_stored(path, Reading(tone="reinhard")).pixels
    np.testing.assert_allclose(mapped, light / (1 + light), rtol=1e-6)


def test_light_becomes_srgb(path: Path) -> None:
    stored, light = rgbe(4, 5)
    path.write_bytes(picture(stored.tobytes(), "-Y 4 +X 5"))
    # IEC 61966-2-1, 5.2
    right = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    read = decode_image(path)
    np.testing.assert_allclose(read.pixels, right, atol=1e-4)
    assert read.notes == ("its format says linear light: converted to sRGB",)


def test_other_primaries_become_those_of_srgb(path: Path) -> None:
    stored = np.array([[[128, 128, 128, 128], [150, 140, 130, 128]]], np.uint8)
    light = stored[..., :3] / 256
    bt2020 = "PRIMARIES=0.708 0.292 0.170 0.797 0.131 0.046 0.3127 0.3290\n"
    path.write_bytes(picture(stored.tobytes(), "-Y 1 +X 2", FORMAT + bt2020))
    # ITU-R BT.2087-0, 4: BT.2020 to BT.709
    matrix = np.array([[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]])
    right = 1.055 * (light @ matrix.T) ** (1 / 2.4) - 0.055
    np.testing.assert_allclose(decode_image(path).pixels, right, atol=1e-3)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (picture(bytes(15), "-Y 2 +X 2"), "ends before its pixels do"),
        (picture(bytes([1, 1, 1, 4]), "-Y 2 +X 2"), "run lengths are damaged"),
        (picture(bytes([9, 9, 9, 9, 1, 1, 1, 2]), "-Y 2 +X 2"), "ends before its pixels do"),
        (picture(bytes([2, 2, 0, 9, 128]), "-Y 2 +X 9"), "cannot be decoded"),
        (picture(bytes(16), "-Y 2 -Y 2"), "line with its size"),
        (picture(bytes(16), "-Y 2"), "line with its size"),
        (picture(bytes(16), "-Y 99999 +X 99999"), "more than"),
        (picture(bytes(16), "-Y 2 +X 2", "FORMAT=other\n"), "format 'other'"),
        (picture(bytes(16), "-Y 2 +X 2", FORMAT + "EXPOSURE=0\n"), "exposure"),
        (b"#?RADIANCE\n" + FORMAT.encode(), "header does not end"),
    ],
)
def test_damage_is_one_sentence(path: Path, content: bytes, reason: str) -> None:
    path.write_bytes(content)
    with pytest.raises(ImageError, match=rf"a\.hdr .*{reason}.*\.$"):
        decode_image(path)
