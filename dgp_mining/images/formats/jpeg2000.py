"""JPEG 2000 (ITU-T T.800)."""

from __future__ import annotations

from pathlib import Path

import imagecodecs
import numpy as np

from ..attachments import pillow_attachments
from ..encoding import Encoding
from ..image_file import Alpha, ImageFile, Model, Samples, full_range
from ..reading import Reading
from .pillow_file import open_pillow

_CODESTREAM = b"\xff\x4f\xff\x51"  # start of the codestream, and of its SIZ segment
_COMPONENTS = 40  # offset of Csiz, the number of components, and then of Ssiz of the first (A.5.1)


def open_file(path: Path, reading: Reading) -> ImageFile:
    """Describe a JPEG 2000 file. Raises ImageError and Pillow's errors."""
    content = path.read_bytes()
    start = content.find(_CODESTREAM) + _COMPONENTS
    components, bits = int.from_bytes(content[start : start + 2]), (content[start + 2] & 0x7F) + 1
    with open_pillow(path, "JPEG2000") as image:
        return ImageFile(
            path=path,
            format="JPEG 2000",
            height=image.height,
            width=image.width,
            model=Model.RGB if components > 2 else Model.GREY,
            channels=3 if components > 2 else 1,
            alpha=Alpha.STRAIGHT if components in (2, 4) else Alpha.NONE,
            bits=bits,
            levels=full_range(bits),
            encoding=Encoding(image.info.get("icc_profile") or None),
            decode=lambda: _decode(path),
            attachments=lambda: pillow_attachments(image),
        )


def _decode(path: Path) -> Samples:
    pixels = np.asarray(imagecodecs.jpeg2k_decode(path.read_bytes()))
    return Samples(pixels.reshape(*pixels.shape[:2], -1))
