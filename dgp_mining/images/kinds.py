"""What images are taken for, in words: format, bits, channels, colours, and which stored number is white."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np

from .encoding import SRGB_CHROMATICITIES, Encoding
from .image_file import Alpha, ImageFile, Levels, Model, full_range
from .reading import AS_STORED, Reading

MOST_LEVELS = 3
"""Different whites and blacks of images that are the same otherwise, which `alike` keeps apart."""

_TRANSFERS = {"srgb": "sRGB", "linear": "linear light", "bt709": "BT.709", "pq": "PQ", "hlg": "HLG"}
_WITHOUT_PROFILE = {Model.CMYK: "inks without a profile", Model.LAB: "Lab of D50"}


def kind_of(file: ImageFile) -> str:
    """Return what an image is: format, bits and channels.

    >>> from pathlib import Path
    >>> about = dict(path=Path("a"), format="PNG", height=1, width=1, model=Model.RGB, channels=3, bits=8)
    >>> kind_of(ImageFile(**about, alpha=Alpha.STRAIGHT, decode=lambda: None))
    '8-bit RGB PNG with alpha'
    """
    bits = f"{file.bits}-bit {'float ' if file.floating else ''}"
    channels = f"{file.channels}-channel" if file.model == Model.CHANNELS else str(file.model)
    alpha = "" if file.alpha == Alpha.NONE else " with alpha"
    return f"{bits}{channels} {file.format}{alpha}"


def levels_in_words(file: ImageFile, reading: Reading = AS_STORED) -> str:
    """Return how stored numbers become [0, 1], such as "white is 65,535"; of Lab, those of L*."""
    if file.levels_by_pixels and not file.levels_chosen:
        return file.levels_by_pixels
    if file.levels is None:
        return "the value of white is unknown"
    black, white = (_number(level) for level in _of_colours(file, file.levels))
    if file.model == Model.CMYK:
        said = f"full ink is {white}" if black == "0" else f"no ink is {black}, full ink is {white}"
    else:
        said = f"white is {white}" if black == "0" else f"black is {black}, white is {white}"
    if file.levels.beyond == "tone":
        said += ", and what is brighter " + {"clip": "is white too"}.get(
            reading.tone, f"is mapped by {reading.tone}"
        )
    return said + (" (as you chose)" if file.levels_chosen else "")


def alike(described: Sequence[tuple[str, str]]) -> list[str]:
    """Return (what an image is, its levels) as one text for each, such that few texts differ.

    Of images that are the same otherwise and have more than MOST_LEVELS different levels, such as the windows
    of a patient's slices, the most frequent ones stand for all.

    >>> alike([("a", "white is 1"), ("b", "white is 2")])
    ['a, white is 1', 'b, white is 2']
    >>> alike([("a", f"white is {i}") for i in range(9)])[0]
    'a, with 9 different whites and blacks, such as: white is 0'
    """
    levels: dict[str, Counter[str]] = defaultdict(Counter)
    for kind, words in described:
        levels[kind][words] += 1

    def shown(kind: str, words: str) -> str:
        if (number := len(levels[kind])) <= MOST_LEVELS:
            return f"{kind}, {words}"
        return (
            f"{kind}, with {number} different whites and blacks, such as: {levels[kind].most_common(1)[0][0]}"
        )

    return [shown(*pair) for pair in described]


def colours_in_words(file: ImageFile) -> str:
    """Return how values become colours, as `encoding_in_words`; bands are none."""
    if file.encoding.profile is None and file.model in _WITHOUT_PROFILE:
        return _WITHOUT_PROFILE[file.model]
    return "bands as they are" if file.model == Model.CHANNELS else encoding_in_words(file.encoding)


def encoding_in_words(encoding: Encoding) -> str:
    """Return how values become colours, such as "sRGB" or "ICC profile".

    >>> encoding_in_words(Encoding(transfer=0.4545, said_by="its gAMA chunk"))
    'gamma 0.4545 by its gAMA chunk'
    """
    if encoding.profile is not None:
        name = _profile_name(encoding.profile)
        return f"ICC profile {name}" if name else "ICC profile"
    if encoding.is_srgb:
        return "sRGB"
    transfer = encoding.transfer
    words = _TRANSFERS.get(transfer, transfer) if isinstance(transfer, str) else f"gamma {transfer:.4g}"
    if max(abs(a - b) for a, b in zip(encoding.primaries, SRGB_CHROMATICITIES, strict=True)) >= 1e-3:
        words += " with other primaries"
    return f"{words} by {encoding.said_by}" if encoding.said_by else words


def _profile_name(profile: bytes) -> str:
    """Return the description in an ICC profile (ICC.1:2022, 9.2.41); "" if there is none that can be read."""
    tags = int.from_bytes(profile[128:132])
    for entry in range(132, 132 + 12 * min(tags, 100), 12):
        if profile[entry : entry + 4] == b"desc":
            start, size = (int.from_bytes(profile[entry + at : entry + at + 4]) for at in (4, 8))
            return _text(profile[start : start + size])
    return ""


def _text(tag: bytes) -> str:
    """The text of a tag of type textDescriptionType (version 2) or multiLocalizedUnicodeType (version 4)."""
    if tag[:4] == b"desc":
        text = tag[12 : 12 + int.from_bytes(tag[8:12])].decode("ascii", "ignore")
    elif tag[:4] == b"mluc":
        length, start = int.from_bytes(tag[20:24]), int.from_bytes(tag[24:28])
        text = tag[start : start + length].decode("utf-16-be", "ignore")
    else:
        return ""
    return "".join(c for c in text.strip("\0 ") if c.isprintable())[:60]


def white_of(file: ImageFile) -> float | None:
    """Return the stored number that is white, the mean over channels; None if only the pixels show it."""
    if file.levels is None or (file.levels_by_pixels and not file.levels_chosen):
        return None
    black, white = _of_colours(file, file.levels)
    return float(np.mean(black if file.model == Model.CMYK else white))  # of CMYK, no ink is white


def _of_colours(file: ImageFile, levels: Levels) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Black and white as they are in the file, without those of alpha, or of a* and b*.

    Decoders scale 1, 2 and 4 bits up to 8.
    """
    if file.bits < 8 and levels == full_range(8):
        levels = full_range(file.bits)
    count = 1 if file.model == Model.LAB else None if file.alpha == Alpha.NONE else file.channels
    black, white = (tuple(np.ravel(level)[:count].tolist()) for level in (levels.black, levels.white))
    return black, white


def _number(level: float | tuple[float, ...]) -> str:
    """A level, or the range of the levels of several channels.

    >>> _number(65535), _number(1.0), _number((0.5, 2.0))
    ('65,535', '1', '0.5 to 2')
    """
    low, high = float(np.min(level)), float(np.max(level))
    one, other = (f"{n:,.0f}" if n == round(n) and abs(n) < 1e15 else f"{n:.6g}" for n in (low, high))
    return one if one == other else f"{one} to {other}"
