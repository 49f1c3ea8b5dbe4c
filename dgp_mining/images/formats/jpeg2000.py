"""JPEG 2000: JP2, JPX, JPH and bare codestreams (ITU-T T.800, T.801 and T.814).

OpenJPEG decodes the codestream alone, without its boxes: what imagecodecs and Pillow make of channel
definitions, palettes, profiles and more than 8 bits differs and is partly wrong, so all that is done here.
"""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass
from pathlib import Path

import imagecodecs
import numpy as np
from PIL import Image

from ..encoding import SRGB, Encoding
from ..h273 import encoding_of, is_known
from ..image_file import Alpha, ImageFile, Levels, Model, Samples
from ..limits import ImageError, check_size
from ..reading import Reading
from .jpeg2000_attachments import attachments, orientation
from .jpeg2000_header import Colour, Component, Definition, Header, Mapped, read_header

_MAX_BITS = 24  # OpenJPEG loses bits above 25
_UNREAD = {
    1: "YCbCr of BT.709",
    3: "YCbCr of BT.601",
    4: "YCbCr of BT.601",
    9: "PhotoYCC",
    11: "CMY",
    13: "YCCK",
    19: "CIEJab",
    20: "e-sRGB",
    21: "ROMM-RGB",
    22: "YPbPr",
    23: "YPbPr",
    24: "e-sYCC",
}
"""Enumerated colour spaces (T.801, table M.25) that are not read."""
_PROFILES = {b"GRAY": (Model.GREY, 1), b"RGB ": (Model.RGB, 3), b"CMYK": (Model.CMYK, 4)}
_PREMULTIPLIED = 2
_COLOUR, _OPACITY = 0, (1, _PREMULTIPLIED)
_WHOLE_IMAGE = 0
_RGB_MATRIX, _BT601_MATRIX = (0, 2), (5, 6)  # ITU-T H.273, table 4; 2 is unspecified


@dataclass(frozen=True)
class _Space:
    """The colour space of the channels."""

    model: Model
    colours: int
    encoding: Encoding = SRGB
    ycc: bool = False
    """Whether the channels are YCbCr as of sYCC, which the decoder turns into RGB."""
    white_is_zero: bool = False
    narrow: bool = False
    """Whether numbers have the range of television (ITU-T H.273), 16 to 235 in 8 bits."""
    lab: Colour | None = None
    note: str = ""


@dataclass(frozen=True)
class _Layout:
    """Which channels are read, in this order."""

    model: Model
    channels: tuple[Mapped, ...]
    """Colours or bands; alpha is last."""
    alpha: Alpha
    notes: tuple[str, ...]


def open_file(path: Path, reading: Reading) -> ImageFile:
    """Describe a JPEG 2000 file. Raises ImageError, ValueError and struct.error."""
    header = read_header(path)
    components = header.siz.components
    first = components[0]
    check_size(path, first.height, first.width)
    if header.palette and not header.mapping:
        raise ValueError("it has a palette, but no mapping to it")
    channels = header.mapping or tuple(Mapped(index, None) for index in range(len(components)))
    depths = [_depth(header, channel) for channel in channels]
    if max(component.bits for component in components) > _MAX_BITS:
        raise ImageError(f"{path} has more than {_MAX_BITS} bits, which are not read: convert it to 16 bits.")
    space = _space(path, header, len(channels))
    layout = _layout(header, channels, space)
    _check_decodable(path, header, space, layout)
    levels = _levels(space, layout, [depths[channels.index(channel)] for channel in layout.channels])
    turned = orientation(path, header)
    images = (f"the first of its {header.images} images is read",) if header.images > 1 else ()
    exif = ("the orientation in its EXIF is not applied",) if turned != 1 else ()
    return ImageFile(
        path=path,
        format="JPEG 2000",
        height=first.height,
        width=first.width,
        model=layout.model,
        channels=len(layout.channels) - (layout.alpha != Alpha.NONE),
        alpha=layout.alpha,
        bits=max(bits for bits, _ in depths),
        levels=levels,
        encoding=SRGB if layout.model == Model.CHANNELS else space.encoding,
        notes=(*images, *filter(None, [space.note]), *layout.notes, *exif),
        decode=lambda: _decode(path, header, space, layout),
        attachments=lambda: attachments(path, header),
    )


