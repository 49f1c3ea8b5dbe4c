"""FITS is read to astropy's own physical values, the first row at the bottom, by levels that are said."""

from __future__ import annotations

import gzip
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from dgp_mining.images.paths import list_images
from dgp_mining.images.reader import ImageError, decode_image, image_size
from dgp_mining.images.reading import Reading
from dgp_mining.images.stored import open_image

fits = pytest.importorskip("astropy.io.fits")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a.fits"


def values(dtype: str, *shape: int) -> np.ndarray:
    rng = np.random.default_rng(len(shape))
    if dtype.startswith("f"):
        return rng.normal(5, 30, shape).astype(dtype)
    info = np.iinfo(dtype)
    return rng.integers(max(info.min, -(2**40)), min(info.max, 2**40), shape, dtype)


def own_range(physical: np.ndarray) -> np.ndarray:
    """Astropy's values from their minimum to their maximum as 0 to 1, the first row at the bottom."""
    physical = physical.astype(np.float64)
    return ((physical - np.nanmin(physical)) / (np.nanmax(physical) - np.nanmin(physical)))[::-1]


@pytest.mark.parametrize("dtype", ["i1", "i2", "i4", "u4", "i8", "f4", "f8"])
@pytest.mark.parametrize("unit", [fits.PrimaryHDU, fits.CompImageHDU])
def test_numbers_of_every_type_run_from_their_own_minimum_to_maximum(
    path: Path, dtype: str, unit: type
) -> None:
    if unit is fits.CompImageHDU and dtype in ("i8", "i1"):
        pytest.skip("astropy does not compress it")
    written = unit(values(dtype, 30, 40))
    fits.HDUList([written] if unit is fits.PrimaryHDU else [fits.PrimaryHDU(), written]).writeto(path)
    assert image_size(path) == (30, 40)
    read = decode_image(path)
    with fits.open(path) as file:
        expected = own_range(file[-1].data)
    np.testing.assert_allclose(read.pixels[..., 0], expected, atol=2e-6)
    assert any("minimum" in note and "maximum" in note for note in read.notes)


@pytest.mark.parametrize("dtype", ["u1", "u2"])
def test_unsigned_8_and_16_bits_run_over_their_whole_range(path: Path, dtype: str) -> None:
    data = values(dtype, 30, 40) // 2
    fits.PrimaryHDU(data).writeto(path)
    np.testing.assert_array_equal(
        decode_image(path).pixels[..., 0], data[::-1].astype(np.float32) / np.float32(np.iinfo(dtype).max)
    )


def test_rows_start_at_the_top_only_if_roworder_says_so(path: Path) -> None:
    data = values("u1", 3, 4)
    for order, expected in (("BOTTOM-UP", data[::-1]), ("TOP-DOWN", data)):
        fits.PrimaryHDU(data, fits.Header([("ROWORDER", order)])).writeto(path, overwrite=True)
        np.testing.assert_array_equal(decode_image(path).pixels[..., 0] * 255, expected)


def test_scale_and_zero_give_physical_values_in_which_the_window_counts(path: Path) -> None:
    data = values("i2", 30, 40)
    written = fits.PrimaryHDU(data)
    written.scale("int16", bscale=0.25, bzero=-7)
    written.writeto(path)
    with fits.open(path) as file:
        physical = file[0].data.astype(np.float64)
    np.testing.assert_allclose(decode_image(path).pixels[..., 0], own_range(physical), atol=1e-6)
    windowed = decode_image(path, Reading(window=(-100, 500))).pixels[..., 0]
    np.testing.assert_allclose(windowed, ((physical[::-1] + 100) / 600).clip(0, 1), atol=1e-6)


def test_the_window_applies_to_eight_bits_too(path: Path) -> None:
    fits.PrimaryHDU(np.uint8([[0, 50], [100, 200]])).writeto(path)
    read = decode_image(path, Reading(window=(50, 150))).pixels[..., 0]
    np.testing.assert_allclose(read, [[0.5, 1], [0, 0]])


