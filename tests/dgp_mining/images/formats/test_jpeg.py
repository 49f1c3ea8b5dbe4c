"""JPEG of every kind is read as its markers say, or refused for what it is."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from PIL import Image

from dgp_mining.images.reader import ImageError, decode_image, image_size
from dgp_mining.images.reading import Reading
from dgp_mining.images.stored import open_image, read_stored


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a.jpg"


def segment(marker: int, content: bytes) -> bytes:
    return bytes([0xFF, marker]) + struct.pack(">H", len(content) + 2) + content


def with_segments(jpeg: bytes, *segments: tuple[int, bytes]) -> bytes:
    """Put segments at the start of a JPEG file."""
    return jpeg[:2] + b"".join(segment(*each) for each in segments) + jpeg[2:]


def without_segment(jpeg: bytes, marker: int) -> bytes:
    at = jpeg.index(bytes([0xFF, marker]))
    return jpeg[:at] + jpeg[at + 2 + int.from_bytes(jpeg[at + 2 : at + 4]) :]


def smooth(bits: int, channels: int) -> np.ndarray:
    """[16, 24, C] of slopes that JPEG keeps nearly as they are."""
    y, x = np.mgrid[:16, :24]
    planes = [(4 * y + (c + 1) * x) / 160 for c in range(channels)]
    values = np.stack(planes, -1).clip(0, 1) * ((1 << bits) - 1)
    return values.round().astype(np.uint8 if bits == 8 else np.uint16)


def saved(colours: np.ndarray, **settings: object) -> bytes:
    buffer = io.BytesIO()
    mode = "CMYK" if colours.ndim == 3 and colours.shape[2] == 4 else None
    image = (
        Image.frombytes(mode, colours.shape[1::-1], colours.tobytes()) if mode else Image.fromarray(colours)
    )
    image.save(buffer, "JPEG", quality=98, subsampling=0, **settings)  # type: ignore[arg-type]
    return buffer.getvalue()


def flat(*colour: int) -> np.ndarray:
    return np.full((8, 8, len(colour)), colour, np.uint8)


@pytest.mark.parametrize("channels", [1, 3])
def test_twelve_bits_are_kept(path: Path, channels: int) -> None:
    values = smooth(12, channels).squeeze()
    path.write_bytes(imagecodecs.jpeg8_encode(values, level=98, bitspersample=12, subsampling="444"))
    decoded = decode_image(path)
    np.testing.assert_allclose(decoded.pixels.squeeze(), values / 4095, atol=6 / 4095)
    assert decoded.notes == ()
    assert open_image(path).bits == 12


@pytest.mark.parametrize("bits", [2, 7, 8, 10, 12, 15, 16])
@pytest.mark.parametrize("channels", [1, 3])
def test_lossless_of_every_depth_is_read_exactly(path: Path, bits: int, channels: int) -> None:
    values = np.random.default_rng(bits).integers(0, 1 << bits, (9, 11, channels))
    values = values.astype(np.uint8 if bits <= 8 else np.uint16).squeeze()
    path.write_bytes(imagecodecs.jpeg8_encode(values, lossless=True, bitspersample=bits))
    read = decode_image(path).pixels
    np.testing.assert_allclose(read.squeeze(), values / ((1 << bits) - 1), atol=1e-6)
    assert image_size(path) == read.shape[:2] == (9, 11)


def test_lossless_rgb_behind_a_jfif_segment_is_rgb(path: Path) -> None:
    values = np.random.default_rng(0).integers(0, 256, (9, 11, 3), np.uint8)
    lossless = without_segment(imagecodecs.jpeg8_encode(values, lossless=True), 0xEE)
    for names in (b"RGB", b"\1\2\3", b"\0\1\2"):
        renamed = lossless
        for old, new in zip(b"RGB", names, strict=True):
            renamed = renamed.replace(bytes([old, 0x11, 0]), bytes([new, 0x11, 0]))
        scan = renamed.index(b"\xff\xda\0\x0c") + 5
        renamed = (
            renamed[:scan]
            + b"".join(bytes([new, renamed[scan + 2 * i + 1]]) for i, new in enumerate(names))
            + renamed[scan + 6 :]
        )
        path.write_bytes(with_segments(renamed, (0xE0, b"JFIF\0\1\1\0\0\1\0\1\0\0")))
        assert np.array_equal(read_stored(path).pixels, values)
        # An encoder of ultrasound images stores YCbCr there, as JFIF says.
        assert read_stored(path).notes[0].startswith("its JFIF header says YCbCr")
        path.write_bytes(renamed)
        assert read_stored(path).notes == ()


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_jpeg_ls_is_read_exactly(path: Path, channels: int, dtype: type) -> None:
    values = np.random.default_rng(0).integers(0, np.iinfo(dtype).max, (9, 11, channels), dtype).squeeze()
    path.write_bytes(imagecodecs.jpegls_encode(values))
    assert np.array_equal(read_stored(path).pixels.squeeze(), values)
    assert open_image(path).format == "JPEG-LS"


# An Adobe file holds the light that each ink leaves: 0 is full ink (Adobe Technical Note 5116).
@pytest.mark.parametrize("transform", ["cmyk", "ycck"])
@pytest.mark.parametrize("bits", [8, 12])
def test_inks_of_adobe_files_are_inverted(path: Path, transform: str, bits: int) -> None:
    values = smooth(bits, 4)
    settings = {"level": 98, "bitspersample": bits, "colorspace": "cmyk", "outcolorspace": transform}
    path.write_bytes(imagecodecs.jpeg8_encode(values, **settings))
    file = read_stored(path)
    inks = file.pixels / (1 if bits == 12 else 255)
    np.testing.assert_allclose(inks, 1 - values / ((1 << bits) - 1), atol=0.02)
    assert file.notes == ()


def test_inks_without_adobes_marker_are_taken_for_inverted_and_that_is_said(path: Path) -> None:
    jpeg = saved(flat(255, 0, 0, 0))
    assert b"Adobe" in jpeg
    path.write_bytes(without_segment(jpeg, 0xEE))
    decoded = decode_image(path)
    np.testing.assert_allclose(decoded.pixels[0, 0], [0, 1, 1], atol=0.01)
    assert "0 is taken for full ink" in decoded.notes[0]


def test_rgb_that_is_not_transformed_is_taken_as_it_is(path: Path) -> None:
    values = flat(200, 30, 100)
    by_adobe = imagecodecs.jpeg8_encode(values, level=98, outcolorspace="rgb")
    assert b"Adobe" in by_adobe
    path.write_bytes(by_adobe)
    np.testing.assert_allclose(decode_image(path).pixels[0, 0] * 255, [200, 30, 100], atol=1.1)
    by_names = without_segment(by_adobe, 0xEE)  # leaves the component identifiers R, G, B
    path.write_bytes(by_names)
    np.testing.assert_allclose(decode_image(path).pixels[0, 0] * 255, [200, 30, 100], atol=1.1)


def exif(space: int, index: bytes, order: str, orientation: int = 1) -> bytes:
    """An EXIF with ColorSpace and InteroperabilityIndex (DCF 2.0), in either byte order."""
    head = (b"MM\0*" if order == ">" else b"II*\0") + struct.pack(f"{order}I", 8)

    def directory(*entries: tuple[int, int, int, bytes]) -> bytes:
        fields = b"".join(
            struct.pack(f"{order}HHI", *entry[:3]) + entry[3].ljust(4, b"\0") for entry in entries
        )
        return struct.pack(f"{order}H", len(entries)) + fields + bytes(4)

    short, long = (lambda v: struct.pack(f"{order}H", v)), (lambda v: struct.pack(f"{order}I", v))
    main = directory((274, 3, 1, short(orientation)), (0x8769, 4, 1, long(8 + 30)))
    photo = directory((0xA001, 3, 1, short(space)), (0xA005, 4, 1, long(8 + 30 + 30)))
    return b"Exif\0\0" + head + main + photo + directory((1, 2, 4, index + b"\0"))


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("space", [0xFFFF, 2])
def test_adobe_rgb_by_exif_is_converted_and_said(path: Path, order: str, space: int) -> None:
    """DCF 2.0, 7.3.2. The right value is that of an Adobe RGB profile."""
    content = saved(flat(60, 180, 60))
    path.write_bytes(with_segments(content, (0xE1, exif(space, b"R03", order))))
    decoded = decode_image(path)
    np.testing.assert_allclose(decoded.pixels[0, 0] * 255, [0, 181, 42], atol=1.6)
    assert decoded.notes[0].startswith("its EXIF (Adobe RGB) says a gamma of 2.199 and other primaries")


def test_other_colour_spaces_by_exif_stay_and_an_unknown_one_is_said(path: Path) -> None:
    content = saved(flat(60, 180, 60))
    for space, index, notes in (
        (1, b"R98", 0),
        (1, b"R03", 0),  # says sRGB
        (0xFFFF, b"R98", 1),
    ):
        path.write_bytes(with_segments(content, (0xE1, exif(space, index, "<"))))
        decoded = decode_image(path)
        np.testing.assert_allclose(decoded.pixels[0, 0] * 255, [60, 180, 60], atol=1.6)
        assert len(decoded.notes) == notes


def test_a_profile_counts_more_than_exif(path: Path) -> None:
    gamma = imagecodecs.cms_profile(
        "rgb", whitepoint=[0.3127, 0.329], primaries=[0.64, 0.33, 0.3, 0.6, 0.15, 0.06], gamma=1.0
    )
    content = saved(flat(64, 64, 64), icc_profile=gamma)
    path.write_bytes(with_segments(content, (0xE1, exif(0xFFFF, b"R03", "<"))))
    decoded = decode_image(path)
    np.testing.assert_allclose(decoded.pixels * 255, 137.2, atol=1)
    assert decoded.notes == ()


def test_a_profile_in_pieces_is_put_together_in_their_order(path: Path) -> None:
    profile = imagecodecs.cms_profile("adobergb")
    pieces = [profile[:100], profile[100:300], profile[300:]]
    parts = [(0xE2, b"ICC_PROFILE\0" + bytes([i + 1, 3]) + piece) for i, piece in enumerate(pieces)]
    content = saved(flat(60, 180, 60))
    path.write_bytes(with_segments(content, *parts[::-1]))
    assert open_image(path).encoding.profile == profile
    np.testing.assert_allclose(decode_image(path).pixels[0, 0] * 255, [0, 181, 42], atol=1.6)
    path.write_bytes(with_segments(content, *parts[1:]))
    decoded = decode_image(path)
    np.testing.assert_allclose(decoded.pixels[0, 0] * 255, [60, 180, 60], atol=1.6)
    assert decoded.notes == ("its colour profile is incomplete and is ignored",)


@pytest.mark.parametrize("orientation", range(1, 10))
@pytest.mark.parametrize("kind", ["8 bits", "12 bits", "lossless", "JPEG-LS"])
def test_orientation_counts_for_size_and_pixels(path: Path, orientation: int, kind: str) -> None:
    values = np.zeros((16, 32), np.uint16)
    values[:8, :8] = 4095
    content = {
        "8 bits": lambda: saved((values >> 4).astype(np.uint8)),
        "12 bits": lambda: imagecodecs.jpeg8_encode(values, level=98, bitspersample=12),
        "lossless": lambda: imagecodecs.jpeg8_encode(values, lossless=True, bitspersample=12),
        "JPEG-LS": lambda: imagecodecs.jpegls_encode((values >> 4).astype(np.uint8)),
    }[kind]()
    path.write_bytes(with_segments(content, (0xE1, exif(1, b"R98", "<", orientation))))
    read = decode_image(path).pixels[..., 0]
    assert read.shape == image_size(path) == ((32, 16) if 5 <= orientation <= 8 else (16, 32))
    corner = read[-8:] if orientation in (3, 4, 7, 8) else read[:8]
    corner = corner[:, -8:] if orientation in (2, 3, 6, 7) else corner[:, :8]
    assert corner.min() > 0.9


def test_metadata_is_attached(path: Path) -> None:
    records = b"\x1c\x02\x78\0\x03sea"
    resource = b"Photoshop 3.0\x008BIM\x03\xed\0\0\0\0\0\x02xx8BIM\4\4\0\0" + struct.pack(">I", 8) + records
    jpeg = saved(flat(1, 2, 3), dpi=(300, 150), comment=b"a comment")
    packet = b"http://ns.adobe.com/xap/1.0/\0<x:xmpmeta/>"
    path.write_bytes(with_segments(jpeg, (0xE1, exif(1, b"R98", ">")), (0xE1, packet), (0xED, resource)))
    attached = open_image(path).attachments()
    assert attached.xmp == b"<x:xmpmeta/>"
    assert attached.iptc == records
    assert attached.dpi == (300, 150)
    assert attached.texts == (("Comment", "a comment"),)
    assert attached.exif == exif(1, b"R98", ">")[6:]
    path.write_bytes(with_segments(jpeg, (0xE1, b"Exif\0\0no TIFF header")))
    assert open_image(path).attachments().problem == "its EXIF is damaged"
    assert decode_image(path).notes == ()


def frame(marker: int, bits: int, height: int, width: int, components: int) -> bytes:
    parts = b"".join(bytes([number + 1, 0x11, 0]) for number in range(components))
    header = segment(marker, struct.pack(">BHHB", bits, height, width, components) + parts)
    return b"\xff\xd8" + header + segment(0xDA, bytes(6)) + b"\xff\xd9"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (frame(0xC0, 8, 0, 8, 3), r"is a JPEG that says its height only behind its pixels \(DNL\)"),
        (frame(0xC5, 8, 8, 8, 3), r"is a hierarchical JPEG \(SOF5\)"),
        (frame(0xCB, 8, 8, 8, 3), r"is a lossless with arithmetic coding JPEG \(SOF11\)"),
        (frame(0xC0, 8, 8, 8, 2), "is a JPEG of 2 components of unknown meaning"),
        (frame(0xF7, 8, 8, 8, 3).replace(b"\2\x11", b"\2\x22"), "is JPEG-LS with subsampled components"),
        (frame(0xC0, 9, 8, 8, 3), "is a damaged JPEG"),
        (frame(0xC0, 8, 60_000, 60_000, 3), "has more than"),
        (b"\xff\xd8\xff\xd9", "is a damaged JPEG"),
        (
            b"\xff\xd8\xff\xe0\0\2" + bytes(1 << 25),
            "is a damaged JPEG",
        ),  # zeros, as a broken disk leaves them
        (b"\xff\xd8\xff\xe0\xff\xff", "is a damaged JPEG"),
        (frame(0xC0, 8, 8, 8, 3)[:12], "is a damaged JPEG"),
    ],
)
def test_what_is_not_read_is_refused_for_what_it_is(path: Path, content: bytes, reason: str) -> None:
    path.write_bytes(content)
    for read in (decode_image, image_size):
        with pytest.raises(ImageError, match=rf"a\.jpg {reason}"):
            read(path)


@pytest.mark.parametrize("kind", ["8 bits", "12 bits", "lossless", "JPEG-LS"])
def test_a_file_that_ends_too_early_is_refused(path: Path, kind: str) -> None:
    values = np.random.default_rng(0).integers(0, 4096, (64, 64), np.uint16)
    content = {
        "8 bits": lambda: saved((values >> 4).astype(np.uint8)),
        "12 bits": lambda: imagecodecs.jpeg8_encode(values, level=98, bitspersample=12),
        "lossless": lambda: imagecodecs.jpeg8_encode(values, lossless=True, bitspersample=12),
        "JPEG-LS": lambda: imagecodecs.jpegls_encode(values),
    }[kind]()
    path.write_bytes(content[: len(content) // 2])
    assert image_size(path) == (64, 64)
    with pytest.raises(ImageError, match=r"a\.jpg (ends before its pixels do|cannot be decoded)"):
        decode_image(path)


def of_pillow(colours: np.ndarray, **settings: object) -> bytes:
    content = io.BytesIO()
    Image.fromarray(colours).save(content, "JPEG", **settings)
    return content.getvalue()


@pytest.mark.parametrize("kind", [{}, {"progressive": True}, {"subsampling": 2}, {"optimize": True}])
def test_a_header_that_claims_more_pixels_than_can_follow_is_refused_before_they_are_decoded(
    path: Path, kind: dict[str, object]
) -> None:
    jpeg = of_pillow(smooth(8, 3), **kind)
    at = jpeg.index(b"\xff\xc2" if "progressive" in kind else b"\xff\xc0") + 5
    path.write_bytes(jpeg[:at] + struct.pack(">HH", 13_377, 13_377) + jpeg[at + 4 :])
    for read in (image_size, decode_image):
        with pytest.raises(ImageError, match=r"a\.jpg ends before its pixels do"):
            read(path)


@pytest.mark.parametrize("subsampling", [0, 1, 2])
@pytest.mark.parametrize("progressive", [False, True])
def test_a_picture_of_one_colour_is_read_however_few_bytes_it_takes(
    path: Path, subsampling: int, progressive: bool
) -> None:
    settings = {"subsampling": subsampling, "progressive": progressive, "optimize": True, "quality": 1}
    path.write_bytes(of_pillow(np.full((1000, 1500, 3), 128, np.uint8), **settings))
    np.testing.assert_allclose(decode_image(path).pixels, 128 / 255, atol=1e-6)


def test_progressive_scans_with_tables_between_them_are_whole(path: Path) -> None:
    values = smooth(8, 3)
    path.write_bytes(saved(values, progressive=True) + b"trailing bytes")
    np.testing.assert_allclose(decode_image(path).pixels, values / 255, atol=4 / 255)


def test_of_several_images_the_first_is_read(path: Path) -> None:
    first, second = (Image.new("RGB", (8, 8), (level, 0, 0)) for level in (200, 100))
    first.save(path, "MPO", save_all=True, append_images=[second], quality=98)
    decoded = decode_image(path)
    assert round(float(decoded.pixels[0, 0, 0]) * 255) == pytest.approx(200, abs=2)
    assert decoded.notes == ()
    with pytest.raises(ImageError, match="has 1 frame, so slice=1 is not among them"):
        open_image(path, Reading(slice=1))
