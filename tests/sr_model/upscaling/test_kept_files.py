"""From file to file: what is said of a picture is said of the larger one, in the words of each format."""

import logging
import struct
import zlib
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import ExifTags, Image

from dgp_mining.images.reader import decode_image
from dgp_mining.images.reading import Reading
from sr_model.image_io.jpeg_segments import metadata_segments, with_segments
from sr_model.networks.base import Network
from sr_model.upscaling.files import UpscaleRequest, upscale_file

XMP = (
    b"<x:xmpmeta xmlns:x='adobe:ns:meta/' xmlns:tiff='http://ns.adobe.com/tiff/1.0/'>"
    b"<tiff:Orientation>6</tiff:Orientation><tiff:ImageWidth>12</tiff:ImageWidth></x:xmpmeta>"
)
IPTC = b"\x1c\x02\x05\x00\x04Owls"
PQ_2020 = bytes([9, 16, 0, 1])


def png(path: Path, value: int, deep: bool, *chunks: tuple[bytes, bytes]) -> Path:
    """A PNG of 9x7 grey pixels of one value in RGB, with further chunks before the pixels."""
    row = b"\0" + struct.pack(">H" if deep else "B", value) * 27
    parts = [(b"IHDR", struct.pack(">IIBBBBB", 9, 7, 16 if deep else 8, 2, 0, 0, 0)), *chunks]
    parts += [(b"IDAT", zlib.compress(row * 7)), (b"IEND", b"")]
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + b"".join(
            struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
            for name, body in parts
        )
    )
    return path


@pytest.mark.parametrize("raster", [1, 2])
@pytest.mark.parametrize("window", [None, (2, 1, 6, 5)])
def test_a_geotiff_shows_the_same_ground(network: Network, tmp_path: Path, raster, window):
    keys = (1, 1, 0, 3, 1024, 0, 1, 1, 1025, 0, 1, raster, 3072, 0, 1, 32633)
    tags = [
        (33550, "d", 3, (10.0, 20.0, 0.0), True),
        (33922, "d", 6, (0.0, 0.0, 0.0, 5e5, 46e5, 0.0), True),
        (34735, "H", len(keys), keys, True),
        (42113, "s", 0, "7", True),
    ]
    pixels = np.full((8, 12, 3), 90, np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="rgb", extratags=tags)
    height, width = upscale_file(
        tmp_path / "a.tif", tmp_path / "b.tif", UpscaleRequest(2.5, window=window), network
    )
    made = tifffile.TiffFile(tmp_path / "b.tif").pages.first.tags
    left, top, columns, rows = window or (0, 0, 12, 8)
    half = 0.5 if raster == 2 else 0
    i, j, _, east, north, _ = made[33922].value
    for u, v in product((0, 1), repeat=2):
        before = (5e5 + (left + u * columns - half) * 10, 46e5 - (top + v * rows - half) * 20)
        after = (
            east + (u * width - half - i) * made[33550].value[0],
            north - (v * height - half - j) * made[33550].value[1],
        )
        assert after == pytest.approx(before, rel=1e-15, abs=1e-8)
    assert made[34735].value == keys
    assert 42113 not in made


