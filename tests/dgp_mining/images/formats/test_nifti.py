"""A volume is cut as nibabel's closest canonical orientation says, in its scaled values."""

from __future__ import annotations

import gzip
import itertools
import struct
from pathlib import Path

import numpy as np
import pytest

from dgp_mining.images.image_file import Alpha
from dgp_mining.images.paths import list_folder, list_images
from dgp_mining.images.reader import ImageError, decode_image, image_size
from dgp_mining.images.reading import Reading
from dgp_mining.images.stored import open_image, read_stored

nib = pytest.importorskip("nibabel")

ENDS = ("LR", "PA", "IS")
"""The letters of nibabel's axis codes, the ends of the axes of the body."""

ORIENTATIONS = [
    "".join(letters) for order in itertools.permutations(ENDS) for letters in itertools.product(*order)
]
"""All 48 ways in which the axes of an array lie in a body."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a.nii"


def volume(dtype: str, *shape: int) -> np.ndarray:
    rng = np.random.default_rng(len(shape))
    return (rng.normal(0, 50, shape) if dtype[0] == "f" else rng.integers(0, 120, shape)).astype(dtype)


def shown(path: Path, axis: int, number: int, low: float, high: float) -> np.ndarray:
    """A slice of nibabel's scaled and reoriented volume, its second axis upwards."""
    canonical = nib.as_closest_canonical(nib.load(path)).get_fdata()
    return ((np.take(canonical, number, axis).T[::-1] - low) / (high - low)).clip(0, 1)


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_slices_lie_in_the_body_however_the_array_is_stored(path: Path, orientation: str) -> None:
    affine = np.eye(4)
    affine[:3, :3] = [[(letter == up) - (letter == down) for letter in orientation] for down, up in ENDS]
    nib.save(nib.Nifti1Image(volume("i2", 5, 6, 7), affine), path)
    assert "".join(nib.aff2axcodes(nib.load(path).affine)) == orientation
    for axis, number in itertools.product(range(3), (0, 3)):
        reading = Reading(axis="xyz"[axis], slice=number, window=(0, 120))
        expected = shown(path, axis, number, 0, 120)
        assert image_size(path, reading) == expected.shape
        np.testing.assert_allclose(decode_image(path, reading).pixels[..., 0], expected, atol=1e-6)


@pytest.mark.parametrize("kind", [nib.Nifti1Image, nib.Nifti2Image, nib.Nifti1Pair])
@pytest.mark.parametrize("dtype", ["u1", "i2", ">i2", "u2", "i4", "f4", ">f4", "f8"])
def test_the_middle_axial_slice_runs_over_the_range_of_its_volume(
    tmp_path: Path, kind: type, dtype: str
) -> None:
    suffix = ".hdr" if kind is nib.Nifti1Pair else ".nii.gz"
    image = kind(volume(dtype, 5, 6, 7), np.eye(4), dtype=np.dtype(dtype))
    nib.save(image, tmp_path / f"a{suffix}")
    (path,) = list_images(tmp_path)
    assert list_folder(tmp_path).others == []  # nor is the .img of a pair
    read, values = decode_image(path), nib.load(path).get_fdata()
    expected = shown(path, 2, 3, values.min(), values.max())
    np.testing.assert_allclose(read.pixels[..., 0], expected, atol=1e-6)
    assert read.notes == (
        "number 3 (from 0) of its 7 axial slices is read, anterior up and left on the left",
        f"its volume's own minimum, {values.min():g}, and maximum, {values.max():g}, are black and white",
    )


def test_slope_and_intercept_are_applied_and_the_window_is_in_their_unit(path: Path) -> None:
    image = nib.Nifti1Image(volume("i2", 5, 6, 7), np.eye(4))
    image.header.set_slope_inter(-0.25, 7)
    nib.save(image, path)
    assert nib.load(path).dataobj.slope == -0.25
    values = nib.load(path).get_fdata()
    expected = shown(path, 2, 3, values.min(), values.max())
    np.testing.assert_allclose(decode_image(path).pixels[..., 0], expected, atol=1e-6)
    windowed = decode_image(path, Reading(window=(-10, 5))).pixels[..., 0]
    np.testing.assert_allclose(windowed, shown(path, 2, 3, -10, 5), atol=1e-6)


def test_the_headers_display_range_is_black_and_white(path: Path) -> None:
    image = nib.Nifti1Image(volume("i2", 5, 6, 7), np.eye(4))
    image.header["cal_min"], image.header["cal_max"] = 10, 90
    nib.save(image, path)
    read = decode_image(path)
    np.testing.assert_allclose(read.pixels[..., 0], shown(path, 2, 3, 10, 90), atol=1e-6)
    assert "cal_min, 10, and cal_max, 90, are black and white" in read.notes


def test_of_a_series_the_first_volume_is_read_or_the_one_asked_for(path: Path) -> None:
    series = volume("u1", 5, 6, 7, 4)
    nib.save(nib.Nifti1Image(series, np.eye(4)), path)
    for reading, taken in ((Reading(), 0), (Reading(axis="t", slice=3), 3)):
        read = decode_image(path, reading)
        one = series[..., taken].astype(float)
        expected = (one[:, :, 3].T[::-1] - one.min()) / (one.max() - one.min())
        np.testing.assert_allclose(read.pixels[..., 0], expected, atol=1e-6)
        assert any("of its 4 volumes is read" in note for note in read.notes)


