"""Netpbm: PBM, PGM, PPM (ASCII and binary), PAM, and PFM.

Sources: the pages pbm(5), pgm(5), ppm(5), pam(5), pfm(5) of Netpbm.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from ..image_file import UNIT, Alpha, ImageFile, Levels, Model, Samples
from ..limits import check_size, ends_early
from ..reading import Reading, no_such_slice
from .pillow_file import frame_note

_MAX_TOKEN = 40  # bytes of a number in a header
_MAX_LINE = 4096  # bytes of a line in the header of a PAM
_TUPLES = {
    "BLACKANDWHITE": (Model.GREY, 1),
    "GRAYSCALE": (Model.GREY, 1),
    "RGB": (Model.RGB, 3),
    "CMYK": (Model.CMYK, 4),
}
"""PAM's tuple types without "_ALPHA" (pam(5); CMYK is of Ghostscript): the model and number of channels."""


@dataclass(frozen=True)
class _Header:
    """What the header of one image says."""

    magic: str
    height: int
    width: int
    start: int  # offset of the raster
    depth: int = 1
    maxval: int = 1
    scale: float = 1.0
    tuples: str = ""

    @property
    def size(self) -> int:
        """Bytes of a binary raster."""
        if self.magic == "P4":
            return self.height * ((self.width + 7) // 8)
        sample = 4 if self.magic in ("PF", "Pf") else 1 if self.maxval < 256 else 2
        return self.height * self.width * self.depth * sample


def open_file(path: Path, reading: Reading) -> ImageFile:
    """Describe a Netpbm file. Raises ImageError."""
    headers = _headers(path)
    number = reading.slice or 0
    if number >= len(headers):
        raise no_such_slice(path, len(headers), "images", number)
    header = headers[number]
    check_size(path, header.height, header.width)
    model, channels, alpha, notes = _meaning(header)
    levels = Levels(0, header.maxval)
    floating = header.magic in ("PF", "Pf")
    if floating:
        levels = UNIT
        notes.append("its floats are taken for sRGB values")
        if header.scale != 1:
            notes.append(f"its scale factor {header.scale:g} is not applied")
    elif header.magic in ("P1", "P4"):
        levels = Levels(1, 0)  # 1 is black
    return ImageFile(
        path=path,
        format="PFM" if floating else "PAM" if header.magic == "P7" else "Netpbm",
        height=header.height,
        width=header.width,
        model=model,
        channels=channels,
        alpha=alpha,
        bits=32 if floating else header.maxval.bit_length(),
        floating=floating,
        levels=levels,
        notes=(*notes, *frame_note(number, len(headers), "images")),
        decode=lambda: _decode(path, header),
    )


def _meaning(header: _Header) -> tuple[Model, int, Alpha, list[str]]:
    """The model, its number of channels, the alpha, and notes."""
    if header.magic != "P7":
        return (Model.RGB if header.depth == 3 else Model.GREY, header.depth, Alpha.NONE, [])
    kind = header.tuples.removesuffix("_ALPHA")
    alpha = Alpha.STRAIGHT if kind != header.tuples else Alpha.NONE
    channels = header.depth - (alpha != Alpha.NONE)
    if (known := _TUPLES.get(kind)) and known[1] == channels:
        return (*known, alpha, [])
    if kind in _TUPLES:
        raise ValueError(f"its tuple type is {header.tuples}, but its depth {header.depth}")
    model = {1: Model.GREY, 3: Model.RGB}.get(header.depth, Model.CHANNELS)
    said = f"its tuple type {header.tuples!r} is unknown" if header.tuples else "it names no tuple type"
    return (model, header.depth, Alpha.NONE, [f"{said}: it is taken for {model}"])


def _headers(path: Path) -> list[_Header]:
    """The headers of all images in the file; ASCII and PFM files hold one."""
    headers: list[_Header] = []
    end = path.stat().st_size
    with path.open("rb") as file:
        while True:
            header = _header(file)
            headers.append(header)
            if header.magic in ("P1", "P2", "P3", "PF", "Pf"):
                return headers
            following = header.start + header.size
            if header.size <= 0 or following >= end:
                return headers
            file.seek(following)
            if not re.match(rb"P([1-6][\s#]|7\r?\n)", file.read(3)):
                return headers
            file.seek(following)


def _header(file: BinaryIO) -> _Header:
    magic = file.read(2).decode("ascii", "replace")
    if magic == "P7":
        return _pam_header(file)
    width, height = _whole(file), _whole(file)
    if magic in ("PF", "Pf"):
        scale = _scale(_token(file).decode("ascii", "replace"))
        return _Header(
            "PF" if magic == "PF" else "Pf",
            height,
            width,
            file.tell(),
            3 if magic == "PF" else 1,
            scale=abs(scale),
            tuples="<" if scale < 0 else ">",
        )
    maxval = 1 if magic in ("P1", "P4") else _whole(file)
    _check_maxval(maxval)
    return _Header(magic, height, width, file.tell(), 3 if magic in ("P3", "P6") else 1, maxval)


def _pam_header(file: BinaryIO) -> _Header:
    file.readline(_MAX_LINE)
    fields: dict[str, str] = {}
    while True:
        line = file.readline(_MAX_LINE)
        if not line.endswith(b"\n"):
            raise ValueError("its header does not end")
        words = line.decode("ascii", "replace").split(None, 1)
        if not words or words[0].startswith("#"):
            continue
        if words[0] == "ENDHDR":
            break
        value = words[1].strip() if len(words) > 1 else ""
        # Several lines of a tuple type are one (pam(5)).
        fields[words[0]] = f"{fields[words[0]]} {value}" if words[0] in fields else value
    width, height, depth, maxval = (
        _number(fields.get(name, "0")) for name in ("WIDTH", "HEIGHT", "DEPTH", "MAXVAL")
    )
    _check_maxval(maxval)
    if depth < 1:
        raise ValueError(f"its depth is {depth}")
    return _Header("P7", height, width, file.tell(), depth, maxval, tuples=fields.get("TUPLTYPE", ""))


def _check_maxval(maxval: int) -> None:
    if not 0 < maxval < 65536:
        raise ValueError(f"its largest value must be from 1 to 65535, not {maxval}")


def _whole(file: BinaryIO) -> int:
    return _number(_token(file).decode("ascii", "replace"))


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise ValueError(f"its header holds {text!r} in place of a number")
    return int(text)


def _scale(text: str) -> float:
    try:
        scale = float(text)
    except ValueError:
        scale = 0
    if scale == 0 or not math.isfinite(scale):
        raise ValueError(f"its scale factor is {text!r}, but must be a number other than 0")
    return scale


def _token(file: BinaryIO) -> bytes:
    """Read a word and the one white-space character behind it; a comment ends as a line does (pbm(5))."""
    token = b""
    while len(token) < _MAX_TOKEN:
        byte = file.read(1)
        if byte == b"#":
            while byte not in (b"", b"\n", b"\r"):
                byte = file.read(1)
        if not byte:
            raise ValueError("its header does not end")
        if not byte.isspace():
            token += byte
        elif token:
            return token
    raise ValueError("its header holds a word in place of a number")


def _decode(path: Path, header: _Header) -> Samples:
    plain = header.magic in ("P1", "P2", "P3")
    with path.open("rb") as file:
        file.seek(header.start)
        raster = file.read() if plain else file.read(header.size)
    shape = (header.height, header.width, header.depth)
    if plain:
        return Samples(_plain(path, header, raster).reshape(shape))
    if len(raster) < header.size:
        raise ends_early(path)
    if header.magic == "P4":
        rows = np.frombuffer(raster, np.uint8).reshape(header.height, -1)
        return Samples(np.unpackbits(rows, axis=1)[:, : header.width, None])
    if header.magic in ("PF", "Pf"):
        floats = np.frombuffer(raster, header.tuples + "f4").astype(np.float32)
        return Samples(floats.reshape(shape)[::-1])  # the lowest row is first
    if header.maxval < 256:
        return Samples(np.frombuffer(raster, np.uint8).reshape(shape))
    return Samples(np.frombuffer(raster, ">u2").astype(np.uint16).reshape(shape))


def _plain(path: Path, header: _Header, raster: bytes) -> np.ndarray:
    count = header.height * header.width * header.depth
    text = re.sub(rb"#[^\r\n]*", b" ", raster)
    if header.magic == "P1":  # white space between digits may be left out
        digits = np.frombuffer(b"".join(text.split()), np.uint8)[:count] - ord("0")
        values = digits.astype(np.int64)
    else:
        values = np.fromstring(text.decode("ascii", "replace"), np.int64, sep=" ")[:count]
    if len(values) < count:
        raise ends_early(path)
    if values.min() < 0 or values.max() > header.maxval:
        raise ValueError(f"a number in it is not from 0 to {header.maxval}")
    return values.astype(np.uint8 if header.maxval < 256 else np.uint16)
