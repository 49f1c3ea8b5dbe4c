"""Files that claim more pixels than their bytes can hold are refused by their headers; no others are."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from dgp_mining.images import limits
from dgp_mining.images.reader import ImageError, image_size
from dgp_mining.images.stored import read_stored

SIDE = 13_377
"""Of the largest square that is read."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a.image"


def png(path: Path, colours: int = 2) -> None:
    header = struct.pack(">IIBBBBB", SIDE, SIDE, 8, colours, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(bytes(1_000_000))), (b"IEND", b"")]
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + b"".join(
            struct.pack(">I", len(c)) + k + c + struct.pack(">I", zlib.crc32(k + c)) for k, c in chunks
        )
    )


def jpeg(path: Path, **how: object) -> None:
    file = io.BytesIO()
    Image.new("RGB", (64, 64)).save(file, "JPEG", **how)
    content = file.getvalue()
    frame = content.index(b"\xff\xc2" if how else b"\xff\xc0")
    path.write_bytes(content[: frame + 5] + struct.pack(">HH", SIDE, SIDE) + content[frame + 9 :])


def tiff(path: Path, compression: str | None, **how: object) -> None:
    tifffile.imwrite(path, np.zeros((64, 64, 3), np.uint8), compression=compression, photometric="rgb", **how)
    with tifffile.TiffFile(path, mode="r+") as file:
        for name in ("ImageWidth", "ImageLength", "RowsPerStrip"):
            if name in file.pages.first.tags:
                file.pages.first.tags[name].overwrite(SIDE)


def exr(path: Path, compression: str) -> None:
    openexr = pytest.importorskip("OpenEXR")
    header = {"compression": getattr(openexr, f"{compression}_COMPRESSION"), "type": openexr.scanlineimage}
    with openexr.File(header, {"RGB": np.zeros((64, 64, 3), np.float16)}) as file:
        file.write(str(path))
    old, new = struct.pack("<4i", 0, 0, 63, 63), struct.pack("<4i", 0, 0, SIDE - 1, SIDE - 1)
    path.write_bytes(path.read_bytes().replace(old, new))


IMPOSSIBLE: dict[str, Callable[[Path], None]] = {
    "png": png,
    "png of grey": lambda path: png(path, 0),
    "jpeg": jpeg,
    "progressive jpeg": lambda path: jpeg(path, progressive=True),
    "tiff": lambda path: tiff(path, None),
    "tiff, zlib": lambda path: tiff(path, "zlib"),
    "tiff, zlib, tiles": lambda path: tiff(path, "zlib", tile=(64, 64)),
    "tiff, lzw": lambda path: tiff(path, "lzw"),
    "tiff, packbits": lambda path: tiff(path, "packbits"),
    "exr": lambda path: exr(path, "NO"),
    "exr, runs": lambda path: exr(path, "RLE"),
    "exr, zip": lambda path: exr(path, "ZIP"),
    "exr, zips": lambda path: exr(path, "ZIPS"),
    "exr, pxr24": lambda path: exr(path, "PXR24"),
}


@pytest.mark.parametrize("name", IMPOSSIBLE)
def test_a_file_that_claims_more_than_it_can_hold_is_refused_by_its_header(path: Path, name: str) -> None:
    IMPOSSIBLE[name](path)
    with pytest.raises(ImageError, match=rf"a\.image ends before .*: [\d,]+ bytes cannot hold {SIDE}x{SIDE}"):
        image_size(path)


def of_one_colour(path: Path, form: str, **how: object) -> None:
    Image.new("L", (4000, 4000), 200).save(path, form, **how)


def tiff_of_one_colour(path: Path, compression: str | None, **how: object) -> None:
    tifffile.imwrite(path, np.full((4000, 4000), 200, np.uint8), compression=compression, **how)


def exr_of_one_colour(path: Path, compression: str) -> None:
    openexr = pytest.importorskip("OpenEXR")
    header = {"compression": getattr(openexr, f"{compression}_COMPRESSION"), "type": openexr.scanlineimage}
    with openexr.File(header, {"Y": np.full((2000, 2000), 0.5, np.float16)}) as file:
        file.write(str(path))