@pytest.mark.parametrize("names", ["RGB", "RGBA"])
def test_colours_of_eight_bits_keep_them(path: Path, names: str) -> None:
    values = volume("u1", 5, 6, 7, len(names))
    voxels = values.view([(name, "u1") for name in names])[..., 0]
    nib.save(nib.Nifti1Image(voxels, np.eye(4)), path)
    stored = read_stored(path)
    assert (stored.file.alpha == Alpha.STRAIGHT) == (names == "RGBA")
    np.testing.assert_array_equal(stored.pixels, values[:, :, 3].swapaxes(0, 1)[::-1])


@pytest.mark.parametrize("shape", [(5, 6), (5, 6, 1), (5, 1, 6), (1, 5, 6)])
def test_what_is_one_voxel_thick_is_shown_whole(path: Path, shape: tuple[int, ...]) -> None:
    values = volume("u1", *shape)
    nib.save(nib.Nifti1Image(values, np.eye(4)), path)
    read = decode_image(path, Reading(window=(0, 255))).pixels[..., 0]
    np.testing.assert_array_equal(read * 255, values.reshape(5, 6).T[::-1])


def test_pixels_that_are_not_numbers_hold_no_data(path: Path) -> None:
    values = np.arange(27, dtype=np.float32).reshape(3, 3, 3)
    values[0, 0, 1] = np.nan
    nib.save(nib.Nifti1Image(values, np.eye(4)), path)
    read = decode_image(path).pixels[..., 0]
    np.testing.assert_allclose(read, np.nan_to_num(values[:, :, 1].T[::-1]) / 26, atol=1e-6)
    valid = open_image(path).valid
    assert valid is not None
    assert not valid()[2, 0]
    assert valid().sum() == 8


def test_unequal_spacing_and_an_unknown_left_are_said(path: Path) -> None:
    image = nib.Nifti1Image(volume("u1", 5, 6, 7), np.diag([1, 3, 2, 1]))
    nib.save(image, path)
    assert "its pixels are 1 wide and 3 high in mm, and are not resampled" in decode_image(path).notes
    image.set_qform(None, 0)
    image.set_sform(None, 0)
    nib.save(image, path)
    assert "it does not say which side is left" in decode_image(path).notes


def test_mgz_is_read_as_nifti_is(tmp_path: Path) -> None:
    path = tmp_path / "a.mgz"
    nib.save(nib.MGHImage(volume("f4", 5, 6, 7), None), path)
    values = nib.load(path).get_fdata()
    canonical = nib.as_closest_canonical(nib.load(path)).get_fdata()
    number = canonical.shape[2] // 2
    expected = shown(path, 2, number, values.min(), values.max())
    np.testing.assert_allclose(decode_image(path).pixels[..., 0], expected, atol=1e-6)


def test_what_is_no_picture_or_cut_short_is_said(path: Path, tmp_path: Path) -> None:
    nib.save(nib.Nifti1Image(volume("i2", 5, 6, 7), np.eye(4)), path)
    for axis in ("x", "t"):
        with pytest.raises(ImageError, match=r"so slice=9 is not among them\.$"):
            image_size(path, Reading(axis=axis, slice=9))
    content = path.read_bytes()
    path.write_bytes(content[:-1])
    with pytest.raises(ImageError, match="ends before its pixels do"):
        image_size(path)
    huge = content[:42] + np.int16([30000, 30000, 30000]).tobytes() + content[48:]  # dim[1] to dim[3]
    (tmp_path / "b.nii.gz").write_bytes(gzip.compress(huge))
    with pytest.raises(ImageError):
        image_size(tmp_path / "b.nii.gz")
    nib.save(nib.Nifti1Image(volume("f4", 5, 6, 7).astype("c8"), np.eye(4)), path)
    with pytest.raises(ImageError, match="complex"):
        image_size(path)
    nib.save(nib.Nifti1Pair(volume("i2", 5, 6, 7), np.eye(4)), tmp_path / "c.hdr")
    (tmp_path / "c.img").unlink()
    with pytest.raises(ImageError, match=r"header of c\.img, which does not exist"):
        image_size(tmp_path / "c.hdr")


def test_a_volume_that_does_not_fit_into_memory_is_not_unpacked(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nib.save(nib.Nifti1Image(np.zeros((300, 300, 300), np.uint8), np.eye(4)), path)
    monkeypatch.setattr("dgp_mining.images.limits.available_memory", lambda: 20_000_000)
    with pytest.raises(ImageError, match=r"has a volume of 27\.0 MB, and 20\.0 MB are free"):
        decode_image(path)
    assert decode_image(path, Reading(window=(0, 255))).pixels.shape == (300, 300, 1)


@pytest.mark.parametrize(("kind", "where", "form"), [("Nifti1", 108, "f"), ("Nifti2", 168, "q")])
@pytest.mark.parametrize("order", "<>")
def test_texts_of_a_header_are_read_up_to_a_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, where: int, form: str, order: str
) -> None:
    path = tmp_path / "a.nii.gz"
    image = getattr(nib, f"{kind}Image")(volume("u1", 5, 6, 7), np.eye(4))
    image = type(image)(image.dataobj, image.affine, image.header.as_byteswapped(order))
    image.header.extensions.append(nib.nifti1.Nifti1Extension("comment", b"x" * 1000))
    nib.save(image, path)
    assert image_size(path) == (6, 5)
    monkeypatch.setattr("dgp_mining.images.formats.nifti._MOST_EXTENSIONS", 1007)
    with pytest.raises(ImageError, match=r"a\.nii\.gz has more than 1\.0 kB of texts: remove them"):
        image_size(path)
    content = bytearray(gzip.decompress(path.read_bytes()))
    struct.pack_into(f"{order}{form}", content, where, {"f": 352, "q": 544}[form])
    path.write_bytes(gzip.compress(content))
    assert image_size(path) == (6, 5)  # what lies behind the beginning of the pixels is no text