def _depth(header: Header, channel: Mapped) -> tuple[int, bool]:
    """(bits, signed) of a channel."""
    components, palette = header.siz.components, header.palette
    if channel.component >= len(components):
        raise ValueError("its component mapping names a component that it does not have")
    if channel.column is None:
        component = components[channel.component]
        return component.bits, component.signed
    if palette is None or channel.column >= len(palette.bits):
        raise ValueError("its component mapping names a column that its palette does not have")
    return palette.bits[channel.column], palette.signed


def _space(path: Path, header: Header, channels: int) -> _Space:
    """The first colour specification that is understood and fits the number of channels."""
    unread = ""
    for colour in header.colours:
        space = _parameterized(colour, channels) if colour.method == 5 else _specified(header, colour)
        if space is not None and space.colours <= channels and not _is_grey_profile(colour, channels):
            return space
        unread = unread or _UNREAD.get(colour.enumerated, "") or _unread_parameters(colour)
    if unread:
        raise ImageError(f"{path} has {unread} colours, which are not read: convert it to sRGB.")
    note = ""
    if header.colours and (header.colours[0].method, header.colours[0].enumerated) != (1, 0):
        note = "its colour specification is not understood, and sRGB is assumed"
    if channels < 3:
        return _Space(Model.GREY, 1, note=note)
    if channels > 4:
        return _Space(Model.CHANNELS, channels, note=note)
    if header.palette is None and _chroma_is_halved(header.siz.components):
        return _Space(Model.RGB, 3, ycc=True, note="its colours are taken for YCbCr, as two are halved")
    return _Space(Model.RGB, 3, note=note)


def _is_grey_profile(colour: Colour, channels: int) -> bool:
    """Whether a profile of grey stands for three channels or more; the enumerated grey may mean bands."""
    return colour.method in (2, 3) and colour.rest[16:20] == b"GRAY" and channels > 2


def _specified(header: Header, colour: Colour) -> _Space | None:
    """The colour space that a specification names; None if that one is not read."""
    if colour.method in (2, 3):  # a restricted or any ICC profile
        kind = _PROFILES.get(colour.rest[16:20])
        return kind and _Space(*kind, Encoding(colour.rest, said_by="its ICC profile"))
    if colour.method != 1:
        return None
    bilevel = header.siz.components[0].bits == 1  # else, 0 is what OpenJPEG writes for "unspecified"
    match colour.enumerated:
        case 0 if bilevel:
            return _Space(Model.GREY, 1, white_is_zero=True)
        case 15 | 17:
            return _Space(Model.GREY, 1)
        case 12:
            return _Space(Model.CMYK, 4)
        case 14:
            return _Space(Model.LAB, 3, lab=colour, note=_lab_note(colour.rest))
        case 16:
            return _Space(Model.RGB, 3)
        case 18:
            return _Space(Model.RGB, 3, ycc=True)
    return None


def _parameters(colour: Colour) -> tuple[int, int, int, int]:
    """The code points of a parameterized colour space (T.814, D.4.3), the full-range flag last."""
    primaries, transfer, matrix, flags = struct.unpack(">HHHB", colour.rest[:7])
    return primaries, transfer, matrix, flags >> 7


def _parameterized(colour: Colour, channels: int) -> _Space | None:
    """The colour space that code points of ITU-T H.273 name; None if they are not read."""
    if _unread_parameters(colour, channels):
        return None
    codes = _parameters(colour)
    model, colours = (Model.GREY, 1) if channels < 3 else (Model.RGB, 3)
    encoding = encoding_of(codes, "its colour specification") or SRGB
    ycc = model == Model.RGB and codes[2] in _BT601_MATRIX
    return _Space(model, colours, encoding, ycc=ycc, narrow=codes[3] == 0)


def _unread_parameters(colour: Colour, channels: int = 3) -> str:
    """What is not read of a parameterized colour space; "" if all is, or for a space of another kind."""
    if colour.method != 5:
        return ""
    codes = _parameters(colour)
    if not is_known(codes):
        return f"unknown (ITU-T H.273, {codes[0]}/{codes[1]})"
    read = codes[2] in _RGB_MATRIX or (codes[2] in _BT601_MATRIX and codes[3] == 1)
    return "" if read or channels < 3 else "YCbCr"


