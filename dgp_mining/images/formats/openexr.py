"""OpenEXR, decoded by the library of that name ("Technical Introduction to OpenEXR")."""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from ..encoding import LINEAR, Encoding
from ..image_file import Alpha, ImageFile, Levels, Model, Samples
from ..limits import MAX_CHANNELS, ImageError, check_held, check_size, max_pixels
from ..reading import Reading, no_such_slice
from .exr_header import Part, read_parts
from .pillow_file import frame_note

_UINT, _HALF = 0, 1  # types of channels


@dataclass(frozen=True)
class _Chosen:
    """The channels that are read."""

    names: tuple[str, ...]  # in the order of the decoded pixels, alpha last
    alpha: bool
    layer: str  # "" is the one without a name


def open_file(path: Path, reading: Reading) -> ImageFile:
    """Describe an OpenEXR file. Raises ImageError."""
    parts = read_parts(path)
    number, chosen = _choose(path, parts, reading.slice)
    part = parts[number]
    left, top, right, bottom = part.display
    height, width = bottom - top + 1, right - left + 1
    check_size(path, height, width)
    stored = part.data[3] - part.data[1] + 1, part.data[2] - part.data[0] + 1
    check_size(path, *stored)
    check_held(path, *stored, part.least_bytes)
    if number and sum(_area(other) * len(other.channels) for other in parts) > MAX_CHANNELS * max_pixels():
        raise ImageError(f"{path} has parts that are too large together: store them one by one.")
    channels = [part.channels[name] for name in chosen.names]
    if any(channel.sampling != (1, 1) for channel in channels):
        raise ImageError(f"{path} has channels with fewer pixels than the image: convert it.")
    colours = len(chosen.names) - chosen.alpha
    whole = all(channel.kind == _UINT for channel in channels)
    return ImageFile(
        path=path,
        format="OpenEXR",
        height=height,
        width=width,
        model=Model.RGB if colours == 3 else Model.GREY,
        channels=colours,
        alpha=Alpha.ASSOCIATED if chosen.alpha else Alpha.NONE,
        bits=16 if all(channel.kind == _HALF for channel in channels) else 32,
        floating=not whole,
        levels=None if whole else Levels(0, 1, beyond="tone"),
        encoding=_encoding(part),
        notes=_notes(parts, number, chosen),
        decode=partial(_decode, path, part, number, chosen),
    )


def _area(part: Part) -> int:
    left, top, right, bottom = part.data
    return max(right - left + 1, 0) * max(bottom - top + 1, 0)


def _choose(path: Path, parts: list[Part], asked: int | None) -> tuple[int, _Chosen]:
    """The part that is read, and its channels. Raises ImageError."""
    if asked is not None and asked >= len(parts):
        raise no_such_slice(path, len(parts), "parts", asked)
    numbers = range(len(parts)) if asked is None else [asked]
    for number in numbers:
        if not parts[number].deep and (chosen := _layer(parts[number])):
            return number, chosen
    if any(parts[number].deep for number in numbers):
        raise ImageError(f"{path} is a deep image, which is not read: flatten it.")
    names = [name for number in numbers for name in parts[number].channels]
    if {"Y", "RY", "BY"} <= set(names):
        raise ImageError(f"{path} holds luminance and chroma, which are not read: convert it to R, G and B.")
    listed = ", ".join(names[:8]) + (", ..." if len(names) > 8 else "")
    raise ImageError(f"{path} holds the channels {listed}, but R, G and B or Y are needed: convert it.")


def _layer(part: Part) -> _Chosen | None:
    """The first layer that is an image; the one without a name comes first."""
    layers = {name.rpartition(".")[0]: None for name in ("", *part.channels)}
    for layer in layers:
        prefix = f"{layer}." if layer else ""
        has = {short for short in ("R", "G", "B", "Y", "RY", "BY", "A") if prefix + short in part.channels}
        if {"R", "G", "B"} <= has:
            colours = ["R", "G", "B"]
        elif "Y" in has and not has & {"RY", "BY"}:
            colours = ["Y"]
        else:
            continue
        alpha = "A" in has
        return _Chosen(tuple(prefix + short for short in [*colours, *["A"] * alpha]), alpha, layer)
    return None


