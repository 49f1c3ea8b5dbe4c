"""Frames of DICOM files as their stored numbers: pydicom finds them, imagecodecs decompresses most.

pydicom itself decodes uncompressed frames and RLE, and 8-bit JPEG with Pillow. For other compressions this
module is a plugin of pydicom's decoders, so that no further packages are needed.
"""

from __future__ import annotations

import functools
import logging
import struct
from pathlib import Path
from typing import IO, Any

import imagecodecs
import numpy as np

from ..limits import ImageError, ends_early

_CODECS = {
    "1.2.840.10008.1.2.4.51": "jpeg8_decode",  # JPEG Extended of 12 bits; of 8 bits, Pillow decodes it
    "1.2.840.10008.1.2.4.57": "jpegsof3_decode",  # JPEG Lossless
    "1.2.840.10008.1.2.4.70": "jpegsof3_decode",
    "1.2.840.10008.1.2.4.80": "jpegls_decode",
    "1.2.840.10008.1.2.4.81": "jpegls_decode",
    "1.2.840.10008.1.2.4.90": "jpeg2k_decode",
    "1.2.840.10008.1.2.4.91": "jpeg2k_decode",
    "1.2.840.10008.1.2.4.201": "jpeg2k_decode",  # High-Throughput JPEG 2000
    "1.2.840.10008.1.2.4.202": "jpeg2k_decode",
    "1.2.840.10008.1.2.4.203": "jpeg2k_decode",
}
"""Functions of imagecodecs that decode each transfer syntax (PS3.5, 10 and A.4)."""

