"""An image as it is stored, upright, with everything that gives it a meaning.

The one way from a file to pixels. Mining goes on to sRGB floats without alpha (`reader.decode_image`),
upscaling keeps what this returns (`sr_model.image_io.reader`).
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from .failures import check_file, one_sentence
from .formats.table import FOLDER_SUFFIXES, format_of, suffix_of
from .image_file import Alpha, ImageFile, Levels, Model, Samples, turn
from .limits import MAX_CHANNELS, ImageError, check_memory, check_size
from .reading import AS_STORED, Reading

log = logging.getLogger(__name__)

_AS_FLOAT = 4
"""Bytes of a number that is read as float32, in addition to the stored one."""

_WHITE_IS_UNKNOWN = (
    ", for which the value of white is unknown: give it with white=, or convert it to 8 bits, 16 bits or "
    "floats in [0, 1]."
)


@dataclass(frozen=True, eq=False)
class StoredImage:
    """An image as it is stored, turned upright, its values scaled to the range of their type."""

    file: ImageFile
    """What the header says; its levels are those that were applied."""
    pixels: np.ndarray
    """[H, W, C] uint8 or uint16 from 0 (black) to the largest value (white), or float32 in [0, 1]; straight
    alpha is last if there is any."""
    notes: tuple[str, ...]
    """For the user, such as "the first of its 3 pages is read"."""
    valid: np.ndarray | None = None
    """[H, W] bool: the pixels that hold data; None: all."""

    @property
    def alpha(self) -> bool:
        """Whether the last channel is alpha."""
        return self.file.alpha != Alpha.NONE


def open_image(path: str | Path, reading: Reading = AS_STORED) -> ImageFile:
    """Read the header of an image file of any format.

    Raises ImageError, in one sentence naming the file, if it is no image, too large or of an unknown kind;
    OSError after a transient error of the disk or the network.
    """
    path = Path(path)
    with one_sentence(path):
        check_file(path, folders=suffix_of(path.name) in FOLDER_SUFFIXES)
        file = format_of(path).open_file(path, reading)
        check_size(path, file.height, file.width)
        if file.channels > MAX_CHANNELS:
            raise ImageError(f"{path} has {file.channels} channels, but at most {MAX_CHANNELS} are read.")
        return _as_chosen(file, reading)


def _as_chosen(file: ImageFile, reading: Reading) -> ImageFile:
    """The file with the levels that the user chose, if they apply to it; alpha keeps its own."""
    known = file.levels is not None and file.bits <= 8 and not file.floating and not file.measured
    if reading.levels is None or known or file.model == Model.LAB:
        return file
    black, white = reading.levels
    beyond: Literal["clip", "tone"] = "clip"
    small_is_bright = file.reversed
    if file.levels is not None:
        small_is_bright = _first(file.levels.black) > _first(file.levels.white)
        beyond = "tone" if file.levels.beyond == "tone" else "clip"
    if small_is_bright:
        black, white = white, black
    levels = Levels(black, white, beyond)
    if file.alpha != Alpha.NONE and file.levels is not None:
        opaque = _last(file.levels.white), _last(file.levels.black)
        colours = file.channels
        levels = Levels((black,) * colours + (min(opaque),), (white,) * colours + (max(opaque),), beyond)
    return replace(file, levels=levels, levels_chosen=True)


def _first(level: float | tuple[float, ...]) -> float:
    return level[0] if isinstance(level, tuple) else level


def _last(level: float | tuple[float, ...]) -> float:
    return level[-1] if isinstance(level, tuple) else level


def check_levels(file: ImageFile) -> None:
    """Raise ImageError if neither the file nor the user says which number is white, before it is decoded."""
    if file.levels is None and not file.levels_by_pixels:
        raise ImageError(
            f"{file.path} holds {'floats' if file.floating else 'integers'} of {file.bits} bits"
            + _WHITE_IS_UNKNOWN
        )


def read_stored(path: str | Path, reading: Reading = AS_STORED) -> StoredImage:
    """Read an image file of any format. Raises as `open_image` does, and for values of unknown meaning.

    >>> import tempfile
    >>> from PIL import Image
    >>> path = Path(tempfile.mkdtemp()) / "grey.png"
    >>> Image.new("L", (3, 2), 51).save(path)
    >>> stored = read_stored(path)
    >>> stored.pixels.shape, stored.file.model, stored.file.bits
    ((2, 3, 1), <Model.GREY: 'grey'>, 8)
    """
    path = Path(path)
    file = open_image(path, reading)
    with one_sentence(path):
        promised = (file.height, file.width, file.channels + (file.alpha != Alpha.NONE))
        check_memory(path, file.height, file.width, promised[2] * (-(-file.bits // 8) + _AS_FLOAT))
        samples = file.decode()
        if samples.pixels.shape != promised:
            raise ImageError(
                f"{path} has {_sizes(samples.pixels.shape)} pixels, but its header says {_sizes(promised)}: "
                "replace or remove it."
            )
        notes: list[str] = [*file.notes, *samples.notes]
        levels = (not file.levels_chosen and samples.levels) or file.levels
        pixels = _scaled(path, samples, levels, notes)
        light = levels is not None and levels.beyond == "tone"
        if light:
            pixels = _toned(pixels, file.alpha, reading.tone, notes)
        if samples.valid is not None:
            if without := 1 - float(samples.valid.mean()):
                notes.append(f"{without:.2%} of its pixels hold no data")
            pixels = np.where(samples.valid[..., None], pixels, pixels.dtype.type(0))
        if file.alpha == Alpha.ASSOCIATED and not light:
            pixels = straight(pixels)
        valid = None if samples.valid is None else turn(samples.valid, file.orientation)
        file = replace(file, levels=levels)
        return StoredImage(file, turn(pixels, file.orientation), tuple(dict.fromkeys(notes)), valid)


def _sizes(shape: tuple[int, ...]) -> str:
    height, width, *channels = shape
    return "x".join(map(str, (width, height, *channels)))


def _scaled(path: Path, samples: Samples, levels: Levels | None, notes: list[str]) -> np.ndarray:
    """Scale stored numbers so that black is 0 and white the largest value of uint8 or uint16, or 1.0.

    Pixels that are not valid may come out as anything, and linear light lies beyond.
    """
    pixels = samples.pixels
    data = pixels if samples.valid is None else pixels[samples.valid]
    if not data.size:
        return np.zeros(pixels.shape, np.float32)
    if levels is None:
        raise ImageError(f"{path} holds {pixels.dtype} values{_WHITE_IS_UNKNOWN}")
    if pixels.dtype in (np.uint8, np.uint16):
        most = np.iinfo(pixels.dtype).max
        if (levels.black, levels.white) == (0, most):
            return pixels
        if (levels.black, levels.white) == (most, 0):
            return most - pixels
    if data.dtype.kind == "f" and not np.isfinite(data).all():
        raise ImageError(f"{path} holds values that are not finite numbers: replace them.")
    black, white = np.asarray(levels.black, np.float64), np.asarray(levels.white, np.float64)
    # float32 holds integers of up to 24 bits exactly.
    exact = np.float32 if pixels.dtype.itemsize <= 2 or pixels.dtype == np.float32 else np.float64
    scaled = (pixels.astype(exact) - black.astype(exact)) / (white - black).astype(exact)
    of_data = scaled if samples.valid is None else scaled[samples.valid]
    low, high = float(of_data.min()), float(of_data.max())
    if (low >= 0 and high <= 1) or levels.beyond == "tone":
        return scaled.astype(np.float32)
    if levels.beyond == "refuse":
        kind = "floats" if pixels.dtype.kind == "f" else "numbers"
        raise ImageError(
            f"{path} holds {kind} from {data.min():g} to {data.max():g}: scale them into "
            f"[{np.min(black):g}, {np.max(white):g}], or say with white= or window= which are black and "
            "white."
        )
    beyond = float(np.mean((of_data < 0) | (of_data > 1)))
    notes.append(f"{beyond:.2%} of its values are below black or above white and are clipped")
    return scaled.clip(0, 1).astype(np.float32)


def _toned(pixels: np.ndarray, alpha: Alpha, tone: str, notes: list[str]) -> np.ndarray:
    """Bring linear light, 1.0 being white, into [0, 1] by the tone mapping `tone`; alpha becomes straight."""
    light, rest = (pixels, pixels[..., :0]) if alpha == Alpha.NONE else (pixels[..., :-1], pixels[..., -1:])
    rest = rest.clip(0, 1)
    if alpha == Alpha.ASSOCIATED:
        light = np.divide(light, rest, out=np.zeros_like(light), where=rest > 0)
    if tone == "reinhard":
        if below := float(np.mean(light < 0)):
            notes.append(f"{below:.2%} of its values are below black and are clipped")
        light = light.clip(0)
        light = light / (1 + light)
    elif beyond := float(np.mean((light < 0) | (light > 1))):
        notes.append(f"{beyond:.2%} of its values are below black or above white and are clipped")
    return np.concatenate([light.clip(0, 1), rest], axis=2)


def straight(pixels: np.ndarray) -> np.ndarray:
    """Divide colours [..., :-1] by alpha [..., -1], for values from 0 to the largest, or 1.0.

    Where alpha is 0, colours are 0.
    """
    whole = np.iinfo(pixels.dtype).max if pixels.dtype.kind == "u" else 1.0
    alpha = pixels[..., -1:] / np.float64(whole)
    colours = np.divide(pixels[..., :-1], alpha, out=np.zeros(pixels[..., :-1].shape), where=alpha > 0)
    colours = colours.clip(0, whole)
    if pixels.dtype.kind == "u":
        colours = colours.round()
    return np.concatenate([colours.astype(pixels.dtype), pixels[..., -1:]], axis=2)


def sixteen_or_eight_bits(image: StoredImage) -> np.ndarray:
    """The pixels with integers of fewer bits than their type as uint8 or uint16; floats stay.

    >>> import tempfile, tifffile
    >>> path = Path(tempfile.mkdtemp()) / "a.tif"
    >>> tifffile.imwrite(path, np.full((4, 4), 0.5, np.float32))
    >>> sixteen_or_eight_bits(read_stored(path)).dtype
    dtype('float32')
    """
    if image.pixels.dtype != np.float32 or image.file.floating or image.file.bits > 16:
        return image.pixels
    dtype = np.uint8 if image.file.bits <= 8 else np.uint16
    return (image.pixels * np.float32(np.iinfo(dtype).max) + np.float32(0.5)).astype(dtype)