def _notes(parts: list[Part], number: int, chosen: _Chosen) -> tuple[str, ...]:
    notes = list(frame_note(number, len(parts), "parts"))
    part = parts[number]
    if chosen.layer:
        notes.append(f"its layer {chosen.layer} is read")
    if others := len(part.channels) - len(chosen.names):
        notes.append(f"{others} other channels of it are left out")
    ratio = part.attributes.get("pixelAspectRatio", b"")
    if len(ratio) == 4 and struct.unpack("<f", ratio) != (1.0,):
        notes.append("its pixels are not square, which is not undone")
    left, top, right, bottom = part.data
    if left < part.display[0] or top < part.display[1] or right > part.display[2] or bottom > part.display[3]:
        notes.append("what lies outside of its display window is left out")
    return tuple(notes)


def _encoding(part: Part) -> Encoding:
    """Linear light; without the attribute, the primaries are those of Rec. ITU-R BT.709."""
    said = part.attributes.get("chromaticities", b"")
    if len(said) != 32:
        return LINEAR
    red_x, red_y, green_x, green_y, blue_x, blue_y, white_x, white_y = struct.unpack("<8f", said)
    return replace(
        LINEAR,
        primaries=(white_x, white_y, red_x, red_y, green_x, green_y, blue_x, blue_y),
        said_by="its chromaticities",
    )


def _decode(path: Path, part: Part, number: int, chosen: _Chosen) -> Samples:
    stored = _stored(path, part, number, chosen.names)
    left, top, right, bottom = part.display
    data_left, data_top, data_right, data_bottom = part.data
    x0, x1 = max(left, data_left), min(right, data_right) + 1
    y0, y1 = max(top, data_top), min(bottom, data_bottom) + 1
    if x0 >= x1 or y0 >= y1:
        raise ImageError(f"{path} has no pixels in its display window: convert it.")
    notes = []
    if stored.dtype.kind == "f" and (infinite := int(np.isinf(stored).sum())):
        notes.append(f"{infinite} of its numbers are infinite and count as the largest")
        stored = np.where(np.isinf(stored), np.copysign(np.finfo(stored.dtype).max, stored), stored)
    inside = stored[y0 - data_top : y1 - data_top, x0 - data_left : x1 - data_left]
    if inside.shape[:2] == (bottom - top + 1, right - left + 1):
        return Samples(np.ascontiguousarray(inside), tuple(notes))
    pixels = np.zeros((bottom - top + 1, right - left + 1, stored.shape[2]), stored.dtype)
    valid = np.zeros(pixels.shape[:2], bool)
    pixels[y0 - top : y1 - top, x0 - left : x1 - left] = inside
    valid[y0 - top : y1 - top, x0 - left : x1 - left] = True
    notes.append("its display window reaches beyond its data window")
    return Samples(pixels, tuple(notes), valid=valid)


def _stored(path: Path, part: Part, number: int, names: tuple[str, ...]) -> np.ndarray:
    """The pixels [H, W, C] of the data window."""
    import OpenEXR

    shape = (part.data[3] - part.data[1] + 1, part.data[2] - part.data[0] + 1)
    if number:
        with OpenEXR.File(str(path), separate_channels=True) as file:  # reads every channel of every part
            channels = [np.array(file.channels(number)[name].pixels).reshape(shape) for name in names]
    else:
        file = OpenEXR.InputFile(str(path))  # reads the channels of the first part that are asked for
        try:
            dtypes = ("<u4", "<f2", "<f4")
            channels = [
                np.frombuffer(file.channel(name), dtypes[part.channels[name].kind]).reshape(shape)
                for name in names
            ]
        finally:
            file.close()
    return np.stack(channels, 2)
