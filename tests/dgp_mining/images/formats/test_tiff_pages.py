"""Of the pages of a TIFF file, the image is read: neither a thumbnail, an overview nor a mask."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from dgp_mining.images.image_file import Model
from dgp_mining.images.reader import ImageError, decode_image, image_size
from dgp_mining.images.reading import Reading
from dgp_mining.images.stored import open_image, read_stored


def noise(*shape: int, dtype: type = np.uint8) -> np.ndarray:
    return np.random.default_rng(len(shape)).integers(0, np.iinfo(dtype).max + 1, shape, dtype)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a.tif"


def write_pages(path: Path, *pages: tuple[np.ndarray, dict[str, Any]]) -> None:
    with tifffile.TiffWriter(path) as tiff:
        for values, options in pages:
            kind = "rgb" if values.ndim == 3 else "minisblack"
            tiff.write(values, **{"photometric": kind, "metadata": None, **options})


@pytest.mark.parametrize("metadata", [None, {}], ids=["plain", "shaped"])
def test_a_thumbnail_before_the_image_is_passed_over(path: Path, metadata: dict[str, Any] | None) -> None:
    image = noise(64, 48, 3)
    small = image[::4, ::4].copy()
    write_pages(path, (small, {"subfiletype": 1, "metadata": metadata}), (image, {"metadata": metadata}))
    decoded = decode_image(path)
    np.testing.assert_array_equal(decoded.pixels, image.astype(np.float32) / np.float32(255))
    assert decoded.notes == ()
    assert image_size(path) == (64, 48)


def test_the_old_tag_marks_a_thumbnail_too(path: Path) -> None:
    """SubfileType 2 (TIFF 6.0, section 8)."""
    image = noise(64, 48)
    write_pages(path, (image[::4, ::4].copy(), {"extratags": [(255, 3, 1, 2, True)]}), (image, {}))
    assert image_size(path) == (64, 48)


def test_an_image_below_its_thumbnail_is_found(path: Path) -> None:
    image = noise(64, 48, 3)
    write_pages(path, (image[::4, ::4].copy(), {"subfiletype": 1, "subifds": 1}), (image, {}))
    np.testing.assert_array_equal(read_stored(path).pixels, image)


def test_overviews_and_masks_are_no_pages(path: Path) -> None:
    image, mask = noise(64, 48, 3), np.zeros((64, 48), bool)
    mask[10:30, 5:40] = True
    write_pages(
        path,
        (image, {}),
        (mask, {"photometric": "mask", "subfiletype": 4}),
        (image[::2, ::2].copy(), {"subfiletype": 1}),
        (mask[::2, ::2].copy(), {"photometric": "mask", "subfiletype": 5}),
    )
    stored = read_stored(path)
    np.testing.assert_array_equal(stored.pixels, np.where(mask[..., None], image, 0))
    assert stored.notes == (f"{1 - mask.mean():.2%} of its pixels hold no data",)
    assert stored.file.valid is not None
    np.testing.assert_array_equal(stored.file.valid(), mask)


@pytest.mark.parametrize("where", ["before", "below"])
def test_the_only_mask_counts_wherever_it_lies(path: Path, where: str) -> None:
    image, mask = noise(64, 48, 3), np.zeros((64, 48), bool)
    mask[10:30, 5:40] = True
    with tifffile.TiffWriter(path) as tiff:
        if where == "before":
            tiff.write(mask, photometric="mask", subfiletype=4, metadata=None)
        tiff.write(image, photometric="rgb", subifds=int(where == "below"), metadata=None)
        if where == "below":
            tiff.write(mask, photometric="mask", subfiletype=4, metadata=None)
    np.testing.assert_array_equal(read_stored(path).pixels, np.where(mask[..., None], image, 0))


def test_a_mask_of_another_size_is_said(path: Path) -> None:
    image = noise(64, 48, 3)
    with tifffile.TiffWriter(path) as tiff:
        tiff.write(image, photometric="rgb", metadata=None)
        tiff.write(np.zeros((128, 96), bool), photometric="mask", subfiletype=4, metadata=None)
    stored = read_stored(path)
    np.testing.assert_array_equal(stored.pixels, image)
    assert stored.notes == ("its transparency mask has another size and is left out",)


def test_an_overview_in_a_subifd_is_no_page(path: Path) -> None:
    image = noise(64, 48, 3)
    write_pages(path, (image, {"subifds": 1}), (image[::2, ::2].copy(), {"subfiletype": 1}))
    stored = read_stored(path)
    np.testing.assert_array_equal(stored.pixels, image)
    assert stored.notes == ()


def test_of_pages_the_first_or_the_chosen_one_is_read(path: Path) -> None:
    pages = [noise(64, 48, 3), noise(20, 30), noise(10, 70, 3)]
    write_pages(path, *((page, {}) for page in pages))
    first, last = read_stored(path), read_stored(path, Reading(slice=2))
    np.testing.assert_array_equal(first.pixels, pages[0])
    np.testing.assert_array_equal(last.pixels, pages[2])
    assert first.notes == ("the first of its 3 pages is read",)
    assert last.notes == ("number 2 (from 0) of its 3 pages is read",)
    assert image_size(path, Reading(slice=1)) == (20, 30)
    with pytest.raises(ImageError, match="has 3 pages, so slice=3 is not among them"):
        image_size(path, Reading(slice=3))


def test_pages_in_a_ring_are_read_once(path: Path) -> None:
    write_pages(path, (noise(8, 9), {}))
    with tifffile.TiffFile(path) as tiff:
        page = tiff.pages.first
        end = page.offset + 2 + 12 * len(page.tags)
    content = bytearray(path.read_bytes())
    content[end : end + 4] = page.offset.to_bytes(4, "little")
    path.write_bytes(content)
    np.testing.assert_array_equal(read_stored(path).pixels[..., 0], noise(8, 9))


@pytest.mark.parametrize("kind", [{"ome": True}, {"imagej": True}, {}], ids=["ome", "imagej", "shaped"])
@pytest.mark.parametrize(
    ("reading", "time", "slice_"),
    [
        (Reading(), 0, 2),
        (Reading(slice=3), 0, 3),
        (Reading(axis="z", slice=4), 0, 4),
        (Reading(axis="t", slice=1), 1, 2),
    ],
)
def test_a_stack_is_cut_along_its_axes(
    path: Path, kind: dict[str, Any], reading: Reading, time: int, slice_: int
) -> None:
    stack = noise(2, 5, 3, 16, 17, dtype=np.uint16)  # TZCYX, which all of the three can store
    tifffile.imwrite(path, stack, photometric="minisblack", metadata={"axes": "TZCYX"}, **kind)
    stored = read_stored(path, reading)
    np.testing.assert_array_equal(stored.pixels, np.moveaxis(stack[time, slice_], 0, 2))
    assert f"slice {slice_} (from 0) of its 5 along z is read" in stored.notes
    assert any("of its 2 times is read" in note for note in stored.notes)
    assert stored.file.model == Model.CHANNELS


def test_an_axis_that_a_stack_lacks_is_named(path: Path) -> None:
    stack = noise(4, 16, 17)
    tifffile.imwrite(path, stack, imagej=True, metadata={"axes": "TYX"})
    with pytest.raises(ImageError, match="has no axis z, but t: use axis=t"):
        decode_image(path, Reading(axis="z"))
    with pytest.raises(ImageError, match="is not cut across x"):
        decode_image(path, Reading(axis="x"))
    with pytest.raises(ImageError, match="has 4 times, so slice=9 is not among them"):
        decode_image(path, Reading(slice=9))
    assert decode_image(path).notes == ("the first of its 4 times is read",)


def test_planes_behind_a_single_directory_are_found(path: Path) -> None:
    """As ImageJ stores stacks of more than 4 GB."""
    stack = noise(6, 16, 17, dtype=np.uint16)
    tifffile.imwrite(path, stack, imagej=True, metadata={"axes": "ZYX"}, truncate=True, byteorder=">")
    np.testing.assert_array_equal(read_stored(path).pixels[..., 0], stack[3])
    path.write_bytes(path.read_bytes()[: -3 * 16 * 17 * 2])
    cut = read_stored(path)
    np.testing.assert_array_equal(cut.pixels[..., 0], stack[0])
    assert cut.notes == ("its description names 6 images, but it holds 1",)


def test_an_ome_pyramid_is_one_image(path: Path) -> None:
    image = noise(64, 48, 3)
    with tifffile.TiffWriter(path, ome=True) as tiff:
        tiff.write(image, photometric="rgb", subifds=1, metadata={"axes": "YXS"})
        tiff.write(image[::2, ::2].copy(), photometric="rgb", subfiletype=1)
    stored = read_stored(path)
    np.testing.assert_array_equal(stored.pixels, image)
    assert stored.notes == ()
    assert stored.file.model == Model.RGB


def test_of_several_ome_images_the_first_is_read_and_said(path: Path) -> None:
    with tifffile.TiffWriter(path, ome=True) as tiff:
        tiff.write(noise(64, 48), metadata={"axes": "YX"})
        tiff.write(noise(20, 30), metadata={"axes": "YX"})
    assert read_stored(path).notes == ("the first of its 2 images is read",)


@pytest.mark.parametrize("bits", [10, 12])
def test_significant_bits_of_ome_say_which_number_is_white(path: Path, bits: int) -> None:
    values = noise(16, 17, dtype=np.uint16) >> (16 - bits)
    tifffile.imwrite(path, values, ome=True, metadata={"axes": "YX", "SignificantBits": bits})
    decoded = decode_image(path)
    np.testing.assert_allclose(decoded.pixels[..., 0], values / ((1 << bits) - 1), atol=1e-6)
    assert decoded.notes == (f"its OME description says that {bits} bits are significant",)
    assert open_image(path).bits == bits


@pytest.mark.parametrize("invert", [False, True])
def test_floats_have_the_black_and_white_that_imagej_shows(path: Path, invert: bool) -> None:
    values = np.array([[-100, 0, 2000, 4000, 5000]], np.float32)
    kind = "miniswhite" if invert else "minisblack"
    tifffile.imwrite(path, values, imagej=True, photometric=kind, metadata={"min": 0.0, "max": 4000.0})
    decoded = decode_image(path)
    expected = np.array([0, 0, 0.5, 1, 1])
    np.testing.assert_allclose(decoded.pixels[0, :, 0], 1 - expected if invert else expected, atol=1e-6)
    assert "ImageJ's display range of 0 to 4000 is black to white" in decoded.notes
    np.testing.assert_allclose(decode_image(path, Reading(window=(-100, 5000))).pixels.max(), 1)


def test_a_volume_in_one_page_is_cut(path: Path) -> None:
    """ImageDepth, SGI's extension."""
    volume = noise(4, 32, 32)
    tifffile.imwrite(path, volume, volumetric=True, tile=(2, 16, 16), photometric="minisblack")
    stored = read_stored(path, Reading(slice=1))
    np.testing.assert_array_equal(stored.pixels[..., 0], volume[1])
    assert stored.notes == ("slice 1 (from 0) of its 4 along z is read",)


@pytest.mark.parametrize(
    "options", [{}, {"imagej": True, "metadata": {"axes": "CYX"}}], ids=["page", "channels"]
)
def test_a_slice_of_what_is_not_sliced_is_refused(path: Path, options: dict[str, Any]) -> None:
    tifffile.imwrite(
        path, noise(3, 16, 17) if options else noise(16, 17), photometric="minisblack", **options
    )
    assert image_size(path, Reading(slice=0)) == (16, 17)
    with pytest.raises(ImageError, match="has 1 page, so slice=1 is not among them"):
        image_size(path, Reading(slice=1))
