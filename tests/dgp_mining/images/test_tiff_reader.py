"""TIFF of scanners, satellites and microscopes: every channel and every bit, or one sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from dgp_mining.images.reader import ImageError, decode_image, image_size, read_image, read_rgb


def pixels(*shape: int, dtype: type = np.uint8) -> np.ndarray:
    return np.random.default_rng(len(shape)).integers(0, np.iinfo(dtype).max + 1, shape, dtype)


def as_float(values: np.ndarray) -> np.ndarray:
    return values.astype(np.float32) / np.float32(np.iinfo(values.dtype).max)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a.tif"


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 2, 5, 8])
@pytest.mark.parametrize("planar", [False, True])
def test_channels_are_kept(path: Path, dtype: type, channels: int, planar: bool) -> None:
    values = pixels(16, 17, channels, dtype=dtype)
    stored = np.moveaxis(values, 2, 0) if planar else values
    layout = {"planarconfig": "separate" if planar else "contig"} if channels > 1 else {}
    tifffile.imwrite(path, stored.squeeze(), photometric="minisblack", **layout)
    np.testing.assert_array_equal(read_image(path), as_float(values))
    assert image_size(path) == (16, 17)


def test_where_three_channels_are_needed_their_number_is_said(path: Path) -> None:
    tifffile.imwrite(path, pixels(16, 17, 5), photometric="minisblack", planarconfig="contig")
    with pytest.raises(ImageError, match="has 5 channels, but grey or RGB is needed"):
        read_rgb(path)


@pytest.mark.parametrize("options", [{"imagej": True}, {"ome": True}, {}], ids=["imagej", "ome", "shaped"])
def test_pages_that_are_channels_are_kept(path: Path, options: dict[str, Any]) -> None:
    """Microscopes store channels as pages."""
    values = pixels(16, 17, 4, dtype=np.uint16)
    stored = np.moveaxis(values, 2, 0)
    tifffile.imwrite(path, stored, photometric="minisblack", metadata={"axes": "CYX"}, **options)
    decoded = decode_image(path)
    np.testing.assert_array_equal(decoded.pixels, as_float(values))
    assert not decoded.notes


def test_of_a_volume_the_middle_slice_is_read_and_said(path: Path) -> None:
    values = pixels(12, 16, 17)
    tifffile.imwrite(path, values, imagej=True, metadata={"axes": "ZYX"})
    decoded = decode_image(path)
    np.testing.assert_array_equal(decoded.pixels, as_float(values[6])[..., None])
    assert decoded.notes == ("slice 6 (from 0) of its 12 along z is read",)


def test_a_description_cannot_lead_to_another_file(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    files = "".join(
        f'<TiffData IFD="0" FirstC="{channel}" PlaneCount="1"><UUID FileName="{name}">urn:uuid:{name}</UUID>'
        "</TiffData>"
        for channel, name in enumerate(("a.tif", "../secret.tif"))
    )
    for name in ("photos/a.tif", "secret.tif"):
        description = (
            '<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" '
            f'UUID="urn:uuid:{name.removeprefix("photos/")}"><Image ID="Image:0"><Pixels ID="Pixels:0" '
            'DimensionOrder="XYCZT" Type="uint8" SizeX="17" SizeY="16" SizeC="2" SizeZ="1" SizeT="1">'
            f"{files}</Pixels></Image></OME>"
        )
        tifffile.imwrite(tmp_path / name, pixels(16, 17), description=description, metadata=None)
    with pytest.raises(ImageError, match="is spread over several files"):
        read_image(tmp_path / "photos/a.tif")


@pytest.mark.parametrize("stored", ["samples", "pages"])
def test_more_than_eight_channels_are_refused_unread(path: Path, stored: str) -> None:
    samples = {"planarconfig": "contig"} if stored == "samples" else {"metadata": {"axes": "CYX"}}
    shape = (16, 17, 9) if stored == "samples" else (9, 16, 17)
    tifffile.imwrite(path, pixels(*shape), photometric="minisblack", **samples)
    with pytest.raises(ImageError, match="has 9 channels, but at most 8 are read"):
        read_image(path)


def test_a_sixteen_bit_rgba_loses_its_alpha_alone(path: Path) -> None:
    values = pixels(16, 17, 4, dtype=np.uint16)
    tifffile.imwrite(path, values, photometric="rgb", extrasamples=["unassalpha"])
    decoded = decode_image(path)
    np.testing.assert_array_equal(decoded.pixels, as_float(values[..., :3]))
    assert decoded.notes == ("the alpha channel is dropped",)


def test_a_sample_of_unknown_meaning_is_no_colour(path: Path) -> None:
    values = pixels(16, 17, 4, dtype=np.uint16)
    tifffile.imwrite(path, values, photometric="rgb", extrasamples=["unspecified"])
    decoded = decode_image(path)
    np.testing.assert_array_equal(decoded.pixels, as_float(values[..., :3]))
    assert decoded.notes == ("its 1 extra sample of unknown meaning is left out",)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_floats_are_taken_as_they_are_within_zero_to_one(path: Path, dtype: type) -> None:
    tifffile.imwrite(path, np.full((4, 4), 0.5, dtype))
    np.testing.assert_array_equal(read_image(path), np.full((4, 4, 1), 0.5, np.float32))


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (1.5, "floats from 0.25 to 1.5: scale them"),
        (-0.5, "floats from -0.5 to 0.25: scale them"),
        (np.nan, "values that are not finite"),
        (np.inf, "values that are not finite"),
    ],
)
def test_other_floats_are_refused(path: Path, value: float, reason: str) -> None:
    values = np.full((4, 4), 0.25, np.float32)
    values[1, 2] = value
    tifffile.imwrite(path, values)
    with pytest.raises(ImageError, match=rf"a\.tif holds {reason}"):
        read_image(path)


@pytest.mark.parametrize("dtype", [np.int8, np.int16, np.uint32, np.int32])
def test_numbers_whose_white_is_unknown_are_refused(path: Path, dtype: type) -> None:
    tifffile.imwrite(path, np.ones((4, 4), dtype))
    with pytest.raises(ImageError, match=r"a\.tif holds .*white=.* or convert it to 8"):
        read_image(path)


def test_a_large_claim_is_refused_unread(path: Path) -> None:
    tifffile.imwrite(path, pixels(16, 17))
    with tifffile.TiffFile(path, mode="r+") as tiff:
        for tag in ("ImageWidth", "ImageLength"):
            tiff.pages.first.tags[tag].overwrite(1_000_000, dtype="I")
    for read in (read_image, image_size):
        with pytest.raises(ImageError, match="more than 178,956,970 pixels"):
            read(path)


@pytest.mark.parametrize("compression", [None, "zlib", "lzw", "zstd", "jpeg"])
@pytest.mark.parametrize("kind", ["strips", "tiles", "pages"])
def test_a_truncated_file_is_never_taken_for_an_image(path: Path, compression: str | None, kind: str) -> None:
    values = pixels(3, 64, 64)
    tifffile.imwrite(
        path,
        values if kind == "pages" else np.moveaxis(values, 0, 2),
        photometric="minisblack" if kind == "pages" else "rgb",
        tile=(32, 32) if kind == "tiles" else None,
        metadata={"axes": "CYX" if kind == "pages" else "YXS"},
        compression=compression,
    )
    content, whole = path.read_bytes(), read_image(path)
    for length in range(1, len(content), len(content) // 40):
        path.write_bytes(content[:length])
        if sentence := refusal(path):
            assert sentence.startswith(str(path))
            assert "\n" not in sentence
        else:  # only the end of a description was cut
            np.testing.assert_array_equal(read_image(path), whole)


def refusal(path: Path) -> str | None:
    try:
        read_image(path)
    except ImageError as error:
        return str(error)
    return None
