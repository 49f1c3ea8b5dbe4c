"""What is said of a picture arrives where other programs look for it, or a line says that it does not."""

import io
import logging
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import ExifTags, Image, ImageCms, IptcImagePlugin

from dgp_mining.images.attachments import GeoReference
from dgp_mining.images.encoding import Encoding
from sr_model.image_io.metadata import Metadata, portable_exif
from sr_model.image_io.png_writer import text_chunk
from sr_model.image_io.reader import read_source_image
from sr_model.image_io.writer import Target, check_target, write_image

PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
XMP = (
    b"<x:xmpmeta xmlns:x='adobe:ns:meta/' xmlns:tiff='http://ns.adobe.com/tiff/1.0/'>"
    b"<tiff:Orientation>6</tiff:Orientation></x:xmpmeta>"
)
UPRIGHT = XMP.replace(b">6<", b">1<")
IPTC = b"\x1c\x02\x05\x00\x04Owls" + b"\x1c\x02\x78\x00\x03in\xe9"  # title and caption
GEO = GeoReference(
    (10.0, 10.0, 0.0), (0.0, 0.0, 0.0, 5e5, 46e5, 0.0), (), (1, 1, 0, 1, 1024, 0, 1, 1), (6.5,), "WGS 84|é|"
)
ALL = Metadata(PROFILE, None, (300.0, 150.0), XMP, IPTC, (("Title", "Owl"), ("Author", "Ōba")), GEO)


def written(path: Path, metadata: Metadata, dtype: str = "uint8", channels: int = 3) -> Path:
    image = np.random.default_rng(0).integers(0, 200, (6, 9, channels)).astype(dtype)
    write_image(Target(path, *image.shape, image.dtype, metadata), iter([image]))
    return path


def chunks(path: Path) -> dict[bytes, bytes]:
    """The chunks of a PNG file by name; an assertion fails if a checksum does not fit."""
    content, place, found = path.read_bytes(), 8, {}
    while place < len(content):
        (length,), name = struct.unpack_from(">I", content, place), content[place + 4 : place + 8]
        body = content[place + 8 : place + 8 + length]
        assert zlib.crc32(name + body) == int.from_bytes(content[place + 8 + length : place + 12 + length])
        found.setdefault(name, body)
        place += 12 + length
    return found


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.webp", "a.tif"])
def test_xmp_is_found_by_pillow_and_says_that_pixels_are_upright(tmp_path, name):
    with Image.open(written(tmp_path / name, ALL)) as image:
        if name == "a.tif":
            assert image.tag_v2[700] == UPRIGHT
        else:
            assert image.info["xmp"] == UPRIGHT
        assert image.info["icc_profile"] == PROFILE
        assert image.getexif().get(ExifTags.Base.Orientation, 1) == 1


def test_iptc_in_png_is_as_imagemagick_writes_it(tmp_path):
    content = chunks(written(tmp_path / "a.png", Metadata(iptc=IPTC)))[b"zTXt"]
    keyword, _, text = content.partition(b"\0")
    assert keyword == b"Raw profile type iptc"
    nothing, name, length, *digits, end = zlib.decompress(text[1:]).decode().split("\n")
    profile = bytes.fromhex("".join(digits))
    assert (nothing, name, int(length), end) == ("", "iptc", len(profile), "")
    assert profile == b"8BIM\4\4\0\0\0\0" + struct.pack(">H", len(IPTC)) + IPTC + bytes(len(IPTC) % 2)
    assert read_source_image(tmp_path / "a.png").metadata.iptc == IPTC


def test_comments_of_jpeg_stay_comments(tmp_path, caplog):
    texts = (("Comment", "made in Zürich"), ("comment", "長い"), ("Title", "Owl"))
    target = Target(tmp_path / "a.jpg", 6, 9, 3, np.dtype("uint8"), Metadata(texts=texts))
    check_target(target, 10**9)
    assert caplog.messages == [f"{tmp_path / 'a.jpg'}: JPEG keeps no texts (Title)"]
    content = written(tmp_path / "a.jpg", Metadata(texts=texts)).read_bytes()
    assert b"\xff\xfe\0\x10made in Z\xfcrich\xff\xfe\0\x08" + "長い".encode() in content
    with Image.open(tmp_path / "a.jpg") as image:
        assert image.size == (9, 6)


