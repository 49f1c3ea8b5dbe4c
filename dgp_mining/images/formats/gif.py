"""GIF (GIF89a Specification). Its blocks are read here, its pixels by Pillow."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import BinaryIO

import numpy as np

from ..encoding import Encoding
from ..image_file import Alpha, ImageFile, Model, Samples, full_range
from ..limits import ImageError, check_size
from ..reading import Reading, no_such_slice
from .pillow_file import frame_note, open_pillow

_PROFILE = b"ICCRGBG1012"  # the application extension with an ICC profile (ICC.1, B.6)
_MAX_PROFILE = 1 << 24


@dataclass(frozen=True)
class _Frame:
    """What precedes the pixels of an image in the file, and what it needs of the screen."""

    left: int
    top: int
    right: int
    bottom: int
    transparent: bool
    palette: np.ndarray | None  # [N, 3] uint8; None: the file has none for it


@dataclass(frozen=True)
class _Screen:
    """The logical screen descriptor."""

    width: int
    height: int
    background: int
    palette: np.ndarray | None  # [N, 3] uint8
    profile: bytes | None = None


def open_file(path: Path, reading: Reading) -> ImageFile:
    """Describe a GIF file; of an animation only as far as needed. Raises ImageError."""
    number = reading.slice or 0
    with path.open("rb") as file:
        screen, frames = _read(path, file, number)
    height = max(screen.height, *(frame.bottom for frame in frames), 1)
    width = max(screen.width, *(frame.right for frame in frames), 1)
    check_size(path, height, width)
    first = frames[0]
    uncovered = number == 0 and (first.left, first.top, first.right, first.bottom) != (0, 0, width, height)
    grey = number == 0 and _is_grey(first.palette, screen if uncovered else None)
    alpha = first.transparent or uncovered
    return ImageFile(
        path=path,
        format="GIF",
        height=height,
        width=width,
        model=Model.GREY if grey else Model.RGB,
        channels=1 if grey else 3,
        alpha=Alpha.STRAIGHT if alpha else Alpha.NONE,
        bits=8,
        levels=full_range(8),
        encoding=Encoding(screen.profile),
        notes=() if first.palette is not None else ("it has no palette: its numbers are taken for grey",),
        decode=partial(_decode, path, number, grey, alpha, first if uncovered else None, screen),
    )


def _is_grey(palette: np.ndarray | None, screen: _Screen | None) -> bool:
    """Whether all colours are grey, those of the screen included if it shows."""
    palettes = [palette, screen.palette if screen else None]
    return all(table is None or (table == table[:, :1]).all() for table in palettes)


def _read(path: Path, file: BinaryIO, number: int) -> tuple[_Screen, list[_Frame]]:
    """The screen, and the frames up to that of `number`. Raises ImageError if the file has fewer."""
    _exactly(file, 6)
    head = _exactly(file, 7)
    palette = _palette(file, head[4])
    screen = _Screen(
        int.from_bytes(head[:2], "little"), int.from_bytes(head[2:4], "little"), head[5], palette
    )
    frames: list[_Frame] = []
    transparent = False
    while len(frames) <= number:
        match file.read(1):
            case b"!":
                label = _exactly(file, 1)
                blocks = _blocks(file)
                first = next(blocks, b"")
                if label == b"\xf9" and first:
                    transparent = bool(first[0] & 1)
                if label == b"\xff" and first == _PROFILE and not frames:
                    screen = replace(screen, profile=_joined(blocks))
                for _ in blocks:
                    pass
            case b",":
                left, top, width, height = np.frombuffer(_exactly(file, 8), "<u2").tolist()
                local = _palette(file, _exactly(file, 1)[0])
                own = palette if local is None else local
                frames.append(_Frame(left, top, left + width, top + height, transparent, own))
                transparent = False
                if len(frames) <= number:
                    _exactly(file, 1)
                    for _ in _blocks(file):
                        pass
            case b"" | b";":
                if not frames:
                    raise ImageError(f"{path} holds no image: remove it.")
                raise no_such_slice(path, len(frames), "frames", number)
            case _:  # padding, as other readers take it
                pass
    return screen, frames


def _palette(file: BinaryIO, flags: int) -> np.ndarray | None:
    if not flags & 0x80:
        return None
    return np.frombuffer(_exactly(file, 3 << ((flags & 7) + 1)), np.uint8).reshape(-1, 3)


def _blocks(file: BinaryIO) -> Iterator[bytes]:
    """The sub-blocks up to the empty one."""
    while length := (file.read(1) or b"\0")[0]:
        yield file.read(length)


def _joined(blocks: Iterator[bytes]) -> bytes:
    content = b""
    for block in blocks:
        content += block
        if len(content) > _MAX_PROFILE:
            raise ValueError("its colour profile does not end")
    return content


def _exactly(file: BinaryIO, count: int) -> bytes:
    content = file.read(count)
    if len(content) < count:
        raise ValueError("its header does not end")
    return content


def _decode(
    path: Path, number: int, grey: bool, alpha: bool, uncovered: _Frame | None, screen: _Screen
) -> Samples:
    with open_pillow(path, "GIF") as image:
        frames: int = getattr(image, "n_frames", 1)
        image.seek(number)
        pixels = np.array(image.convert("RGBA" if alpha else "RGB"))
    if uncovered and not uncovered.transparent:  # the background shows; all viewers leave it transparent
        outside = np.ones(pixels.shape[:2], bool)
        outside[uncovered.top : uncovered.bottom, uncovered.left : uncovered.right] = False
        background = screen.palette is not None and screen.background < len(screen.palette)
        colour = screen.palette[screen.background] if background and screen.palette is not None else (0, 0, 0)
        pixels[outside] = (*colour, 0)
    if grey:
        pixels = pixels[..., [0, 3]] if alpha else pixels[..., :1]
    return Samples(pixels, frame_note(number, frames, "frames"))
