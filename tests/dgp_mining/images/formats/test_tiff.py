"""Every kind of TIFF becomes the numbers that TIFF 6.0 gives it a meaning for, or one true sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image
from tiff_files import LONG, RATIONAL, SHORT, noise, packed, write_tiff

from dgp_mining.images.image_file import Alpha, Model
from dgp_mining.images.reader import ImageError, decode_image, image_size
from dgp_mining.images.reading import Reading
from dgp_mining.images.stored import open_image, read_stored


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a.tif"


@pytest.mark.parametrize("bits", [1, 4, 8, 12, 16])
def test_white_is_zero_at_every_depth(path: Path, bits: int) -> None:
    values = noise(7, 9, 1, bits=bits)
    if bits in (8, 16):
        tifffile.imwrite(path, values[..., 0], photometric="miniswhite")
    else:
        write_tiff(path, (7, 9), packed(values, bits), [bits], 0)
    np.testing.assert_allclose(decode_image(path).pixels, 1 - values / ((1 << bits) - 1), atol=1e-6)


def test_white_is_zero_of_floats_and_with_a_chosen_white(path: Path) -> None:
    tifffile.imwrite(path, np.array([[0, 0.25, 1]], np.float32), photometric="miniswhite")
    np.testing.assert_array_equal(decode_image(path).pixels[0, :, 0], [1, 0.75, 0])
    for dtype in (np.uint16, np.uint32):
        tifffile.imwrite(path, np.array([[0, 250, 1000]], dtype), photometric="miniswhite")
        read = decode_image(path, Reading(white=1000)).pixels
        np.testing.assert_allclose(read[0, :, 0], [1, 0.75, 0], atol=1e-6)


def test_alpha_of_white_is_zero_is_not_reversed(path: Path) -> None:
    values = noise(7, 9, 2)
    layout: dict[str, Any] = {"planarconfig": "contig", "extrasamples": ["unassalpha"]}
    tifffile.imwrite(path, values, photometric="miniswhite", **layout)
    stored = read_stored(path)
    np.testing.assert_allclose(stored.pixels[..., 0], 1 - values[..., 0] / 255, atol=1e-6)
    np.testing.assert_allclose(stored.pixels[..., 1], values[..., 1] / 255, atol=1e-6)


def test_a_chosen_white_is_not_that_of_alpha(path: Path) -> None:
    values = noise(7, 9, 4, bits=16)
    tifffile.imwrite(path, values // np.array([66, 66, 66, 1]).astype(np.uint16), extrasamples=["unassalpha"])
    stored = read_stored(path, Reading(white=1000)).pixels
    np.testing.assert_allclose(stored[..., 3], values[..., 3] / 65535, atol=1e-6)
    np.testing.assert_allclose(stored[..., :3], values[..., :3] // 66 / 1000, atol=1e-6)


@pytest.mark.parametrize("bits", [1, 2, 4, 8, 16])
@pytest.mark.parametrize("entries", [8, 16, 0])
def test_palettes_of_any_depth_become_colours(path: Path, bits: int, entries: int) -> None:
    """Entries of 16 bits, of 8 bits in both of their bytes, and (0) of 8 bits as old scanners wrote them."""
    colours = noise(3, 1 << bits, bits=16)
    colours[:, 0] = 65535
    if entries == 8:
        colours = (colours >> 8) * 257
    elif entries == 0:
        colours >>= 8
    values = noise(16, 24, bits=bits)
    content = values.tobytes() if bits == 16 else packed(values, bits)
    write_tiff(path, (16, 24), content, [bits], 3, {320: (SHORT, colours.ravel().tolist())})
    decoded = decode_image(path)
    expected = np.moveaxis(colours, 0, 1)[values] / (255 if entries == 0 else 65535)
    np.testing.assert_allclose(decoded.pixels, expected, atol=1e-6)
    assert bool(decoded.notes) == (entries == 0)


def test_a_palette_keeps_its_alpha(path: Path) -> None:
    values, colours = noise(7, 9, 2), noise(3, 256, bits=16)
    more = {320: (SHORT, colours.ravel().tolist()), 338: (SHORT, [2])}
    write_tiff(path, (7, 9), values.tobytes(), [8, 8], 3, more)
    stored = read_stored(path)
    np.testing.assert_array_equal(stored.pixels[..., :3], np.moveaxis(colours, 0, 1)[values[..., 0]])
    np.testing.assert_array_equal(stored.pixels[..., 3], values[..., 1].astype(np.uint16) * 257)


def test_a_palette_without_enough_colours_is_refused(path: Path) -> None:
    write_tiff(path, (7, 9), noise(7, 9).tobytes(), [8], 3, {320: (SHORT, [9] * 3 * 16)})
    with pytest.raises(ImageError, match="has a palette of 16 colours, but 256 indices"):
        decode_image(path)


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize("alpha", [False, True])
def test_cmyk_of_any_layout_is_ink(path: Path, bits: int, planar: str, alpha: bool) -> None:
    values = noise(7, 9, 5 if alpha else 4, bits=bits)
    stored = values if planar == "contig" else np.moveaxis(values, 2, 0)
    extra = {"extrasamples": ["unassalpha"]} if alpha else {}
    tifffile.imwrite(path, stored, photometric="separated", planarconfig=planar, **extra)
    ink = values / ((1 << bits) - 1)
    expected = (1 - ink[..., :3]) * (1 - ink[..., 3:4])
    np.testing.assert_allclose(decode_image(path).pixels, expected, atol=1.01 / ((1 << bits) - 1))
    assert open_image(path).model == Model.CMYK


def test_other_inks_are_not_taken_for_cmyk(path: Path) -> None:
    tifffile.imwrite(path, noise(7, 9, 4), photometric="separated", extratags=[(332, SHORT, 1, 2, True)])
    file = open_image(path)
    assert (file.model, file.channels) == (Model.CHANNELS, 4)
    assert "its inks are others than CMYK and are kept as channels" in file.notes


@pytest.mark.parametrize(("across", "down"), [(1, 1), (2, 1), (2, 2), (4, 2)])
@pytest.mark.parametrize("studio", [False, True])
def test_ycbcr_without_jpeg_is_read_as_libtiff_reads_it(
    path: Path, across: int, down: int, studio: bool
) -> None:
    height, width = 19, 26
    units = noise(-(-height // down), -(-width // across), across * down + 2)
    more = {530: (SHORT, [across, down]), 529: (RATIONAL, [2126, 10000, 7152, 10000, 722, 10000])}
    if studio:
        more[532] = (RATIONAL, [16, 1, 235, 1, 128, 1, 240, 1, 128, 1, 240, 1])
    write_tiff(path, (height, width), units.tobytes(), [8, 8, 8], 6, more)
    expected = imagecodecs.tiff_decode(path.read_bytes(), asrgb=True)[..., :3]
    read = read_stored(path).pixels
    assert np.abs(read.astype(int) - expected).max() <= 3  # libtiff rounds several times in between


def test_cie_lab_of_eight_and_sixteen_bits(path: Path) -> None:
    """L* of 50, a* of 40, b* of -60 (TIFF 6.0, section 23; ICCLab has its zero at 128)."""
    for kind in ("cielab", "icclab"):
        shift = 128 if kind == "icclab" else 0
        deep = np.uint16([0x8000 if shift == 0 else 0x7F80, (40 + shift) * 256, (-60 + shift) % 256 * 256])
        for values in (np.uint8([128, 40 + shift, (-60 + shift) % 256]), deep):
            for planar in ("contig", "separate"):
                stored = np.tile(values, (7, 9, 1))
                stored = stored if planar == "contig" else np.moveaxis(stored, 2, 0)
                tifffile.imwrite(path, stored, photometric=kind, planarconfig=planar)
                image = read_stored(path)
                whole = np.iinfo(image.pixels.dtype).max if image.pixels.dtype.kind == "u" else 1.0
                lab = image.pixels[3, 3] / whole * [100, 255, 255] - [0, 128, 128]
                np.testing.assert_allclose(
                    lab, [50, 40, -60], atol=0.21 if values.dtype == np.uint8 else 0.01
                )
                assert image.file.model == Model.LAB


def test_cie_lab_of_floats_is_taken_as_it_is(path: Path) -> None:
    tifffile.imwrite(path, np.tile(np.float32([50, 40, -60]), (7, 9, 1)), photometric="cielab")
    lab = read_stored(path).pixels[3, 3] * [100, 255, 255] - [0, 128, 128]
    np.testing.assert_allclose(lab, [50, 40, -60], atol=1e-4)


def test_lab_in_jpeg_is_not_taken_for_ycbcr(path: Path) -> None:
    lab = np.repeat(np.repeat(noise(4, 4, 3) // 2, 16, 0), 16, 1)
    Image.fromarray(lab, "LAB").save(path, compression="jpeg", quality=100)
    expected = np.asarray(Image.open(path)) ^ np.uint8([0, 128, 128])
    assert np.abs(read_stored(path).pixels.astype(int) - expected).max() <= 1


def test_lightness_alone_is_neutral(path: Path) -> None:
    write_tiff(path, (7, 9), bytes([128]) * 63, [8], 8)
    np.testing.assert_array_equal(read_stored(path).pixels[0, 0], [128, 128, 128])


def test_associated_alpha_is_divided_out_wherever_it_lies(path: Path) -> None:
    straight = noise(7, 9, 3) // 2 + 100
    alpha = np.uint8([128])
    multiplied = (straight * (alpha / 255)).round().astype(np.uint8)
    unknown = noise(7, 9, 1)
    samples = np.concatenate([multiplied, unknown, np.full((7, 9, 1), alpha)], axis=2)
    write_tiff(path, (7, 9), samples.tobytes(), [8] * 5, 2, {338: (SHORT, [0, 1])})
    stored = read_stored(path)
    assert stored.file.alpha == Alpha.ASSOCIATED
    assert stored.notes == ("its 1 extra sample of unknown meaning is left out",)
    assert np.abs(stored.pixels[..., :3].astype(int) - straight).max() <= 1
    np.testing.assert_array_equal(stored.pixels[..., 3], alpha[0])


@pytest.mark.parametrize("dtype", [np.int8, np.int16, np.int32, np.uint32])
def test_a_window_gives_other_numbers_a_meaning(path: Path, dtype: type) -> None:
    tifffile.imwrite(path, np.array([[10, 60, 110]], dtype))
    if dtype == np.int8:
        with pytest.raises(ImageError, match="white is unknown"):
            decode_image(path)
    read = decode_image(path, Reading(window=(10, 110))).pixels
    np.testing.assert_allclose(read[0, :, 0], [0, 0.5, 1], atol=1e-6)


def test_floats_of_other_widths(path: Path) -> None:
    write_tiff(path, (1, 2), bytes([0, 0, 0x3F, 0, 0, 0x3E]), [24], 1, {339: (SHORT, [3])})
    np.testing.assert_allclose(decode_image(path).pixels[0, :, 0], [1.0, 0.5], atol=1e-6)


def test_numbers_of_undefined_format_are_unsigned(path: Path) -> None:
    values = noise(7, 9, bits=16)
    write_tiff(path, (7, 9), values.tobytes(), [16], 1, {339: (SHORT, [4])})
    np.testing.assert_allclose(decode_image(path).pixels[..., 0], values / 65535, atol=1e-6)


def test_linear_light_of_logluv_is_decoded(path: Path) -> None:
    """The one pixel of L = 1, u' and v' of D65 (Larson 1998): linear white."""
    luv = [64 * 256, round(0.1978 * 410), round(0.4683 * 410)]
    pixel = luv[0].to_bytes(2, "big") + bytes(luv[1:])
    planes = b"".join(bytes([1, byte]) for byte in pixel)  # one literal byte in each of four planes
    tags = {259: (SHORT, [34676]), 339: (SHORT, [2, 2, 2])}
    write_tiff(path, (1, 1), planes, [16, 16, 16], 32845, tags)
    stored = read_stored(path)
    np.testing.assert_allclose(stored.pixels[0, 0], [1, 1, 1], atol=0.03)
    assert stored.file.encoding.transfer == "linear"


@pytest.mark.parametrize(
    ("bits", "photometric", "more", "reason"),
    [
        ([5, 6, 5], 2, {}, r"different numbers of bits \(5, 6, 5\)"),
        ([8, 8, 8], 10, {}, "colours of the kind ITULab"),
        ([16], 32803, {}, r"camera raw data \(CFA\)"),
        ([16, 16, 16], 34892, {}, r"camera raw data \(LINEAR_RAW\)"),
        ([8], 4, {}, "only a transparency mask"),
        ([8], 1, {259: (SHORT, [34661])}, "compressed with JBIG"),
        ([8], 1, {259: (SHORT, [9999])}, "compressed with number 9999"),
        ([64], 1, {339: (SHORT, [6])}, "complex numbers"),
        ([8, 8], 2, {}, None),
        ([16, 16, 16], 6, {}, "YCbCr of integers of 16 bits"),
        ([8, 8, 8], 5, {}, "3 samples, but CMYK needs 4"),
    ],
)
def test_what_is_not_read_is_said_truthfully(
    path: Path, bits: list[int], photometric: int, more: dict[int, tuple[int, list[int]]], reason: str | None
) -> None:
    write_tiff(path, (8, 8), bytes(8 * 8 * 8 * len(bits)), bits, photometric, more)
    if reason is None:
        assert open_image(path).model == Model.CHANNELS
        return
    with pytest.raises(ImageError, match=reason):
        image_size(path)


@pytest.mark.parametrize("samples", [1, 3])
def test_a_missing_photometric_interpretation_is_assumed_and_said(path: Path, samples: int) -> None:
    values = noise(7, 9, samples)
    write_tiff(path, (7, 9), values.tobytes(), [8] * samples, None)
    decoded = decode_image(path)
    np.testing.assert_allclose(decoded.pixels, values / 255, atol=1e-6)
    assert "is assumed" in decoded.notes[0]


def test_uncompressed_strips_may_claim_too_many_bytes(path: Path) -> None:
    values = noise(7, 9)
    write_tiff(path, (7, 9), values.tobytes(), [8], 1, {279: (LONG, [1 << 30])})
    np.testing.assert_allclose(decode_image(path).pixels[..., 0], values / 255, atol=1e-6)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("layout", ["contig", "separate"])
@pytest.mark.parametrize(("dtype", "predictor"), [("u1", 2), ("u2", 2), ("f4", 3)])
def test_every_layout_gives_the_same_pixels(
    path: Path, order: str, big: bool, layout: str, dtype: str, predictor: int
) -> None:
    values = (
        (noise(40, 50, 3) / 255).astype(dtype) if dtype == "f4" else noise(40, 50, 3, bits=8 * int(dtype[1]))
    )
    stored = values if layout == "contig" else np.moveaxis(values, 2, 0)
    tifffile.imwrite(
        path, stored, byteorder=order, bigtiff=big, photometric="rgb", planarconfig=layout, tile=(16, 32),
        compression="zlib", predictor=predictor,
    )  # fmt: skip
    whole = 1.0 if dtype == "f4" else np.iinfo(dtype).max
    np.testing.assert_allclose(decode_image(path).pixels, values / whole, atol=1e-6)


def test_a_jpeg_of_twelve_bits_and_of_inks(path: Path) -> None:
    smooth = np.add.outer(np.arange(64), np.arange(64)).astype(np.uint16) * 32
    tifffile.imwrite(path, smooth, bitspersample=12, compression="jpeg", tile=(32, 32))
    np.testing.assert_allclose(decode_image(path).pixels[..., 0], smooth / 4095, atol=0.02)
    Image.fromarray(np.repeat(noise(8, 8, 4), 8, 0).repeat(8, 1), "CMYK").save(
        path, compression="jpeg", quality=100
    )
    expected = np.asarray(Image.open(path))
    np.testing.assert_array_equal(read_stored(path).pixels, expected)


def test_a_tile_cannot_claim_more_memory_than_an_image(path: Path) -> None:
    tags = {322: (LONG, [1 << 20]), 323: (LONG, [1 << 20]), 324: (LONG, [8]), 325: (LONG, [64])}
    write_tiff(path, (8, 8), bytes(64), [8], 1, tags)
    with pytest.raises(ImageError, match="more than 178,956,970 pixels"):
        decode_image(path)


def test_slides_of_aperio_are_ycbcr_where_their_compression_says_so(path: Path) -> None:
    """33003; OpenSlide converts them although their tag says RGB."""
    ycbcr = np.repeat(np.repeat(noise(8, 8, 3), 8, 0), 8, 1)
    content = bytes(imagecodecs.jpeg2k_encode(ycbcr, level=0, mct=False, codecformat="j2k"))
    for description, converted in ((b"Aperio Image Library", True), (b"another", False)):
        more = {259: (SHORT, [33003]), 270: (2, list(description + b"\0"))}
        write_tiff(path, (64, 64), content, [8, 8, 8], 2, more)
        expected = np.asarray(Image.fromarray(ycbcr, "YCbCr").convert("RGB")) if converted else ycbcr
        assert np.abs(read_stored(path).pixels.astype(int) - expected).max() <= 1


def test_subsampled_ycbcr_in_other_codecs_is_refused(path: Path) -> None:
    content = bytes(imagecodecs.jpeg2k_encode(noise(16, 16, 3), level=0, codecformat="j2k"))
    more = {259: (SHORT, [34712]), 530: (SHORT, [2, 2])}
    write_tiff(path, (16, 16), content, [8, 8, 8], 6, more)
    with pytest.raises(ImageError, match="has subsampled YCbCr compressed with JPEG2000"):
        image_size(path)


@pytest.mark.parametrize("bits", [8, 16])
def test_a_fourth_sample_of_which_nothing_is_said_is_taken_for_alpha(path: Path, bits: int) -> None:
    """OpenCV writes alpha so."""
    values = noise(7, 9, 4, bits=bits)
    write_tiff(path, (7, 9), values.tobytes(), [bits] * 4, 2)
    stored = read_stored(path)
    np.testing.assert_array_equal(stored.pixels, values)
    assert stored.file.alpha == Alpha.STRAIGHT
    assert stored.notes == ("nothing says what its fourth sample is; alpha is assumed",)