def test_datamin_and_datamax_are_black_and_white(path: Path) -> None:
    data = np.float32([[0, 5], [10, 20]])
    fits.PrimaryHDU(data, fits.Header([("DATAMIN", 0.0), ("DATAMAX", 10.0)])).writeto(path)
    read = decode_image(path)
    np.testing.assert_allclose(read.pixels[..., 0], [[1, 1], [0, 0.5]])
    assert "DATAMIN, 0, and DATAMAX, 10, are black and white" in read.notes


@pytest.mark.parametrize("hole", ["NaN", "infinity", "BLANK"])
def test_pixels_without_data_are_black_and_no_part_of_the_range(path: Path, hole: str) -> None:
    if hole == "BLANK":
        data = np.int16([[-32768, 4], [6, 8]])
        fits.PrimaryHDU(data, fits.Header([("BLANK", -32768)])).writeto(path)
    else:
        fits.PrimaryHDU(np.float32([[np.nan if hole == "NaN" else -np.inf, 4], [6, 8]])).writeto(path)
    decoded = decode_image(path)
    np.testing.assert_allclose(decoded.pixels[..., 0], [[0.5, 1], [0, 0]])
    assert "25.00% of its pixels hold no data" in decoded.notes
    valid = open_image(path).valid
    assert valid is not None
    np.testing.assert_array_equal(valid(), [[False, True], [True, True]])  # not turned


@pytest.mark.parametrize(
    ("axis", "number", "plane"),
    [
        (None, None, lambda cube: cube[2]),
        (None, 0, lambda cube: cube[0]),
        ("z", 4, lambda cube: cube[4]),
        ("y", 1, lambda cube: cube[:, 1]),
        ("x", None, lambda cube: cube[:, :, 4]),
    ],
)
def test_a_cube_is_cut_where_asked_or_in_the_middle_of_its_third_axis(
    path: Path, axis: str | None, number: int | None, plane: object
) -> None:
    cube = values("u1", 5, 6, 9)
    fits.PrimaryHDU(cube[None]).writeto(path)  # a fourth axis of one element, as radio telescopes write
    reading = Reading(axis=axis, slice=number)
    expected = plane(cube)[::-1]  # type: ignore[operator]
    assert image_size(path, reading) == expected.shape
    read = decode_image(path, reading)
    np.testing.assert_array_equal(read.pixels[..., 0] * 255, expected)
    assert "planes across NAXIS" in read.notes[0]


def test_a_slice_or_axis_that_a_file_lacks_is_refused(path: Path) -> None:
    fits.PrimaryHDU(values("u1", 5, 6)).writeto(path)
    for reading in (Reading(slice=1), Reading(axis="t")):
        with pytest.raises(ImageError, match=r"is not among them\.$"):
            decode_image(path, reading)


def test_three_planes_are_colours_if_the_header_says_rgb(path: Path) -> None:
    cube = values("u1", 3, 5, 6)
    fits.PrimaryHDU(cube, fits.Header([("CTYPE3", "RGB")])).writeto(path)
    np.testing.assert_array_equal(decode_image(path).pixels * 255, np.moveaxis(cube, 0, 2)[::-1])
    fits.PrimaryHDU(cube).writeto(path, overwrite=True)
    assert decode_image(path).pixels.shape == (5, 6, 1)


def test_gzipped_files_and_the_first_of_several_extensions_are_read(tmp_path: Path, path: Path) -> None:
    data = values("u1", 5, 6)
    fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(data), fits.ImageHDU(255 - data)]).writeto(path)
    (tmp_path / "b.FITS.gz").write_bytes(gzip.compress(path.read_bytes()))
    (tmp_path / "c.tar.gz").write_bytes(gzip.compress(b"other"))
    listed = list_images(tmp_path)
    assert [path.name for path in listed] == ["a.fits", "b.FITS.gz"]
    for file in listed:
        read = decode_image(file)
        np.testing.assert_array_equal(read.pixels[..., 0] * 255, data[::-1])
        assert read.notes == ("the first of its 2 images is read",)


def test_tables_alone_and_damage_are_said(path: Path) -> None:
    fits.HDUList(
        [fits.PrimaryHDU(), fits.BinTableHDU.from_columns([fits.Column("a", "J", array=[1])])]
    ).writeto(path)
    with pytest.raises(ImageError, match="without an image"):
        image_size(path)
    fits.PrimaryHDU(values("i2", 300, 40)).writeto(path, overwrite=True)
    path.write_bytes(path.read_bytes()[:8000])
    with pytest.raises(ImageError, match=r"a\.fits ends before its pixels do"):
        decode_image(path)


