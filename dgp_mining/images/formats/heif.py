"""HEIC and other HEIF files (ISO/IEC 23008-12), decoded by libheif through pillow-heif.

libheif crops, turns and mirrors as the file says, and applies matrix and range.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pillow_heif

from ..image_file import Alpha, ImageFile, Model, Samples, full_range
from ..limits import ImageError, check_size
from ..reading import Reading
from .heif_colours import attachments, encoding, notes
from .heif_items import Picture, read_picture


def open_file(path: Path, reading: Reading) -> ImageFile:
    """Describe a HEIF file. Raises ImageError, ValueError and struct.error."""
    picture = read_picture(path)
    if picture is None:
        raise ImageError(f"{path} is a film without a still picture, which is not read: convert it.")
    height, width = picture.window.height, picture.window.width
    if picture.orientation >= 5:
        height, width = width, height
    check_size(path, height, width)
    alpha = Alpha.ASSOCIATED if picture.premultiplied else Alpha.STRAIGHT if picture.alpha else Alpha.NONE
    return ImageFile(
        path=path,
        format="HEIF",
        height=height,
        width=width,
        model=Model.GREY if picture.grey else Model.RGB,
        channels=1 if picture.grey else 3,
        alpha=alpha,
        bits=picture.bits,
        levels=full_range(picture.bits),
        encoding=encoding(path, picture),
        notes=notes(picture),
        decode=lambda: _decode(path, picture),
        attachments=lambda: attachments(path, picture),
    )


def _decode(path: Path, picture: Picture) -> Samples:
    opened = pillow_heif.open_heif(path, convert_hdr_to_8bit=False, hdr_to_16bit=False)
    pixels = np.array(opened)  # a view would outlive what it looks at
    pixels = pixels.reshape(*pixels.shape[:2], -1)
    if picture.grey and pixels.shape[2] >= 3:  # libheif repeats grey that has alpha
        pixels = pixels[..., [0, -1]] if picture.alpha else pixels[..., :1]
    return Samples(pixels)
