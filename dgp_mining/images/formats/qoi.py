"""QOI, the Quite OK Image Format (its specification, version 1.0)."""

from __future__ import annotations

from pathlib import Path

import imagecodecs
import numpy as np

from ..image_file import Alpha, ImageFile, Model, Samples, full_range
from ..limits import check_size, ends_early
from ..reading import Reading

_END = b"\0\0\0\0\0\0\0\1"  # the last bytes of every file
_LONGEST_RUN = 62


def open_file(path: Path, reading: Reading) -> ImageFile:
    """Describe a QOI file. Raises ImageError."""
    with path.open("rb") as file:
        head = file.read(14)
    if len(head) < 14 or head[12] not in (3, 4) or head[13] not in (0, 1):
        raise ValueError("its header is damaged")
    width, height = int.from_bytes(head[4:8]), int.from_bytes(head[8:12])
    check_size(path, height, width)
    channels = head[12]
    return ImageFile(
        path=path,
        format="QOI",
        height=height,
        width=width,
        model=Model.RGB,
        channels=3,
        alpha=Alpha.STRAIGHT if channels == 4 else Alpha.NONE,
        bits=8,
        levels=full_range(8),
        # "Purely informative" by the specification; Pillow and imagecodecs write 1 whatever they are given.
        notes=("its header says linear light, as writers do for any values: it is taken for sRGB",)
        if head[13] == 1
        else (),
        decode=lambda: _decode(path, height * width),
    )


def _decode(path: Path, pixels: int) -> Samples:
    content = path.read_bytes()
    # A byte repeats a pixel up to 62 times. The decoder would repeat the last one for what is missing.
    if _END not in content[-1024:] or pixels > _LONGEST_RUN * len(content):
        raise ends_early(path)
    return Samples(np.asarray(imagecodecs.qoi_decode(content)))