def test_what_gzip_has_packed_behind_the_first_image_is_not_unpacked_into_memory(
    tmp_path: Path, path: Path
) -> None:
    data = values("u1", 5, 6)
    fits.PrimaryHDU(data).writeto(path)
    packed = tmp_path / "b.fits.gz"
    endless = b"XTENSION= 'IMAGE   '".ljust(40_000_000)
    for behind in (bytes(40_000_000), endless):
        packed.write_bytes(gzip.compress(path.read_bytes() + behind, 1))
        assert image_size(packed) == (5, 6)
        tracemalloc.start()
        read = decode_image(packed)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        np.testing.assert_array_equal(read.pixels[..., 0] * 255, data[::-1])
        assert read.notes == ()
        assert most < 30_000_000


def test_headers_that_do_not_end_or_claim_more_than_the_file_are_refused_at_once(path: Path) -> None:
    path.write_bytes(b"SIMPLE  =                    T".ljust(20_000_000))
    with pytest.raises(ImageError, match=r"damaged header \(it does not end"):
        image_size(path)
    fits.PrimaryHDU(values("u1", 5, 6)).writeto(path, overwrite=True)
    header = path.read_bytes()[:2880].replace(b"                    6", b"             12000000")
    packed = path.with_suffix(".fits.gz")
    packed.write_bytes(gzip.compress(header))
    with pytest.raises(ImageError, match="ends before its pixels do"):
        image_size(packed)


def with_card(unit: bytes, name: str, value: str) -> bytes:
    start = unit.index(f"{name:8}=".encode())
    return unit[:start] + f"{name:8}= {value:>20}".ljust(80).encode() + unit[start + 80 :]


BEHIND = {
    "a size that is no number": lambda second: gzip.compress(with_card(second, "NAXIS1", "junk")),
    "too many axes": lambda second: gzip.compress(with_card(second, "NAXIS", "999")),
    "a member cut short": lambda second: gzip.compress(second)[:200],
    "another check sum": lambda second: gzip.compress(second)[:-8] + bytes(8),
    "no gzip": lambda second: b"junkjunk",
}
"""What stands behind the first image."""


@pytest.mark.parametrize("behind", BEHIND)
def test_damage_behind_the_first_image_does_not_matter(path: Path, behind: str) -> None:
    fits.PrimaryHDU(np.arange(6300, dtype=np.int16).reshape(70, 90)).writeto(path)
    first = path.read_bytes()
    second = b"XTENSION= 'IMAGE   '".ljust(80) + first[80:]
    packed = path.with_suffix(".fits.gz")
    packed.write_bytes(gzip.compress(first) + BEHIND[behind](second))
    assert (decode_image(packed).pixels == decode_image(path).pixels).all()


@pytest.mark.parametrize(("card", "value"), [("NAXIS1", "junk"), ("NAXIS2", "=70"), ("BITPIX", "1.5")])
def test_a_size_that_is_no_number_is_named(path: Path, card: str, value: str) -> None:
    fits.PrimaryHDU(np.zeros((70, 90), np.uint8)).writeto(path)
    path.write_bytes(with_card(path.read_bytes(), card, value))
    with pytest.raises(
        ImageError, match=rf"has a damaged header \({card} (cannot be read|is not a whole number)\)"
    ):
        image_size(path)


def test_a_header_without_axes_has_no_data_whatever_its_counts_say(path: Path) -> None:
    fits.PrimaryHDU(np.zeros((70, 90), np.uint8)).writeto(path)
    image = b"XTENSION= 'IMAGE   '".ljust(80) + path.read_bytes()[80:]
    cards = ["SIMPLE  = T", "BITPIX  = 8", "NAXIS   = 0", "PCOUNT  = 5000", "END"]
    header = "".join(card.replace("= ", f"= {'':19}").ljust(80) for card in cards).ljust(2880)
    path.write_bytes(header.encode() + image)
    assert image_size(path) == (70, 90)
