"""Whatever is in a PNG file, its chunks say what it means, wherever in the file they stand."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from PIL import Image

from dgp_mining.images.formats import png_chunks
from dgp_mining.images.formats.png import as_significant
from dgp_mining.images.formats.png_row import _first_of_several_colours
from dgp_mining.images.reader import ImageError, decode_image, image_size
from dgp_mining.images.reading import Reading
from dgp_mining.images.stored import open_image, read_stored

RGB, GREY = 2, 0
CHRM_SRGB = struct.pack(">8I", 31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)


def chunk(kind: bytes, content: bytes) -> bytes:
    checked = kind + content
    return struct.pack(">I", len(content)) + checked + struct.pack(">I", zlib.crc32(checked))


def png(
    rows: list[bytes],
    width: int,
    depth: int,
    kind: int,
    *before: tuple[bytes, bytes],
    behind: tuple[tuple[bytes, bytes], ...] = (),
) -> bytes:
    pixels = zlib.compress(b"".join(b"\0" + row for row in rows))
    header = struct.pack(">2I5B", width, len(rows), depth, kind, 0, 0, 0)
    chunks = [(b"IHDR", header), *before, (b"IDAT", pixels), *behind, (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*each) for each in chunks)


def packed(values: list[int], depth: int) -> bytes:
    bits = "".join(f"{value:0{depth}b}" for value in values)
    bits += "0" * (-len(bits) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8)


def one_pixel(depth: int, kind: int, values: list[int], *chunks: tuple[bytes, bytes]) -> bytes:
    return png([packed(values, depth)], 1, depth, kind, *chunks)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a.png"


@pytest.mark.parametrize("depth", [1, 2, 4, 8, 16])
@pytest.mark.parametrize("transparent", [None, 1])
def test_grey_of_every_depth_with_and_without_a_transparent_grey(
    path: Path, depth: int, transparent: int | None
) -> None:
    most = (1 << depth) - 1
    values = [0, 1, most // 2, most]
    chunks = [] if transparent is None else [(b"tRNS", struct.pack(">H", transparent))]
    path.write_bytes(png([packed(values, depth)], 4, depth, GREY, *chunks))
    decoded = decode_image(path)
    np.testing.assert_allclose(decoded.pixels[0, :, 0], np.array(values) / most, atol=1e-7)
    file = open_image(path)
    assert (file.bits, file.channels, file.model) == (depth, 1, "grey")
    if transparent is not None:
        alpha = read_stored(path).pixels[0, :, 1]
        assert [value == 0 for value in alpha] == [value == transparent for value in values]
        assert decoded.notes == ("the alpha channel is dropped",)


@pytest.mark.parametrize("depth", [8, 16])
def test_a_transparent_colour_becomes_alpha(path: Path, depth: int) -> None:
    values = [1, 2, 3, 1, 2, 4]
    path.write_bytes(png([packed(values, depth)], 2, depth, RGB, (b"tRNS", struct.pack(">3H", 1, 2, 3))))
    stored = read_stored(path)
    whole = (1 << depth) - 1
    assert stored.alpha
    assert stored.pixels.tolist() == [[[1, 2, 3, 0], [1, 2, 4, whole]]]


@pytest.mark.parametrize("depth", [1, 2, 4, 8])
@pytest.mark.parametrize("alpha", [(), (0x80,)])
def test_a_palette_of_every_depth(path: Path, depth: int, alpha: tuple[int, ...]) -> None:
    palette = bytes([10, 20, 30, 200, 100, 50])
    chunks = [(b"PLTE", palette), *([(b"tRNS", bytes(alpha))] if alpha else [])]
    path.write_bytes(png([packed([1, 0, 1], depth)], 3, depth, 3, *chunks))
    opaque, half = ([255], [128]) if alpha else ([], [])
    expected = [[200, 100, 50, *opaque], [10, 20, 30, *half], [200, 100, 50, *opaque]]
    assert read_stored(path).pixels.tolist() == [expected]


def test_an_interlaced_image_is_as_one_that_is_not(path: Path) -> None:
    """The first Adam7 pass of an 8x8 image is one pixel, the others fill the rest (PNG 8.1)."""
    values = np.arange(64, dtype=np.uint8).reshape(8, 8)
    passes = [values[0::8, 0::8], values[0::8, 4::8], values[4::8, 0::4], values[0::4, 2::4]]
    passes += [values[2::4, 0::2], values[0::2, 1::2], values[1::2, 0::1]]
    content = zlib.compress(b"".join(b"\0" + row.tobytes() for part in passes for row in part))
    header = struct.pack(">2I5B", 8, 8, 8, GREY, 0, 0, 1)
    chunks = chunk(b"IHDR", header) + chunk(b"IDAT", content) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunks)
    assert np.array_equal(read_stored(path).pixels[..., 0], values)


def exif(orientation: int) -> bytes:
    content = Image.Exif()
    content[274] = orientation
    return content.tobytes().removeprefix(b"Exif\0\0")


@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("where", ["before", "behind", "text", "compressed text"])
def test_exif_counts_for_size_and_pixels_wherever_it_stands(path: Path, depth: int, where: str) -> None:
    rows = [packed([0, 0, 9], depth), packed([0, 0, 0], depth)]  # 6: the right end becomes the bottom
    digits = exif(6).hex().encode()
    raw = b"\nexif\n" + str(len(digits) // 2).rjust(8).encode() + b"\n" + digits + b"\n"
    name = b"Raw profile type exif\0"
    written = {
        "before": (b"eXIf", exif(6)),
        "behind": (b"eXIf", exif(6)),
        "text": (b"tEXt", name + raw),
        "compressed text": (b"zTXt", name + b"\0" + zlib.compress(raw)),
    }[where]
    if where == "before":
        path.write_bytes(png(rows, 3, depth, GREY, written))
    else:
        path.write_bytes(png(rows, 3, depth, GREY, behind=(written,)))
    read = decode_image(path).pixels
    assert read.shape == (3, 2, 1)
    assert image_size(path) == (3, 2)
    assert np.flatnonzero(read).tolist() == [5]
    attached = open_image(path).attachments()
    assert attached.exif is not None
    assert attached.texts == ()


# Right values: light is value^(1/gAMA), and sRGB encodes 64/255 of light as 137.2/255 (IEC 61966-2-1).
@pytest.mark.parametrize("kind", [RGB, GREY])
@pytest.mark.parametrize("depth", [8, 16])
def test_a_gamma_is_converted_and_said(path: Path, kind: int, depth: int) -> None:
    values = [64 * (257 if depth == 16 else 1)] * (3 if kind == RGB else 1)
    path.write_bytes(one_pixel(depth, kind, values, (b"gAMA", struct.pack(">I", 100_000))))
    decoded = decode_image(path)
    np.testing.assert_allclose(decoded.pixels * 255, 137.2, atol=0.25)
    assert decoded.pixels.shape == (1, 1, len(values))
    assert decoded.notes == ("its gAMA chunk says a gamma of 1: converted to sRGB",)


@pytest.mark.parametrize("gamma", [45455, 45454, 45000, 46000])
def test_a_gamma_of_about_2_2_stands_for_srgb(path: Path, gamma: int) -> None:
    chunks = ((b"gAMA", struct.pack(">I", gamma)), (b"cHRM", CHRM_SRGB))
    path.write_bytes(one_pixel(8, RGB, [10, 100, 200], *chunks))
    decoded = decode_image(path)
    assert (decoded.pixels * 255).round().ravel().tolist() == [10, 100, 200]
    assert decoded.notes == ()


def test_other_primaries_are_converted(path: Path) -> None:
    """Adobe RGB (1998) as gAMA and cHRM: its green is beyond sRGB; the right value is that of the profile."""
    chrm = struct.pack(">8I", 31270, 32900, 64000, 33000, 21000, 71000, 15000, 6000)
    gama = struct.pack(">I", round(100_000 / 2.19921875))
    path.write_bytes(one_pixel(8, RGB, [60, 180, 60], (b"gAMA", gama), (b"cHRM", chrm)))
    decoded = decode_image(path)
    np.testing.assert_allclose(decoded.pixels.ravel() * 255, [0, 181, 42], atol=1)
    assert decoded.notes[0].startswith("its gAMA and cHRM chunks say a gamma of 2.199 and other primaries")
    grey = one_pixel(8, GREY, [60], (b"gAMA", gama), (b"cHRM", chrm))  # which has no primaries
    path.write_bytes(grey)
    np.testing.assert_allclose(decode_image(path).pixels.ravel() * 255, [60], atol=1e-3)


def test_impossible_primaries_leave_a_gamma_as_it_is(path: Path) -> None:
    gama = (b"gAMA", struct.pack(">I", 100_000))
    path.write_bytes(one_pixel(8, RGB, [64] * 3, gama, (b"cHRM", bytes(32))))
    decoded = decode_image(path)
    np.testing.assert_allclose(decoded.pixels.ravel() * 255, 137.2, atol=0.8)
    assert decoded.notes == (
        "its cHRM chunk names impossible colours and is ignored",
        "its gAMA chunk says a gamma of 1: converted to sRGB",
    )


def test_what_the_chunks_say_counts_in_the_order_of_the_specification(path: Path) -> None:
    """cICP before iCCP before sRGB before gAMA and cHRM (PNG, third edition, 11.3.2)."""
    linear = (b"gAMA", struct.pack(">I", 100_000))
    gamma18 = imagecodecs.cms_profile(
        "rgb", whitepoint=[0.3127, 0.329, 1.0], primaries=[0.64, 0.33, 0.3, 0.6, 0.15, 0.06], gamma=1.8
    )
    profile = (b"iCCP", b"x\0\0" + zlib.compress(gamma18))
    srgb, cicp_srgb = (b"sRGB", b"\0"), (b"cICP", bytes([1, 13, 0, 1]))
    unspecified = (b"cICP", bytes([2, 2, 0, 1]))
    by_profile = 255 * (1.055 * (64 / 255) ** (1.8 / 2.4) - 0.055)  # 93.8
    for chunks, right in (
        ((cicp_srgb, profile, srgb, linear), 64),
        ((unspecified, profile, linear), by_profile),
        ((profile, srgb, linear), by_profile),
        ((srgb, linear), 64),
        ((linear,), 137.2),
    ):
        path.write_bytes(one_pixel(8, RGB, [64] * 3, *chunks))
        np.testing.assert_allclose(decode_image(path).pixels * 255, right, atol=0.8)


def test_pq_is_converted_with_203_cd_m2_as_white(path: Path) -> None:
    """ITU-R BT.2408-7, table 1: 203 cd/m2 is 58 per cent of the PQ signal, 26 cd/m2 (18 % grey) 38 %."""
    levels = [round(65535 * level) for level in (0.38, 0.58, 1.0)]
    rows = [packed([level for level in levels for _ in range(3)], 16)]
    path.write_bytes(png(rows, 3, 16, RGB, (b"cICP", bytes([9, 16, 0, 1]))))
    grey = 255 * (1.055 * (26 / 203) ** (1 / 2.4) - 0.055)
    decoded = decode_image(path)
    np.testing.assert_allclose(
        decoded.pixels[0] * 255, np.repeat([[grey], [255], [255]], 3, axis=1), atol=2.5
    )
    assert decoded.notes == (
        "its cICP chunk says PQ and other primaries than sRGB has: converted to sRGB, 203 cd/m2 being white, "
        "and what is brighter or more colourful is clipped",
    )
    toned = decode_image(path, Reading(tone="reinhard"))
    np.testing.assert_allclose(toned.pixels[0, 1] * 255, 255 * (1.055 * 0.5 ** (1 / 2.4) - 0.055), atol=1)
    assert "Reinhard" in toned.notes[0]


def test_hlg_is_converted_as_a_display_of_1000_cd_m2_shows_it(path: Path) -> None:
    """ITU-R BT.2408-7, table 1: 203 cd/m2 is 75 per cent of the HLG signal, 26 cd/m2 38 per cent."""
    rows = [packed([round(65535 * level) for level in (0.38, 0.75) for _ in range(3)], 16)]
    path.write_bytes(png(rows, 2, 16, RGB, (b"cICP", bytes([9, 18, 0, 1]))))
    grey = 255 * (1.055 * (26 / 203) ** (1 / 2.4) - 0.055)
    np.testing.assert_allclose(decode_image(path).pixels[0, :, 1] * 255, [grey, 255], atol=2.5)


@pytest.mark.parametrize("codes", [(1, 13), (2, 2)], ids=["sRGB", "unspecified"])
def test_a_narrow_range_ends_at_16_and_235_but_not_in_alpha(path: Path, codes: tuple[int, int]) -> None:
    rows = [bytes([16, 235, 0, 128, 8, 250, 126, 255])]
    path.write_bytes(png(rows, 2, 8, 6, (b"cICP", bytes([*codes, 0, 0]))))
    stored = read_stored(path)
    expected = [[0, 1, 0, 128 / 255], [0, 1, 110 / 219, 1]]
    np.testing.assert_allclose(stored.pixels[0], expected, atol=1e-6)


def test_colour_chunks_that_cannot_be_used_are_said(path: Path) -> None:
    for chunks, note in (
        ([(b"cICP", bytes([9, 16, 9, 1]))], "its cICP chunk is ignored (its matrix is not that of RGB)"),
        ([(b"cICP", bytes([1, 9, 0, 1]))], "its cICP chunk is ignored (code points 1 and 9 are not read)"),
        ([(b"iCCP", b"x\0\0not deflated")], "its iCCP chunk is ignored (Error -3 while decompressing data"),
        ([(b"cHRM", bytes(32))], "its cHRM chunk names impossible colours and is ignored"),
    ):
        path.write_bytes(one_pixel(8, RGB, [10, 100, 200], *chunks))
        decoded = decode_image(path)
        assert (decoded.pixels * 255).round().ravel().tolist() == [10, 100, 200]
        assert len(decoded.notes) == 1
        assert decoded.notes[0].startswith(note)


def test_twelve_bits_that_are_not_scaled_up_are_divided_by_4095(path: Path) -> None:
    values = np.array([[0, 1000, 2047, 4095]], np.uint16)
    path.write_bytes(png([values.astype(">u2").tobytes()], 4, 16, GREY, (b"sBIT", b"\x0c")))
    decoded = decode_image(path)
    np.testing.assert_allclose(decoded.pixels[0, :, 0], values[0] / 4095, atol=1e-6)
    assert decoded.notes == ("its values are not scaled to 16 bits: 4095 (of its sBIT chunk) is white",)
    np.testing.assert_allclose(  # the user knows better
        decode_image(path, Reading(white=2 * 4095)).pixels[0, :, 0], values[0] / 8190, atol=1e-6
    )


@pytest.mark.parametrize(("depth", "bits"), [(16, 12), (16, 10), (16, 14), (16, 7), (8, 5), (8, 6)])
@pytest.mark.parametrize("way", ["zeros", "repeated", "rounded", "truncated"])
def test_significant_bits_that_are_scaled_up_change_nothing(depth: int, bits: int, way: str) -> None:
    """Even of a dark image, whose numbers would all fit into the significant bits (PNG, 12.4)."""
    few = np.arange(1 << bits)
    few = few[: max(2, len(few) >> (depth - bits))]
    whole, most = (1 << depth) - 1, (1 << bits) - 1
    text = [f"{value:0{bits}b}" for value in few]
    scaled = {
        "zeros": few << (depth - bits),
        "repeated": np.array([int((t * 16)[:depth], 2) for t in text]),
        "rounded": np.round(few * (whole / most)),
        "truncated": np.floor(few * (whole / most)),
    }[way]
    pixels = np.repeat(scaled.astype(np.uint16 if depth == 16 else np.uint8)[None, :, None], 3, axis=2)
    assert as_significant(pixels, depth, (bits,) * 3).levels is None


def test_significant_bits_of_each_channel_have_their_own_white() -> None:
    pixels = np.array([[[31, 63, 30, 255], [3, 7, 5, 255]]], np.uint8)
    samples = as_significant(pixels, 8, (5, 6, 5, 8))
    assert samples.levels is not None
    assert samples.levels.white == (31.0, 63.0, 31.0, 255.0)
    assert as_significant(pixels, 8, (5, 6, 4, 8)).levels is None  # 30 has more than 4 bits
    assert as_significant(pixels, 8, (8, 8, 8, 8)).levels is None
    assert as_significant(pixels, 8, ()).levels is None


def test_of_an_animation_the_first_frame_is_read_and_others_by_number(path: Path) -> None:
    frames = [Image.new("RGB", (4, 3), (level, 0, 0)) for level in (10, 20, 30)]
    frames[0].save(path, save_all=True, append_images=frames[1:])
    for number, note in ((0, "the first"), (2, "number 2 (from 0)")):
        decoded = decode_image(path, Reading(slice=number))
        assert round(float(decoded.pixels[0, 0, 0]) * 255) == 10 * (number + 1)
        assert decoded.notes == (f"{note} of its 3 frames is read",)
    with pytest.raises(ImageError, match=r"has 3 frames, so slice=3 is not among them"):
        open_image(path, Reading(slice=3))


def test_a_damaged_animation_does_not_touch_the_still_image(path: Path) -> None:
    row = bytes([10, 20, 30])
    huge = struct.pack(">II", 1 << 31, 0)  # PNG's numbers have 31 bits
    early = struct.pack(">I", 0) + zlib.compress(b"\0" + row)  # a frame without its fcTL
    path.write_bytes(png([row], 3, 8, 0, (b"acTL", huge), (b"fdAT", early)))
    assert (decode_image(path).pixels[0, :, 0] * 255).round().tolist() == [10, 20, 30]


def test_a_png_without_pixels_is_refused(path: Path) -> None:
    whole = png([bytes(3)], 3, 8, 0)
    path.write_bytes(whole[: whole.index(b"IDAT") - 4] + chunk(b"IEND", b""))
    with pytest.raises(ImageError, match=r"a\.png has no pixels"):
        decode_image(path)


def test_texts_xmp_iptc_and_resolution_are_attached(path: Path) -> None:
    records = b"\x1c\x02\x78\0\x03sea"
    resource = b"8BIM\4\4\0\0" + struct.pack(">I", len(records)) + records
    raw = b"\niptc\n      20\n" + resource.hex().encode()
    chunks = (
        (b"tEXt", b"Author\0J\xfcrgen"),
        (b"zTXt", b"Comment\0\0" + zlib.compress(b"long")),
        (b"iTXt", b"Title\0\0\0de\0Titel\0" + "Größe".encode()),
        (b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0<x:xmpmeta/>"),
        (b"zTXt", b"Raw profile type iptc\0\0" + zlib.compress(raw)),
        (b"pHYs", struct.pack(">2IB", 11811, 5906, 1)),
    )
    path.write_bytes(png([b"\0"], 1, 8, GREY, behind=chunks))
    attached = open_image(path).attachments()
    assert attached.texts == (("Author", "Jürgen"), ("Comment", "long"), ("Title", "Größe"))
    assert attached.xmp == b"<x:xmpmeta/>"
    assert attached.iptc == records
    assert attached.dpi == pytest.approx((300, 150), rel=1e-3)


def test_a_damaged_file_is_refused(path: Path) -> None:
    good = one_pixel(8, RGB, [64] * 3, (b"gAMA", struct.pack(">I", 100_000)))
    wrong = good.replace(struct.pack(">I", 100_000), struct.pack(">I", 90_000))
    for content, reason in (
        (wrong, r"is a damaged PNG \(checksum of gAMA\)"),
        (good[:-20], "cannot be decoded"),
        (good[:20], "is a damaged PNG: "),
        (good[:24] + b"\3" + good[25:], r"is a damaged PNG \(checksum of IHDR\)"),
        (good[:8] + chunk(b"CgBI", bytes(4)) + good[8:], "is a PNG of Apple's own kind"),
    ):
        path.write_bytes(content)
        with pytest.raises(ImageError, match=rf"a\.png {reason}"):
            decode_image(path)


def test_a_chunk_that_inflates_without_end_is_not_inflated(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(png_chunks, "_MAX_CONTENT", 10_000)
    bomb = zlib.compress(bytes(10_001))
    chunks = ((b"iCCP", b"x\0\0" + bomb), (b"zTXt", b"Comment\0\0" + bomb))
    path.write_bytes(one_pixel(8, RGB, [64] * 3, *chunks))
    assert decode_image(path).notes == ("its iCCP chunk is ignored (it ends too early or is too large)",)
    assert open_image(path).attachments().texts == ()


def test_a_damaged_filter_of_a_flat_row_is_no_row_of_colours() -> None:
    """Filter 9 does not exist; the next row would have been unfiltered below nothing."""
    rows = bytes([9, *[7] * 6]) + bytes([2, *range(6)])
    assert _first_of_several_colours(rows, 7, 3) == b""
    assert _first_of_several_colours(bytes([0, *[7] * 6]) + rows[7:], 7, 3) != b""