_DEFLATED = "1.2.840.10008.1.2.1.99"
"""Transfer syntax of data sets that are compressed as a whole."""
_UID = 64
"""Bytes of the longest identifier (PS3.5, 9.1)."""
_LONG = (b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV")
"""Types whose length has four bytes (PS3.5, 7.1.2)."""

_JPEG_2000 = b"\xff\x4f\xff\x51"
"""Start of its codestream, and of SIZ."""

_PLUGIN = "imagecodecs"
_PILLOW = frozenset({"1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51"})
"""JPEG, which Pillow decodes if it has 8 bits."""
_RLE = "1.2.840.10008.1.2.5"

DECODER_DEPENDENCIES = dict.fromkeys(_CODECS, ("imagecodecs",))
"""Which pydicom asks of a plugin."""


def is_available(uid: str) -> bool:
    """Whether this plugin decodes a transfer syntax; pydicom asks it."""
    return uid in _CODECS


def transfer_syntax(header: Any) -> Any:  # pydicom's UID
    """How the pixels are encoded: what the file says, else what its header itself is encoded in."""
    from pydicom import uid

    said = header.file_meta.get("TransferSyntaxUID") if hasattr(header, "file_meta") else None
    if said:
        return said
    implicit, little = header.original_encoding
    if not little:
        return uid.ExplicitVRBigEndian
    return uid.ImplicitVRLittleEndian if implicit else uid.ExplicitVRLittleEndian


def check_compression(path: Path, header: Any) -> None:
    """Raise ImageError if frames are compressed in a way that is not read."""
    if _decoder(transfer_syntax(header)) is None:
        raise ImageError(
            f"{path} is DICOM compressed as {transfer_syntax(header).name}, which is not read: decompress it."
        )


def is_deflated(header: Any) -> bool:
    """Whether the file is one compressed stream, in which nothing has a place of its own (PS3.5, A.5)."""
    return bool(transfer_syntax(header) == _DEFLATED)


def deflated_from(file: IO[bytes]) -> int | None:
    """Where the data set begins, if it is one compressed stream, which pydicom unpacks whole; else None.

    It follows the elements of group 2 (PS3.10, 7.1), which are in the explicit little-endian encoding.
    """
    syntax = b""
    at = 132 if file.read(132)[128:] == b"DICM" else 0
    file.seek(at)
    while (element := file.read(8))[:2] == b"\2\0":
        long = element[4:6] in _LONG  # two empty bytes, then a length of four
        length = int.from_bytes(file.read(4) if long else element[6:8], "little")
        at += 8 + 4 * long + length
        if element[2:4] == b"\x10\0":
            syntax = file.read(min(length, _UID)).rstrip(b"\0 ")
        file.seek(at)
    return at if syntax == _DEFLATED.encode() else None


def number_of_frames(header: Any) -> int:
    """How many frames the file holds."""
    return int(header.get("NumberOfFrames") or 1)


def check_length(path: Path, header: Any, held: int) -> None:
    """Raise ImageError if uncompressed frames need more bytes than are `held` behind the header."""
    syntax = transfer_syntax(header)
    if syntax.is_encapsulated or is_deflated(header):
        return
    samples = int(header.Rows) * int(header.Columns) * int(header.get("SamplesPerPixel", 1))
    bits = samples * number_of_frames(header) * int(header.get("BitsAllocated", 8))
    if header.PhotometricInterpretation == "YBR_FULL_422":
        bits = bits * 2 // 3
    if held * 8 < bits:
        raise ends_early(path)


def read_frame(path: Path, header: Any, number: int) -> np.ndarray:
    """Read a frame: [H, W] or [H, W, 3]; YBR_FULL is converted to RGB. Raises pydicom's errors."""
    import pydicom
    from pydicom.pixels.utils import as_pixel_options, pixel_array

    logging.getLogger("pydicom").setLevel(logging.CRITICAL)  # we report a file's faults in one sentence
    syntax = transfer_syntax(header)
    plugin = _plugin(syntax, int(header.get("BitsStored") or 0))
    try:
        if number_of_frames(header) > 1 and not is_deflated(header):
            pixels = pixel_array(path, index=number, decoding_plugin=plugin, transfer_syntax_uid=syntax)
        else:
            whole = pydicom.dcmread(path, force=True)
            options = as_pixel_options(whole)
            pixels, _ = _decoder(syntax).as_array(whole, index=number, decoding_plugin=plugin, **options)
    except RuntimeError as error:  # names the plugins that failed, each with its reason
        raise ValueError(str(error).rpartition(f"{plugin}: ")[2]) from error
    return pixels.astype(pixels.dtype.newbyteorder("="))


def _plugin(syntax: str, bits: int) -> str:
    """Which of pydicom's plugins decodes a frame, so that it does not depend on what else is installed."""
    if syntax in _PILLOW and bits <= 8:
        return "pillow"
    return _PLUGIN if syntax in _CODECS else "pydicom" if syntax == _RLE else ""


@functools.cache
def _decoder(syntax: str) -> Any:
    """pydicom's decoder of a transfer syntax, with this plugin; None if there is none."""
    from pydicom.pixels.decoders.base import get_decoder
    from pydicom.uid import UID

    try:
        decoder = get_decoder(UID(syntax))
    except NotImplementedError:
        return None
    if syntax in _CODECS and _PLUGIN not in decoder.available_plugins:
        decoder.add_plugin(_PLUGIN, (__name__, "decode_frame"))
    return decoder if decoder.is_available else None


def decode_frame(encoded: bytes, runner: Any) -> bytes:
    """Decompress a frame, as a plugin of pydicom; `runner` is its DecodeRunner.

    Returns little-endian numbers, channels last, of as many bytes as they need.
    """
    from pydicom.pixels.common import PhotometricInterpretation

    size = _codestream_size(encoded)
    if size != (runner.rows, runner.columns):  # before memory is allocated for it
        raise ValueError(f"the compressed frame is of {size[1]}x{size[0]} pixels")
    pixels = np.asarray(getattr(imagecodecs, _CODECS[runner.transfer_syntax])(encoded))
    # jpeg8_decode would convert colours, and pydicom does so again.
    if pixels.ndim == 3 and runner.transfer_syntax == "1.2.840.10008.1.2.4.51":
        raise ValueError("JPEG in colour with more than 8 bits is not read")
    runner.set_option("bits_allocated", pixels.dtype.itemsize * 8)
    runner.set_option("planar_configuration", 0)
    if runner.photometric_interpretation in (
        PhotometricInterpretation.YBR_ICT,
        PhotometricInterpretation.YBR_RCT,
    ):  # the transforms of JPEG 2000 itself, which its decoder undoes
        runner.set_option("photometric_interpretation", PhotometricInterpretation.RGB)
    return pixels.astype(pixels.dtype.newbyteorder("<")).tobytes()


def _codestream_size(encoded: bytes) -> tuple[int, int]:
    """Return (height, width) that a JPEG, JPEG-LS or JPEG 2000 codestream says; (0, 0) if it says none."""
    start = encoded.find(_JPEG_2000)
    if start >= 0:  # SIZ (ITU-T T.800, A.5.1); some files have it in the boxes of JP2
        ends = struct.unpack(">4I", encoded[start + 8 : start + 24].ljust(16, b"\0"))
        return ends[1] - ends[3], ends[0] - ends[2]
    start = 2
    while encoded[start : start + 1] == b"\xff" and start + 9 <= len(encoded):
        marker, length, _, height, width = struct.unpack(">xBHBHH", encoded[start : start + 9])
        if marker == 0xF7 or (0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC)):  # a frame header
            return height, width
        start += 1 if marker == 0xFF else 2 + length
    return 0, 0
