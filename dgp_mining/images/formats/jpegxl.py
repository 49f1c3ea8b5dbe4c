"""JPEG XL (ISO/IEC 18181), decoded by libjxl through imagecodecs.

libjxl turns the image as its codestream says, converts XYB to the colour space of the original, and leaves
associated alpha as it is.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path

import imagecodecs
import numpy as np

from ..attachments import Attachments
from ..encoding import Encoding
from ..image_file import UNIT, Alpha, ImageFile, Levels, Model, Samples, full_range
from ..limits import ImageError, check_size, ends_early
from ..reading import Reading
from .heif_items import exif_of
from .iso_boxes import MAX_CONTENT, Box, boxes, content, file_end
from .jpegxl_header import (
    ALPHA,
    BLACK,
    COLOUR_FILTER,
    GREY_SPACE,
    SPOT,
    START,
    UNREAD_SPACES,
    Colours,
    Depth,
    Header,
    parse_header,
    with_twelve_bits,
)
from .jpegxl_icc import read_profile

_HEADER = 1 << 16  # bytes; names of extra channels may be long
_PROFILE = 1 << 22  # bytes of a compressed ICC profile; those of printers have some 100,000
# One grey pixel, the number 1 of 10 bits.
_ONE_OF_TEN_BITS = bytes.fromhex("ff0a001014142d02080401001c004b188b15c2100e")
_PROFILES = {b"GRAY": 1, b"RGB ": 3}


def open_file(path: Path, reading: Reading) -> ImageFile:
    """Describe a JPEG XL file. Raises ImageError and ValueError."""
    found = _boxes(path)
    header = parse_header(_codestream(path, found, _HEADER))
    turned = header.orientation >= 5  # the decoder turns it
    height, width = (header.width, header.height) if turned else (header.height, header.width)
    check_size(path, height, width)
    _check_readable(path, header, reading)
    alphas = [extra for extra in header.extras if extra.kind == ALPHA]
    encoding = _encoding(path, header, found)
    grey = header.colours.space == GREY_SPACE
    depth = header.depth
    deepened = header.xyb and _leaves_xyb_as_linear_srgb(header.colours) and depth == Depth(8)
    if deepened:  # linear light of 8 bits would have few dark tones
        depth = Depth(12)
    return ImageFile(
        path=path,
        format="JPEG XL",
        height=height,
        width=width,
        model=Model.GREY if grey else Model.RGB,
        channels=1 if grey else 3,
        alpha=Alpha.NONE if not alphas else Alpha.ASSOCIATED if alphas[0].associated else Alpha.STRAIGHT,
        bits=depth.bits,
        floating=depth.floating or depth.bits > 16,
        levels=_levels(depth, encoding),
        encoding=encoding,
        notes=_notes(header),
        decode=lambda: _decode(path, found, header if deepened else None, grey and not alphas),
        attachments=lambda: _attachments(path, found),
    )


def _boxes(path: Path) -> tuple[Box, ...]:
    """The boxes of a container; a bare codestream counts as one. Raises ImageError."""
    with path.open("rb") as file:
        end = file_end(file)
        file.seek(0)
        if file.read(2) == START:
            return (Box(b"jxlc", 0, end),)
        found = tuple(boxes(file, 0, end))
    parts = [box for box in found if box.kind in (b"jxlc", b"jxlp")]
    if not parts or any(part.cut for part in parts):
        raise ends_early(path)
    return found


def _codestream(path: Path, found: Sequence[Box], limit: int) -> bytes:
    """The start of the codestream, which may lie in parts that each start with a number."""
    joined = b""
    with path.open("rb") as file:
        for box in found:
            if box.kind not in (b"jxlc", b"jxlp") or len(joined) >= limit:
                continue
            start = box.start + 4 * (box.kind == b"jxlp")
            file.seek(start)
            joined += file.read(max(0, min(box.end - start, limit - len(joined))))
    return joined


def _check_readable(path: Path, header: Header, reading: Reading) -> None:
    kinds = {extra.kind for extra in header.extras}
    if BLACK in kinds:
        raise ImageError(f"{path} is CMYK in JPEG XL, which is not read: convert it to RGB.")
    if COLOUR_FILTER in kinds:
        raise ImageError(
            f"{path} is a camera's raw picture in JPEG XL, which is not read: convert it to RGB."
        )
    if header.colours.space in UNREAD_SPACES and not header.colours.has_profile:
        space = UNREAD_SPACES[header.colours.space]
        raise ImageError(f"{path} has {space} colours, which are not read: convert it to RGB.")
    if header.animated and reading.slice:
        raise ImageError(f"{path} is an animation, of which only frame 0 is read, not slice={reading.slice}.")


def _encoding(path: Path, header: Header, found: Sequence[Box]) -> Encoding:
    """How decoded values become colours. Raises ImageError if they do in a way that is not read."""
    colours = header.colours
    if header.xyb and _leaves_xyb_as_linear_srgb(colours):
        return Encoding(transfer="linear", said_by="its decoder")
    if colours.has_profile:
        try:
            profile = read_profile(_codestream(path, found, _PROFILE), header.end)
        except NotImplementedError as error:
            raise ImageError(
                f"{path} has a colour profile in a coding that is not read: convert it to sRGB."
            ) from error
        if _PROFILES.get(profile[16:20]) != (1 if colours.space == GREY_SPACE else 3):
            raise ImageError(
                f"{path} has a colour profile that is neither of grey nor RGB: convert it to RGB."
            )
        return Encoding(profile, said_by="its ICC profile")
    if colours.transfer is None:
        raise ImageError(f"{path} has an unknown transfer function, which is not read: convert it to sRGB.")
    return Encoding(transfer=colours.transfer, primaries=colours.chromaticities, said_by="its codestream")


def _leaves_xyb_as_linear_srgb(colours: Colours) -> bool:
    """Whether libjxl cannot convert XYB to these colours, and then gives linear light of sRGB's primaries."""
    return (
        colours.has_profile or colours.transfer is None or (colours.space == GREY_SPACE and not colours.d65)
    )


