"""Every compression of DICOM that is read gives the numbers that were compressed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest

from dgp_mining.images.reader import ImageError, decode_image, image_size

pydicom = pytest.importorskip("pydicom")

from dicom_files import random, write  # noqa: E402
from pydicom import uid  # noqa: E402
from pydicom.encaps import encapsulate  # noqa: E402


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a.dcm"


def lossless_jpeg(frame: np.ndarray) -> bytes:
    colour = {"colorspace": "RGB", "outcolorspace": "RGB"} if frame.ndim == 3 else {}
    return bytes(imagecodecs.jpeg8_encode(frame, lossless=True, **colour))


CODECS = [
    (uid.JPEGLosslessSV1, lossless_jpeg),
    (uid.JPEGLSLossless, lambda frame: imagecodecs.jpegls_encode(frame)),
    (
        uid.JPEG2000Lossless,
        lambda frame: imagecodecs.jpeg2k_encode(frame, codecformat="j2k", reversible=True, level=0),
    ),
    (uid.HTJ2KLossless, lambda frame: imagecodecs.htj2k_encode(frame)),
    (uid.RLELossless, None),
]


@pytest.mark.parametrize(("syntax", "encode"), CODECS, ids=[syntax.name[:12] for syntax, _ in CODECS])
@pytest.mark.parametrize("kind", ["uint8", "uint16", "int16", "12 bits", "colour", "frames"])
def test_lossless_compression_gives_the_numbers_back(path: Path, syntax: str, encode: Any, kind: str) -> None:
    shape = {"colour": (9, 12, 3), "frames": (3, 9, 12)}.get(kind, (9, 12))
    dtype = {"uint16": np.uint16, "int16": np.int16, "12 bits": np.uint16}.get(kind, np.uint8)
    low, high = {"12 bits": (0, 4096), "int16": (-2000, 2000), "uint16": (0, 65536)}.get(kind, (0, 256))
    pixels = random(low, high, dtype, *shape)
    more: dict[str, Any] = {"NumberOfFrames": 3} if kind == "frames" else {}
    more |= {"BitsStored": 12} if kind == "12 bits" else {}
    write(path, pixels, "RGB" if kind == "colour" else "MONOCHROME2", **more)
    expected = decode_image(path).pixels
    if encode is None:
        data = pydicom.dcmread(path)
        data.compress(syntax)
        data.save_as(path)
    else:
        frames = pixels if kind == "frames" else [pixels]
        signed = kind == "int16" and syntax != uid.JPEG2000Lossless  # the others know no signed numbers
        encoded = [encode(frame.view(np.uint16) if signed else frame) for frame in frames]
        more["PixelData"] = encapsulate(encoded)
        write(path, pixels, "RGB" if kind == "colour" else "MONOCHROME2", syntax, **more)
    np.testing.assert_array_equal(decode_image(path).pixels, expected)


def test_jpeg_of_8_and_12_bits(path: Path) -> None:
    y, x = np.mgrid[:32, :48]
    for bits, syntax in ((8, uid.JPEGBaseline8Bit), (12, uid.JPEGExtended12Bit)):
        pixels = ((x + y) * ((1 << bits) - 1) // 80).astype(np.uint8 if bits == 8 else np.uint16)
        encoded = imagecodecs.jpeg8_encode(pixels, level=98, bitspersample=bits)
        write(path, pixels, syntax=syntax, BitsStored=bits, PixelData=encapsulate([encoded]))
        read = decode_image(path).pixels[..., 0]
        np.testing.assert_allclose(read, pixels / ((1 << bits) - 1), atol=0.01)


@pytest.mark.parametrize(
    ("syntax", "encode"), CODECS[:-1], ids=[syntax.name[:12] for syntax, _ in CODECS[:-1]]
)
def test_a_compressed_frame_of_another_size_is_refused(path: Path, syntax: str, encode: Any) -> None:
    pixels = random(0, 256, np.uint8, 9, 12)
    write(path, pixels, syntax=syntax, PixelData=encapsulate([encode(pixels[:8])]))
    with pytest.raises(ImageError, match="the compressed frame is of 12x8 pixels"):
        decode_image(path)


@pytest.mark.parametrize("preamble", [True, False])
def test_a_deflated_data_set_that_does_not_fit_into_memory_is_not_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, preamble: bool
) -> None:
    path = tmp_path / "a.dcm"
    write(path, np.zeros((5000, 5000), np.uint8), syntax=uid.DeflatedExplicitVRLittleEndian)
    if not preamble:
        path.write_bytes(path.read_bytes()[132:])
    assert image_size(path) == (5000, 5000)
    monkeypatch.setattr("dgp_mining.images.limits.available_memory", lambda: 20_000_000)
    with pytest.raises(ImageError, match=r"has a data set of [\d.]+ MB, and 20\.0 MB are free"):
        image_size(path)