def test_pixels_without_data_are_said(network, tmp_path, caplog):
    caplog.set_level(logging.WARNING)
    pixels = np.full((8, 12), 90, np.uint8)
    for nodata, said in (("7", False), ("90", True)):
        tags = [(42113, "s", 0, nodata, True)]
        tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="minisblack", extratags=tags)
        caplog.clear()
        upscale_file(tmp_path / "a.tif", tmp_path / "b.tif", UpscaleRequest(2.0, overwrite=True), network)
        assert ("pixels without data are upscaled as black" in caplog.text) == said


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.jpg", "a.webp"])
def test_linear_light_stays_or_is_converted_but_looks_the_same(network, tmp_path, name):
    source = png(tmp_path / "in.png", 64, False, (b"gAMA", struct.pack(">I", 100_000)))
    expected = float(decode_image(source).pixels.mean())
    assert expected == pytest.approx(0.537, abs=0.002)  # IEC 61966-2-1 of 64/255
    upscale_file(source, tmp_path / name, UpscaleRequest(2.0), network)
    assert float(decode_image(tmp_path / name).pixels.mean()) == pytest.approx(expected, abs=0.006)
    with Image.open(tmp_path / name) as image:
        stored = np.asarray(image).mean()
        assert (abs(stored - 64) < 2) == ("icc_profile" in image.info) == (name in ("a.png", "a.tif"))
        assert name != "a.png" or image.info["gamma"] == 1


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.jpg"])
def test_pq_stays_in_png_and_is_srgb_elsewhere(network, tmp_path, caplog, name):
    caplog.set_level(logging.WARNING)
    source = png(tmp_path / "in.png", 30_000, True, (b"cICP", PQ_2020))
    upscale_file(source, tmp_path / name, UpscaleRequest(2.0), network)
    assert decode_image(tmp_path / name).pixels.mean() == pytest.approx(
        decode_image(source).pixels.mean(), abs=0.008
    )
    said = (
        "in.png: its cICP chunk says PQ and other primaries than sRGB has: converted to sRGB" in caplog.text
    )
    kept = b"cICP" + PQ_2020 in (tmp_path / name).read_bytes()
    assert (kept, said) == ((True, False) if name == "a.png" else (False, True))


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.jpg", "a.webp"])
def test_xmp_and_iptc_of_a_turned_photograph_travel(network, tmp_path, name):
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation], exif[ExifTags.Base.Make] = 6, "Camera"
    Image.new("RGB", (12, 8), "teal").save(tmp_path / "in.jpg", exif=exif)
    content = with_segments((tmp_path / "in.jpg").read_bytes(), metadata_segments(XMP, IPTC))
    (tmp_path / "in.jpg").write_bytes(content)
    assert upscale_file(tmp_path / "in.jpg", tmp_path / name, UpscaleRequest(2.0), network) == (24, 16)
    written = (tmp_path / name).read_bytes()
    assert XMP.replace(b">6<", b">1<").replace(b">12<", b">16<") in written
    assert (IPTC in written) == (name in ("a.tif", "a.jpg"))  # PNG has it in hexadecimal digits
    with Image.open(tmp_path / name) as image:
        assert image.size == (16, 24)
        assert image.getexif()[ExifTags.Base.Make] == "Camera"
        assert image.getexif().get(ExifTags.Base.Orientation, 1) == 1


@pytest.mark.parametrize(
    "how",
    [
        {"imagej": True, "metadata": {"axes": "ZYX"}},
        {"ome": True, "metadata": {"axes": "ZYX"}},
        {"metadata": {"axes": "ZYX"}},
    ],
)
def test_a_result_does_not_claim_the_planes_of_its_source(network, tmp_path, caplog, how):
    caplog.set_level(logging.WARNING)
    tifffile.imwrite(tmp_path / "a.tif", np.full((3, 8, 12), 90, np.uint8), photometric="minisblack", **how)
    first = UpscaleRequest(2.0, reading=Reading(slice=0))
    upscale_file(tmp_path / "a.tif", tmp_path / "b.tif", first, network)
    with tifffile.TiffFile(tmp_path / "b.tif") as tiff:
        assert not any((tiff.is_imagej, tiff.is_ome, tiff.is_shaped))
        assert tiff.series[0].shape == (16, 24)
    assert "a.tif: its description of axes, planes and sizes is not kept" in caplog.text


def test_texts_of_png_travel_to_png(network, tmp_path):
    texts = ((b"tEXt", b"Title\0Zo\xeb"), (b"iTXt", b"Author\0\0\0en\0\0" + "Ōba".encode()))
    source = png(tmp_path / "in.png", 64, False, *texts)
    upscale_file(source, tmp_path / "a.png", UpscaleRequest(2.0), network)
    with Image.open(tmp_path / "a.png") as image:
        image.load()
        assert image.text == {"Title": "Zoë", "Author": "Ōba"}


@pytest.mark.parametrize("big", [False, True])
def test_the_directories_of_exif_do_not_point_into_the_old_file(network, tmp_path, monkeypatch, big):
    if big:
        monkeypatch.setattr("sr_model.image_io.tiff_writer._CLASSIC_BYTES", 0)
    exif = Image.Exif()
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.IFD.Interop] = {1: "R98"}
    Image.new("RGB", (12, 8), "teal").save(tmp_path / "in.jpg", exif=exif)
    upscale_file(tmp_path / "in.jpg", tmp_path / "a.tif", UpscaleRequest(2.0), network)
    place = tifffile.TiffFile(tmp_path / "a.tif").pages.first.tags["ExifTag"].value["InteroperabilityTag"]
    directory = (tmp_path / "a.tif").read_bytes()[place:]
    count, entry = struct.unpack_from("<QHHQ4s" if big else "<HHHI4s", directory)[0::4]
    assert (count, entry) == (1, b"R98\0")
