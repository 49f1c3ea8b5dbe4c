"""JPEG (ITU-T T.81)."""

from __future__ import annotations

from pathlib import Path

from ..image_file import ImageFile
from ..reading import Reading
from .pillow_file import describe


def open_file(path: Path, reading: Reading) -> ImageFile:
    """Describe a JPEG file. Raises ImageError and Pillow's errors."""
    return describe(path, "JPEG", "JPEG", reading)
