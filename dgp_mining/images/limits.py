"""What no reader of images may exceed, and the error that all of them raise."""

from __future__ import annotations

import os
from pathlib import Path

from ..harmless import harmless
from ..machine import amount, available_memory

MAX_CHANNELS = 8
"""Upper limit of channels, set by the renderer."""

MAX_PIXELS = 178_956_970
"""Upper limit of an image's pixels, a protection against decompression bombs; Pillow's value."""

MAX_PIXELS_VARIABLE = "DGP_MAX_PIXELS"
"""Environment variable that overrides MAX_PIXELS."""

MOST_DEFLATED = 1032
"""Bytes that one byte of Deflate holds at most: 258 of them take a length and a distance of one bit each
(RFC 1951, 3.2.5)."""

_CERTAIN = 1 << 24
"""Bytes that are not asked for: looking takes longer than decoding so little."""


class ImageError(ValueError):
    """An image or a folder of images cannot be used; the message is one sentence naming it.

    Much of it may be what a file says of itself; what could control a terminal is replaced.
    """

    def __init__(self, message: str) -> None:
        super().__init__(harmless(message))


def max_pixels() -> int:
    """Return the upper limit of an image's pixels. Raises ImageError if DGP_MAX_PIXELS is not a number."""
    asked = os.environ.get(MAX_PIXELS_VARIABLE) or str(MAX_PIXELS)
    if not asked.isdecimal():
        raise ImageError(f"{MAX_PIXELS_VARIABLE} must be a number of pixels, got {asked!r}.")
    return int(asked)


def check_size(path: Path, height: int, width: int) -> None:
    """Raise ImageError if an image has no pixels, or more than `max_pixels`."""
    if height <= 0 or width <= 0:
        raise ImageError(f"{path} has {width}x{height} pixels: replace or remove it.")
    if height * width > max_pixels():
        raise too_large(path)


def check_memory(path: Path, height: int, width: int, bytes_per_pixel: int) -> None:
    """Raise ImageError if decoding an image takes more memory than this process can still allocate.

    Pixels are decoded as a whole: most decoders know no other way, and what is done with an image wants all
    of it at once. So where memory is short, the limit is lower than `max_pixels`. How many bytes a file has
    tells little about its pixels: a picture of one colour shrinks to a thousandth as PNG, to less as JPEG
    XL. Where a format cannot hold so much in so little, `check_held` refuses the file as cut short.
    """
    needed = height * width * bytes_per_pixel
    if needed > _CERTAIN and needed > (free := available_memory()):
        raise ImageError(
            f"{path} has {width}x{height} pixels, which take about {amount(needed)} to decode, and "
            f"{amount(free)} are free: cut it into smaller images."
        )


def check_unpacked(path: Path, what: str, nbytes: int) -> None:
    """Raise ImageError if a part of a file, such as "a volume", takes more memory than can be allocated."""
    if nbytes > _CERTAIN and nbytes > (free := available_memory()):
        raise ImageError(
            f"{path} has {what} of {amount(nbytes)}, and {amount(free)} are free: cut it into smaller images."
        )


def check_held(path: Path, height: int, width: int, needed: int, held: int | None = None) -> None:
    """Raise ImageError if so many pixels cannot be in so few bytes, before memory is taken for them.

    Args:
        path: the file.
        height: of the image that its header claims.
        width: likewise.
        needed: bytes that the pixels take at least as the file compresses them, whatever they are.
        held: bytes that there are for them; default: the size of the file.
    """
    held = path.stat().st_size if held is None else held
    if needed > held:
        few = f"{held:,} byte{'s' * (held != 1)}"
        raise ends_early(path, f"{few} cannot hold {width}x{height} pixels; ")


def ends_early(path: Path, reason: str = "") -> ImageError:
    """Return the error for a file that is cut short."""
    return ImageError(f"{path} ends before its pixels do: {reason}replace or remove it.")


def too_large(path: Path) -> ImageError:
    """Return the error for an image of more than `max_pixels`."""
    return ImageError(
        f"{path} has more than {max_pixels():,} pixels: cut it into smaller images, or set "
        f"{MAX_PIXELS_VARIABLE} to as many as fit into memory."
    )
