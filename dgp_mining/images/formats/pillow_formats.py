"""BMP and WebP, which Pillow reads."""

from __future__ import annotations

from pathlib import Path

from ..image_file import ImageFile
from ..reading import Reading
from .pillow_file import describe


def open_file(path: Path, reading: Reading) -> ImageFile:
    """Describe a BMP or WebP file. Raises ImageError and Pillow's errors."""
    with path.open("rb") as file:
        bmp = file.read(2) == b"BM"
    return describe(path, "BMP", "BMP", reading) if bmp else describe(path, "WebP", "WEBP", reading)