SMALL: dict[str, Callable[[Path], None]] = {
    "png": lambda path: of_one_colour(path, "PNG", compress_level=9),
    "jpeg": lambda path: of_one_colour(path, "JPEG", optimize=True, quality=1),
    "progressive jpeg": lambda path: of_one_colour(path, "JPEG", progressive=True, quality=1),
    "tiff": lambda path: tiff_of_one_colour(path, None),
    "tiff, zlib": lambda path: tiff_of_one_colour(path, "zlib", rowsperstrip=4000),
    "tiff, zlib, tiles": lambda path: tiff_of_one_colour(path, "zlib", tile=(512, 512)),
    "tiff, lzw": lambda path: tiff_of_one_colour(path, "lzw", rowsperstrip=4000),
    "tiff, packbits": lambda path: tiff_of_one_colour(path, "packbits"),
    "tiff, zlib, grey of 1 bit": lambda path: tifffile.imwrite(
        path, np.zeros((4000, 4000), bool), compression="zlib", rowsperstrip=4000
    ),
    "tiff, jpeg": lambda path: tiff_of_one_colour(path, "jpeg", tile=(512, 512)),
    "tiff, zstd": lambda path: tiff_of_one_colour(path, "zstd", rowsperstrip=4000),
    "exr": lambda path: exr_of_one_colour(path, "NO"),
    "exr, runs": lambda path: exr_of_one_colour(path, "RLE"),
    "exr, zip": lambda path: exr_of_one_colour(path, "ZIP"),
    "exr, zips": lambda path: exr_of_one_colour(path, "ZIPS"),
    "exr, piz": lambda path: exr_of_one_colour(path, "PIZ"),
    "exr, pxr24": lambda path: exr_of_one_colour(path, "PXR24"),
}


@pytest.mark.parametrize("name", SMALL)
def test_a_picture_of_one_colour_is_read_however_small_its_file_is(path: Path, name: str) -> None:
    SMALL[name](path)
    pixels = read_stored(path).pixels
    assert len(pixels) >= 2000
    assert np.ptp(pixels) < 0.01 * np.max(pixels) + 1e-6


def test_tiles_that_are_not_stored_claim_nothing(path: Path) -> None:
    tile = zlib.compress(np.full((256, 256), 200, np.uint8).tobytes())
    tiles = iter([b""] * 15 + [tile])
    shape = {"shape": (1024, 1024), "dtype": np.uint8, "tile": (256, 256)}
    tifffile.imwrite(path, tiles, **shape, compression="zlib", metadata=None)
    read = read_stored(path)
    assert "15 of its strips or tiles are not stored" in read.notes[0]
    assert (read.pixels[768:, 768:] == 200).all()


def test_a_strip_beside_ones_that_are_not_stored_is_as_small_as_its_rows_are(path: Path) -> None:
    tifffile.imwrite(
        path,
        np.zeros((4000, 4000), np.uint8),
        compression="zlib",
        rowsperstrip=3999,
        compressionargs={"level": 9},
    )
    with tifffile.TiffFile(path, mode="r+") as file:
        counts = file.pages.first.databytecounts
        file.pages.first.tags["StripByteCounts"].overwrite((0, counts[1]))
        file.pages.first.tags["StripOffsets"].overwrite((0, file.pages.first.dataoffsets[1]))
    assert image_size(path) == (4000, 4000)


def test_what_is_needed_and_held_are_compared_without_rounding(path: Path) -> None:
    path.write_bytes(bytes(10))
    limits.check_held(path, 1, 1, 10)
    with pytest.raises(ImageError, match="10 bytes cannot hold 3x2 pixels"):
        limits.check_held(path, 2, 3, 11)


@pytest.mark.parametrize("compression", [None, "zlib"])
def test_tiles_that_share_their_bytes_are_read(path: Path, compression: str | None) -> None:
    """Slides have one empty tile for all the places without tissue."""
    pixels = np.random.default_rng(0).integers(0, 255, (256, 256, 3), np.uint8)
    tifffile.imwrite(path, pixels, tile=(256, 256), compression=compression, photometric="rgb")
    with tifffile.TiffFile(path) as file:
        tags = {tag.name: tag.value for tag in file.pages.first.tags}
        start, count = tags["TileOffsets"][0], tags["TileByteCounts"][0]
        tile = path.read_bytes()[start : start + count]
    wide = np.tile(pixels, (1, 20, 1))
    tifffile.imwrite(path, wide, tile=(256, 256), compression=compression, photometric="rgb")
    with tifffile.TiffFile(path, mode="r+") as file:
        offsets = file.pages.first.tags["TileOffsets"]
        first = offsets.value[0]
        assert path.read_bytes()[first : first + count] == tile
        offsets.overwrite([first] * 20)
    path.write_bytes(path.read_bytes()[: first + count])
    assert (read_stored(path).pixels == wide).all()
