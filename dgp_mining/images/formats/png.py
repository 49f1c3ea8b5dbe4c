"""PNG (W3C, third edition)."""

from __future__ import annotations

from pathlib import Path

import imagecodecs
import numpy as np

from ..image_file import ImageFile, Samples, full_range
from ..reading import Reading
from .pillow_file import describe, open_pillow


def open_file(path: Path, reading: Reading) -> ImageFile:
    """Describe a PNG file. Raises ImageError and Pillow's errors."""
    with path.open("rb") as file:
        head = file.read(26)
    if len(head) == 26 and head[24] == 16:
        return _deep(path, head[25])
    return describe(path, "PNG", "PNG", reading)


def _deep(path: Path, kind: int) -> ImageFile:
    from PIL import ExifTags, Image

    from ..attachments import pillow_attachments
    from ..encoding import Encoding
    from ..image_file import Alpha, Model

    with open_pillow(path, "PNG") as image:
        return ImageFile(
            path=path,
            format="PNG",
            height=image.height,
            width=image.width,
            model=Model.RGB if kind & 2 else Model.GREY,
            channels=3 if kind & 2 else 1,
            alpha=Alpha.STRAIGHT if kind & 4 else Alpha.NONE,
            bits=16,
            levels=full_range(16),
            encoding=Encoding(image.info.get("icc_profile") or None),
            orientation=Image.Image.getexif(image).get(ExifTags.Base.Orientation, 1),
            decode=lambda: _decode(path),
            attachments=lambda: pillow_attachments(image),
        )


def _decode(path: Path) -> Samples:
    pixels = np.asarray(imagecodecs.png_decode(path.read_bytes()))
    return Samples(pixels.reshape(*pixels.shape[:2], -1))
