"""DICOM is shown by its own window, in pydicom's physical values; all encodings give the same numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dgp_mining.images.paths import list_images
from dgp_mining.images.reader import ImageError, decode_image, image_size
from dgp_mining.images.reading import Reading
from dgp_mining.images.stored import open_image

pydicom = pytest.importorskip("pydicom")

from dicom_files import random, write  # noqa: E402
from pydicom import uid  # noqa: E402
from pydicom.dataset import Dataset  # noqa: E402
from pydicom.encaps import encapsulate  # noqa: E402
from pydicom.pixels import apply_color_lut, apply_modality_lut, apply_voi_lut, convert_color_space  # noqa: E402


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a.dcm"


def shown(data: Any, low: float, high: float) -> np.ndarray:
    """Pydicom's physical values, from `low` to `high` as 0 to 1."""
    physical = apply_modality_lut(data.pixel_array, data).astype(np.float64)
    return ((physical - low) / (high - low)).clip(0, 1)


@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT", "SIGMOID", None])
@pytest.mark.parametrize("kind", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize("signed", [False, True])
def test_the_first_window_is_applied_to_rescaled_values(
    path: Path, function: str, kind: str, signed: bool
) -> None:
    pixels = random(-1500, 1500, np.int16, 9, 12) if signed else random(0, 4096, np.uint16, 9, 12)
    window = {"WindowCenter": [40, 300], "WindowWidth": [400, 1500]}
    more = {"VOILUTFunction": function} if function else {}
    data = write(path, pixels, kind, BitsStored=12, RescaleSlope=0.5, RescaleIntercept=-24, **window, **more)
    expected = apply_voi_lut(apply_modality_lut(data.pixel_array, data), data)
    least = -2048 if signed else 0  # pydicom maps to the range of the rescaled numbers
    expected = (expected - (least * 0.5 - 24)) / (4095 * 0.5)
    read = decode_image(path)
    np.testing.assert_allclose(
        read.pixels[..., 0], 1 - expected if kind == "MONOCHROME1" else expected, atol=2e-6
    )
    assert read.notes[0].startswith("its first of 2 windows, centre 40 and width 400")


def test_the_users_window_counts_in_rescaled_units_at_any_number_of_bits(path: Path) -> None:
    for pixels in (random(0, 256, np.uint8, 9, 12), random(0, 4096, np.uint16, 9, 12)):
        for kind in ("MONOCHROME2", "MONOCHROME1"):
            data = write(
                path,
                pixels,
                kind,
                RescaleSlope=2,
                RescaleIntercept=-100,
                WindowCenter=0,
                WindowWidth=9,
                VOILUTFunction="SIGMOID",
            )
            expected = shown(data, -50, 250)
            read = decode_image(path, Reading(window=(-50, 250))).pixels[..., 0]
            np.testing.assert_allclose(read, 1 - expected if kind == "MONOCHROME1" else expected, atol=1e-6)


@pytest.mark.parametrize(
    ("dtype", "bits", "low", "high"),
    [
        (np.uint8, 8, 0, 255),
        (np.uint16, 12, 0, 4095),
        (np.uint16, 16, 0, 65535),
        (np.int16, 12, -2048, 2047),
        (np.int8, 8, -128, 127),
    ],
)
def test_without_a_window_all_that_the_stored_bits_hold_is_shown(
    path: Path, dtype: type, bits: int, low: int, high: int
) -> None:
    data = write(
        path, random(low, high, dtype, 9, 12), BitsStored=bits, RescaleSlope=1, RescaleIntercept=-1024
    )
    read = decode_image(path)
    np.testing.assert_allclose(read.pixels[..., 0], shown(data, low - 1024, high - 1024), atol=1e-6)
    assert read.notes == (
        f"it has no window: all that its {bits} bits hold, {low - 1024} to {high - 1024}, is shown",
    )


@pytest.mark.parametrize("dtype", [np.int16, np.uint32, np.int32, np.float32, np.float64])
@pytest.mark.parametrize("kind", ["MONOCHROME1", "MONOCHROME2"])
def test_types_that_nobody_fills_run_over_their_frames_own_range(path: Path, dtype: type, kind: str) -> None:
    pixels = random(100, 3000, np.int16, 9, 12).astype(dtype)
    write(path, pixels, kind)
    if pixels.dtype.kind == "f":
        data = pydicom.dcmread(path)
        del data.PixelData, data.BitsStored, data.HighBit, data.PixelRepresentation
        setattr(data, "FloatPixelData" if dtype == np.float32 else "DoubleFloatPixelData", pixels.tobytes())
        data.save_as(path)
    expected = (pixels - pixels.min()) / (np.float64(pixels.max()) - pixels.min())
    read = decode_image(path)
    np.testing.assert_allclose(
        read.pixels[..., 0], 1 - expected if kind == "MONOCHROME1" else expected, atol=1e-6
    )
    assert "its frame's own minimum" in read.notes[0]
    chosen = decode_image(path, Reading(window=(1000, 2000))).pixels[..., 0]
    expected = ((pixels - 1000.0) / 1000).clip(0, 1)
    np.testing.assert_allclose(chosen, 1 - expected if kind == "MONOCHROME1" else expected, atol=1e-6)


def lut(first: int, bits: int, entries: np.ndarray, vr: str = "OW") -> Any:
    item = Dataset()
    item.LUTDescriptor = [len(entries), first, bits]
    data = entries.astype("<u2").tobytes() if vr == "OW" else [int(entry) for entry in entries]
    item.add_new("LUTData", vr, data)
    item.ModalityLUTType = "US"
    return pydicom.Sequence([item])


@pytest.mark.parametrize("vr", ["OW", "US"])
def test_lookup_tables_are_applied_as_pydicom_applies_them(path: Path, vr: str) -> None:
    pixels = random(0, 4096, np.uint16, 9, 12)
    curve = (np.linspace(0, 1, 3000) ** 2 * 4095).astype(np.uint16)
    data = write(path, pixels, BitsStored=12, VOILUTSequence=lut(500, 12, curve, vr))
    expected = apply_voi_lut(data.pixel_array, data) / 4095
    read = decode_image(path)
    np.testing.assert_allclose(read.pixels[..., 0], expected, atol=1e-6)
    assert read.notes == ("its VOI lookup table is applied",)
    data = write(path, pixels, "MONOCHROME1", BitsStored=12, ModalityLUTSequence=lut(500, 16, curve, vr))
    expected = 1 - apply_modality_lut(data.pixel_array, data) / 65535
    np.testing.assert_allclose(decode_image(path).pixels[..., 0], expected, atol=1e-6)
    data = write(path, pixels, BitsStored=12, ModalityLUTSequence=lut(0, 16, curve, vr))
    expected = shown(data, 100, 900)
    np.testing.assert_allclose(
        decode_image(path, Reading(window=(100, 900))).pixels[..., 0], expected, atol=1e-6
    )


def test_a_table_of_eight_bits_may_have_more_than_256_entries(path: Path) -> None:
    """Pydicom 3.0 wraps its index there."""
    pixels = random(0, 4096, np.uint16, 9, 12)
    write(path, pixels, BitsStored=12, VOILUTSequence=lut(0, 8, np.arange(4096) // 16))
    np.testing.assert_allclose(decode_image(path).pixels[..., 0], (pixels // 16) / 255, atol=1e-6)


def test_the_inverse_presentation_shape_is_the_same_as_monochrome1(path: Path) -> None:
    pixels = random(0, 256, np.uint8, 9, 12)
    for kind, shape in (("MONOCHROME1", "INVERSE"), ("MONOCHROME2", "INVERSE"), ("MONOCHROME1", "IDENTITY")):
        write(path, pixels, kind, PresentationLUTShape=shape)
        np.testing.assert_allclose(decode_image(path).pixels[..., 0], 1 - pixels / 255, atol=1e-6)


def test_padding_holds_no_data(path: Path) -> None:
    pixels = np.int16([[-2000, -1000], [0, 1000]])
    for kind, expected in (("MONOCHROME2", [[0, 0], [0.5, 1]]), ("MONOCHROME1", [[0, 1], [0.5, 0]])):
        write(path, pixels, kind, PixelPaddingValue=-2000)
        np.testing.assert_allclose(decode_image(path).pixels[..., 0], expected, atol=1e-6)
    valid = open_image(path).valid
    assert valid is not None
    np.testing.assert_array_equal(valid(), [[False, True], [True, True]])
    write(path, pixels, PixelPaddingValue=-2000, PixelPaddingRangeLimit=-500)
    np.testing.assert_allclose(decode_image(path).pixels[..., 0], [[0, 0], [0, 1]], atol=1e-6)


def test_overlays_and_pixels_that_are_no_squares_are_said(path: Path) -> None:
    data = write(path, random(0, 256, np.uint8, 9, 12), PixelSpacing=[3, 2])
    data.add_new(0x60000010, "US", 9)
    data.save_as(path)
    notes = decode_image(path).notes
    assert notes[:2] == (
        "its overlays are left out",
        "its pixels are 1.5 times as high as wide, and are not resampled",
    )


def test_of_several_frames_the_middle_one_is_read_or_the_one_asked_for(path: Path) -> None:
    pixels = random(0, 256, np.uint8, 5, 9, 12)
    write(path, pixels, NumberOfFrames=5)
    for number, taken in ((None, 2), (0, 0), (4, 4)):
        read = decode_image(path, Reading(slice=number))
        np.testing.assert_allclose(read.pixels[..., 0], pixels[taken] / 255, atol=1e-6)
        assert "of its 5 frames is read" in read.notes[0]
    for reading in (Reading(slice=5), Reading(axis="x")):
        with pytest.raises(ImageError):
            image_size(path, reading)


def test_frames_have_windows_and_rescales_of_their_own(path: Path) -> None:
    def group(**macros: dict[str, float]) -> Any:
        outer = Dataset()
        for macro, values in macros.items():
            inner = Dataset()
            for name, value in values.items():
                setattr(inner, name, value)
            setattr(outer, macro, pydicom.Sequence([inner]))
        return outer

    pixels = random(0, 4096, np.uint16, 2, 9, 12)
    shared = group(FrameVOILUTSequence={"WindowCenter": 2000, "WindowWidth": 1000})
    frames = [
        group(PixelValueTransformationSequence={"RescaleSlope": slope, "RescaleIntercept": 0})
        for slope in (1, 2)
    ]
    write(
        path,
        pixels,
        NumberOfFrames=2,
        BitsStored=12,
        SharedFunctionalGroupsSequence=pydicom.Sequence([shared]),
        PerFrameFunctionalGroupsSequence=pydicom.Sequence(frames),
    )
    for number in range(2):
        values = pixels[number] * float(number + 1)
        expected = ((values - (1999.5 - 499.5)) / 999).clip(0, 1)
        read = decode_image(path, Reading(slice=number)).pixels[..., 0]
        np.testing.assert_allclose(read, expected, atol=1e-5)


@pytest.mark.parametrize("kind", ["RGB", "YBR_FULL"])
@pytest.mark.parametrize("planar", [0, 1])
def test_colours_of_either_plane_order(path: Path, kind: str, planar: int) -> None:
    pixels = random(0, 256, np.uint8, 9, 12, 3)
    stored = np.moveaxis(pixels, 2, 0).tobytes() if planar else pixels.tobytes()
    write(path, pixels, kind, PlanarConfiguration=planar, PixelData=stored)
    expected = pixels if kind == "RGB" else convert_color_space(pixels, "YBR_FULL", "RGB")
    np.testing.assert_array_equal(np.rint(decode_image(path).pixels * 255), expected)


@pytest.mark.parametrize("bits", [8, 16])
def test_a_palette_becomes_its_colours(path: Path, bits: int) -> None:
    tables = {
        f"{name}PaletteColorLookupTableData": random(0, 1 << bits, np.uint16, 256).tobytes()
        for name in ("Red", "Green", "Blue")
    }
    descriptors = {
        f"{name}PaletteColorLookupTableDescriptor": [256, 0, bits] for name in ("Red", "Green", "Blue")
    }
    if bits == 8:
        tables = {
            name: np.frombuffer(table, np.uint16).astype(np.uint8).tobytes() for name, table in tables.items()
        }
    data = write(path, random(0, 256, np.uint8, 9, 12), "PALETTE COLOR", **descriptors, **tables)
    expected = apply_color_lut(data.pixel_array, data) / ((1 << bits) - 1)
    np.testing.assert_allclose(decode_image(path).pixels, expected, atol=1e-6)


def test_files_are_known_by_content_and_without_suffix_or_preamble(tmp_path: Path) -> None:
    pixels = random(0, 256, np.uint8, 9, 12)
    for name in ("a.dcm", "IM000001", "1.2.840.77", "DICOMDIR", "b.IMA"):
        write(tmp_path / name, pixels)
    content = (tmp_path / "a.dcm").read_bytes()
    (tmp_path / "tiff.dcm").write_bytes(b"II*\0" + content[4:])  # its preamble is the head of a TIFF file
    data = pydicom.dcmread(tmp_path / "b.IMA")
    with (tmp_path / "b.IMA").open("wb") as file:  # the data set alone, as before PS3.10
        pydicom.filewriter.write_dataset(pydicom.filebase.DicomFileLike(file), data_set(data))
    (tmp_path / "README").write_text("no image")
    listed = list_images(tmp_path)
    assert [path.name for path in listed] == ["1.2.840.77", "IM000001", "a.dcm", "b.IMA", "tiff.dcm"]
    for path in listed:
        np.testing.assert_allclose(decode_image(path).pixels[..., 0], pixels / 255, atol=1e-6)


def data_set(data: Any) -> Any:
    """The data set without its file meta information, to be written in the default transfer syntax."""
    bare = Dataset()
    bare.update(data)
    bare.set_original_encoding(True, True)
    return bare


def test_what_holds_no_pixels_or_is_not_read_is_said(path: Path) -> None:
    pixels = random(0, 256, np.uint8, 9, 12)
    data = write(path, pixels)
    content = path.read_bytes()
    path.write_bytes(content[:-9])
    with pytest.raises(ImageError, match="ends before its pixels do"):
        image_size(path)
    del data.PixelData, data.Rows
    data.SOPClassUID = uid.ComprehensiveSRStorage
    data.save_as(path)
    with pytest.raises(ImageError, match=r"is DICOM \(Comprehensive SR Storage\) without pixels"):
        image_size(path)
    for more, reason in (
        ({"syntax": uid.MPEG4HP41, "PixelData": encapsulate([b"0000"])}, "compressed as MPEG-4.*not read"),
        ({"HighBit": 9, "BitsStored": 8, "BitsAllocated": 16, "PixelData": bytes(2 * 108)}, "upper bits"),
        ({"RescaleSlope": 0, "RescaleIntercept": 1}, "rescale slope of 0"),
        ({"kind": "YBR_PARTIAL_422"}, "YBR_PARTIAL_422, which is not read"),
    ):
        write(path, pixels, **more)  # type: ignore[arg-type]
        with pytest.raises(ImageError, match=reason):
            image_size(path)


SAMPLES = sorted((Path(pydicom.__file__).parent / "data/test_files").glob("*.dcm"))


@pytest.mark.parametrize("sample", SAMPLES, ids=[sample.stem for sample in SAMPLES])
@pytest.mark.filterwarnings("ignore")
def test_samples_of_pydicom_are_read_as_it_reads_them_or_by_neither(sample: Path) -> None:
    try:
        read = decode_image(sample).pixels.astype(np.float64)
    except ImageError:
        with pytest.raises((AttributeError, ValueError, RuntimeError, TypeError)):
            _ = pydicom.dcmread(sample, force=True).pixel_array.shape
        return
    data = pydicom.dcmread(sample)
    expected = data.pixel_array
    if int(data.get("NumberOfFrames") or 1) > 1:
        expected = expected[len(expected) // 2]
    if data.PhotometricInterpretation == "PALETTE COLOR":
        expected = apply_color_lut(expected, data)
    if read.shape[2] == 3:
        np.testing.assert_allclose(read, expected / np.float64(np.iinfo(expected.dtype).max), atol=1e-6)
        return
    expected = apply_voi_lut(apply_modality_lut(expected, data), data).astype(np.float64)[..., None]
    slope, offset = np.polyfit(expected.ravel(), read.ravel(), 1)
    assert slope > 0
    np.testing.assert_allclose(read, slope * expected + offset, atol=1e-5)