@pytest.mark.parametrize("name", ["a.jpg", "a.tif"])
def test_iptc_is_found_by_pillow(tmp_path, name):
    with Image.open(written(tmp_path / name, ALL)) as image:
        assert IptcImagePlugin.getiptcinfo(image) == {(2, 5): b"Owls", (2, 120): b"in\xe9"}


def test_libvips_finds_the_same(tmp_path):
    pyvips = pytest.importorskip("pyvips")
    for name in ("a.jpg", "a.webp", "a.tif", "a.png"):
        image = pyvips.Image.new_from_file(str(written(tmp_path / name, ALL)))
        assert image.get("xmp-data") == UPRIGHT, name
        assert image.get("icc-profile-data") == PROFILE, name
        if name in ("a.jpg", "a.tif"):
            assert IPTC in image.get("iptc-data"), name
        if name != "a.webp":
            assert image.xres * 25.4 == pytest.approx(300, abs=0.02), name


def test_texts_of_png_are_latin_or_unicode_short_or_long(tmp_path):
    texts = (*ALL.texts, ("Comment", "long " * 1000), ("More", "長い" * 1000))
    with Image.open(written(tmp_path / "a.png", Metadata(texts=texts))) as image:
        image.load()
        assert image.text == dict(texts)
    kinds = [text_chunk(*text)[0] for text in texts]
    assert kinds == [b"tEXt", b"iTXt", b"zTXt", b"iTXt"]


def test_the_rpc_model_of_a_satellite_is_said_to_be_dropped(tmp_path, caplog):
    coefficients = (50844, "d", 92, tuple(float(n) for n in range(92)), True)
    tifffile.imwrite(
        tmp_path / "a.tif", np.zeros((8, 9, 3), np.uint8), photometric="rgb", extratags=[coefficients]
    )
    read_source_image(tmp_path / "a.tif")
    assert "its RPC model of the sensor is of this size alone and is dropped" in caplog.text


def test_the_georeference_is_in_the_tags_of_geotiff(tmp_path):
    tags = tifffile.TiffFile(written(tmp_path / "a.tif", ALL)).pages.first.tags
    assert tags[33550].value == GEO.scale
    assert tags[33922].value == GEO.tiepoints
    assert tags[34735].value == GEO.keys
    assert tags[34736].value == GEO.doubles
    assert 34264 not in tags
    assert tags[33550].dtype == tags[33922].dtype == tifffile.DATATYPE.DOUBLE
    assert tags[34735].dtype == tifffile.DATATYPE.SHORT


def test_webp_has_the_resolution_in_exif(tmp_path):
    with Image.open(written(tmp_path / "a.webp", Metadata(dpi=(300.0, 150.0)))) as image:
        exif = image.getexif()
    assert (exif[ExifTags.Base.XResolution], exif[ExifTags.Base.YResolution]) == (300, 150)
    assert exif[ExifTags.Base.ResolutionUnit] == 2


@pytest.mark.parametrize(
    ("name", "lost"),
    [
        ("a.png", "PNG keeps no georeference"),
        ("a.jpg", "JPEG keeps no georeference, and no texts (Title, Author)"),
        ("a.webp", "WebP keeps no georeference, and no IPTC, and no texts (Title, Author)"),
        ("a.tif", "TIFF keeps no texts (Title, Author)"),
    ],
)
def test_what_is_not_kept_is_said_in_one_line(tmp_path, caplog, name, lost):
    caplog.set_level(logging.WARNING)
    check_target(Target(tmp_path / name, 4, 4, 3, np.dtype("uint8"), ALL), 10**9)
    assert caplog.messages == [f"{tmp_path / name}: {lost}"]