def _levels(depth: Depth, encoding: Encoding) -> Levels:
    if not depth.floating and depth.bits <= 16:
        return full_range((8 if depth.bits <= 8 else 16) if _fills_its_type() else depth.bits)
    return Levels(UNIT.black, UNIT.white, beyond="tone" if encoding.transfer == "linear" else "clip")


@functools.cache
def _fills_its_type() -> bool:
    """Whether fewer bits are decoded to the whole range of 8 or 16, as by imagecodecs before 2024.9.22."""
    return int(imagecodecs.jpegxl_decode(_ONE_OF_TEN_BITS).max()) > 1


def _notes(header: Header) -> tuple[str, ...]:
    notes = []
    if header.animated:
        notes.append("the first of its frames is read")
    rest = [extra.kind for extra in header.extras if extra.kind != SPOT]
    if ALPHA in rest:
        rest.remove(ALPHA)
    if rest:
        what = "a channel" if len(rest) == 1 else f"{len(rest)} channels"
        notes.append(f"{what} that is neither a colour nor transparency is left out")
    return tuple(notes)


def _decode(path: Path, found: Sequence[Box], deepened: Header | None, only_grey: bool) -> Samples:
    if deepened is None:
        content = path.read_bytes()
    else:
        content = with_twelve_bits(_codestream(path, found, path.stat().st_size), deepened)
    pixels = np.asarray(imagecodecs.jpegxl_decode(content, index=0))
    if only_grey and pixels.ndim == 3:  # planes: grey, then other channels
        pixels = pixels[0]
    return Samples(pixels.reshape(*pixels.shape[:2], -1))


def _attachments(path: Path, found: Sequence[Box]) -> Attachments:
    """EXIF, whose orientation is for information only, and XMP (ISO/IEC 18181-2, 9)."""
    held: dict[bytes, bytes] = {}
    with path.open("rb") as file:
        for box in found:
            kind = box.kind
            if kind == b"brob":
                file.seek(box.start)
                kind = file.read(4)
            if kind not in (b"Exif", b"xml ") or kind in held:
                continue
            inside = content(file, box)
            if kind != box.kind:
                inside = bytes(imagecodecs.brotli_decode(inside[4:], out=MAX_CONTENT))
            held[kind] = inside
    exif = held.get(b"Exif")
    return Attachments(exif=exif_of(exif) if exif else None, xmp=held.get(b"xml "))