def _lab_note(parameters: bytes) -> str:
    illuminant = parameters[24:28]
    return "" if illuminant in (b"", b"\0D50") else "the white of its Lab colours is taken for D50"


def _chroma_is_halved(components: tuple[Component, ...]) -> bool:
    """Whether they are brightness and two colours of half the columns, and maybe rows (4:2:2 or 4:2:0)."""
    steps = [(component.dx, component.dy) for component in components]
    return steps[0] == (1, 1) and steps[1] == steps[2] in ((2, 1), (2, 2)) and set(steps[3:]) <= {(1, 1)}


def _layout(header: Header, channels: tuple[Mapped, ...], space: _Space) -> _Layout:
    """Sort channels by their definitions (T.800, I.5.3.6); without, the colours come first."""
    defined = dict(header.definitions)
    colours: dict[int, int] = {}  # number of the colour: channel
    for index in range(len(channels)):
        definition = defined.get(index)
        if definition is not None and definition.kind == _COLOUR and definition.association:
            colours.setdefault(definition.association, index)
    for number in range(1, space.colours + 1):
        if number not in colours and number - 1 not in defined:
            colours[number] = number - 1
    if not set(range(1, space.colours + 1)) <= set(colours):
        raise ValueError("its channel definitions do not name every colour")
    order = [colours[number] for number in range(1, space.colours + 1)]
    opaque = [index for index, use in sorted(defined.items()) if _is_alpha(use) and index < len(channels)]
    alpha = Alpha.NONE
    if opaque:
        kind = defined[opaque[0]].kind
        alpha = Alpha.ASSOCIATED if kind == _PREMULTIPLIED else Alpha.STRAIGHT
    left = [index for index in range(len(channels)) if index not in (*order, *opaque[:1])]
    model, notes = space.model, []
    if not opaque and len(left) > 1 and model in (Model.GREY, Model.RGB) and not space.ycc:
        model, order, left = Model.CHANNELS, sorted(order + left), []
    if left:
        what = "a channel" if len(left) == 1 else f"{len(left)} channels"
        notes.append(f"{what} that is neither a colour nor transparency is left out")
    return _Layout(model, tuple(channels[index] for index in (*order, *opaque[:1])), alpha, tuple(notes))


def _is_alpha(definition: Definition) -> bool:
    return definition.kind in _OPACITY and definition.association == _WHOLE_IMAGE


def _check_decodable(path: Path, header: Header, space: _Space, layout: _Layout) -> None:
    components = header.siz.components
    kinds = {(component.bits, component.signed) for component in components}
    subsampled = any((component.dx, component.dy) != (1, 1) for component in components)
    direct = all(channel == Mapped(index, None) for index, channel in enumerate(layout.channels[:3]))
    if space.ycc and (not direct or len(kinds) > 1 or components[0].signed):
        raise ImageError(f"{path} stores YCbCr in a way that is not read: convert it to RGB.")
    if subsampled and not (
        space.ycc
        and header.palette is None
        and _chroma_is_halved(components)
        and not header.siz.odd_offset  # OpenJPEG's first column and row are wrong
    ):
        raise ImageError(f"{path} has channels of several resolutions, which are not read: convert it.")
    if len(kinds) > 1 and (len(components) not in (2, 3, 4) or max(kinds)[0] > 8):
        raise ImageError(f"{path} has channels of several depths, which are not read: convert it.")


def _levels(space: _Space, layout: _Layout, depths: list[tuple[int, bool]]) -> Levels:
    black, white = [], []
    for bits, signed in depths:
        black.append(float(-(1 << (bits - 1)) if signed else 0))
        white.append(float((1 << (bits - 1 if signed else bits)) - 1))
    if space.lab is not None and layout.model == Model.LAB:
        black[:3], white[:3] = _lab_levels(space.lab.rest, depths[:3])
        return Levels(tuple(black), tuple(white), beyond="clip")
    if space.white_is_zero and layout.model == Model.GREY:
        black[0], white[0] = white[0], black[0]
    if space.narrow and layout.model != Model.CHANNELS:
        for index in range(space.colours):
            unit = (white[index] - black[index] + 1) / 256
            black[index], white[index] = black[index] + 16 * unit, black[index] + 235 * unit
        return Levels(tuple(black), tuple(white), beyond="clip")
    if len(set(black)) == len(set(white)) == 1:
        return Levels(int(black[0]), int(white[0]))
    return Levels(tuple(black), tuple(white))