def test_what_is_too_long_for_jpeg_is_said_and_left_out(tmp_path, caplog):
    caplog.set_level(logging.WARNING)
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = "Camera" * 20_000
    long = Metadata(exif=portable_exif(exif), xmp=XMP + b" " * 70_000, iptc=IPTC * 7_000)
    target = Target(tmp_path / "a.jpg", 6, 9, 3, np.dtype("uint8"), long)
    check_target(target, 10**9)
    assert caplog.messages[0].endswith(
        "JPEG keeps no EXIF of more than 65,533 bytes, and no XMP of more than 65,533 bytes, "
        "and no IPTC of more than 65,533 bytes"
    )
    with Image.open(written(tmp_path / "a.jpg", long)) as image:
        assert image.size == (9, 6)
        assert not {"exif", "xmp", "photoshop"} & set(image.info)


def test_exif_of_a_jpeg_comes_before_other_metadata(tmp_path):
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = "Camera"
    content = written(
        tmp_path / "a.jpg", Metadata(PROFILE, portable_exif(exif), None, XMP, IPTC)
    ).read_bytes()
    places = [content.index(mark) for mark in (b"Exif\0\0", b"ns.adobe.com/xap", b"Photoshop 3.0\0")]
    assert places == sorted(places)
    assert Image.open(io.BytesIO(content)).getexif()[ExifTags.Base.Make] == "Camera"


def test_exif_has_no_places_in_old_pixels_and_no_layout_or_georeference_of_the_old_file():
    exif = Image.Exif()
    exif[ExifTags.Base.Make], exif[320], exif[33550], exif[42113] = "Camera", [1, 2], (1.0, 1.0, 0.0), "-9999"
    exif.get_ifd(ExifTags.IFD.Exif)[0x9214] = (10, 20)
    kept = Metadata(exif=portable_exif(exif)).sized_exif(90, 60)
    assert set(kept) <= {ExifTags.Base.Make, ExifTags.IFD.Exif}
    assert not kept.get_ifd(ExifTags.IFD.Exif)


def test_exif_of_colours_that_became_srgb_says_so():
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = "Camera"
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.ColorSpace] = 65535
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.IFD.Interop] = {1: "R03"}
    about = Metadata(PROFILE, portable_exif(exif), encoding=Encoding(transfer=2.2)).in_srgb()
    assert (about.profile, about.encoding) == (None, Encoding())
    again = Image.Exif()
    again.load(about.exif)
    assert again.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.ColorSpace] == 1
    assert not again.get_ifd(ExifTags.IFD.Interop)


WIDE = (0.3127, 0.3290, 0.708, 0.292, 0.170, 0.797, 0.131, 0.046)


@pytest.mark.parametrize(
    ("encoding", "expected"),
    [
        (Encoding(), {}),
        (Encoding(said_by="its sRGB chunk"), {b"sRGB": b"\0"}),
        (Encoding(transfer=1.0, said_by="its gAMA chunk"), {b"gAMA": struct.pack(">I", 100_000)}),
        (Encoding(transfer=2.2, primaries=WIDE), {b"gAMA": struct.pack(">I", 45455), b"cHRM": struct.pack(
            ">8I", 31270, 32900, 70800, 29200, 17000, 79700, 13100, 4600)}),
        (Encoding(transfer="pq", primaries=WIDE, cicp=(9, 16, 9, 0)), {b"cICP": bytes([9, 16, 0, 1])}),
        (Encoding(transfer="hlg", primaries=WIDE), {b"cICP": bytes([9, 18, 0, 1])}),
        (Encoding(transfer="bt709"), {b"cICP": bytes([1, 1, 0, 1])}),
    ],
)  # fmt: skip
def test_encodings_are_stated_in_the_chunks_of_png(tmp_path, encoding, expected):
    found = chunks(written(tmp_path / "a.png", Metadata(encoding=encoding), "uint16"))
    assert found.items() >= expected.items()
    assert {b"sRGB", b"cICP", b"gAMA"} & set(found) == {b"sRGB", b"cICP", b"gAMA"} & set(expected)
    assert (b"iCCP" in found) == (b"gAMA" in expected)
    names = list(found)
    assert all(names.index(name) < names.index(b"IDAT") for name in expected)