def _lab_levels(parameters: bytes, depths: list[tuple[int, bool]]) -> tuple[list[float], list[float]]:
    """The stored numbers of L* = 0 and 100, a* and b* = -128 and 127 (T.801, M.11.7.4.1).

    The parameters are the range and offset of each; without them, they have defaults.
    """
    bits = [depth for depth, _ in depths]
    said = [int.from_bytes(parameters[at : at + 4]) for at in range(0, 24, 4)]
    defaults = [100, 0, 170, 1 << (bits[1] - 1), 200, (1 << (bits[2] - 2)) + (1 << (bits[2] - 3))]
    numbers = said if len(parameters) >= 24 else defaults
    black, white = [], []
    for depth, reach, offset, (low, high) in zip(
        bits, numbers[::2], numbers[1::2], ((0, 100), (-128, 127), (-128, 127)), strict=True
    ):
        if reach == 0:
            raise ValueError("the ranges of its Lab colours are empty")
        black.append(offset + low * ((1 << depth) - 1) / reach)
        white.append(offset + high * ((1 << depth) - 1) / reach)
    return black, white


def _decode(path: Path, header: Header, space: _Space, layout: _Layout) -> Samples:
    with path.open("rb") as file:
        file.seek(header.codestream.start)
        codestream = file.read(header.codestream.end - header.codestream.start)
    planes = _components(codestream, header.siz.components, space.ycc)
    channels = []
    for channel in layout.channels:
        plane = planes[..., channel.component]
        if channel.column is not None and header.palette is not None:
            entries = np.array(header.palette.columns[channel.column])
            most = (1 << header.palette.bits[channel.column]) - 1
            entries = entries.astype(np.int32 if header.palette.signed else np.min_scalar_type(most))
            plane = entries[np.minimum(plane, len(entries) - 1)]
        channels.append(plane)
    return Samples(np.stack(channels, axis=2))


def _components(codestream: bytes, components: tuple[Component, ...], ycc: bool) -> np.ndarray:
    """Decode all components, [H, W, components], as they are stored; sYCC to RGB."""
    kinds = {(component.bits, component.signed) for component in components}
    if len(kinds) > 1:
        return _of_several_depths(codestream, components)
    if ycc:
        codestream = _as_sycc(codestream, components)
    pixels = np.asarray(imagecodecs.jpeg2k_decode(codestream))
    return pixels.reshape(*pixels.shape[:2], -1)


def _as_sycc(codestream: bytes, components: tuple[Component, ...]) -> bytes:
    """Put the codestream into the smallest file that says sYCC."""
    first = components[0]
    size = first.height.to_bytes(4) + first.width.to_bytes(4) + len(components).to_bytes(2)
    header = _box(b"ihdr", size + bytes([first.bits - 1, 7, 0, 0])) + _box(b"colr", b"\1\0\0\0\0\0\x12")
    signature, brand = _box(b"jP  ", b"\r\n\x87\n"), _box(b"ftyp", b"jp2 \0\0\0\0jp2 ")
    return signature + brand + _box(b"jp2h", header) + b"\0\0\0\0jp2c" + codestream


def _box(kind: bytes, content: bytes) -> bytes:
    return (8 + len(content)).to_bytes(4) + kind + content


def _of_several_depths(codestream: bytes, components: tuple[Component, ...]) -> np.ndarray:
    """Decode components of up to 8 bits, which Pillow has shifted to 8 bits and made unsigned."""
    with Image.open(io.BytesIO(codestream), formats=["JPEG2000"]) as image:
        shifted = np.asarray(image)
    shift = np.array([8 - component.bits for component in components])
    black = np.array([component.signed << (component.bits - 1) for component in components])
    return (shifted >> shift).astype(np.int16) - black.astype(np.int16)
