"""Camera raw, developed by LibRaw with settings that do not depend on the picture."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ..encoding import Encoding
from ..image_file import ImageFile, Model, Samples, full_range
from ..limits import ImageError
from ..reading import Reading, no_such_slice

_ORIENTATIONS = {0: 1, 1: 2, 2: 4, 3: 3, 4: 5, 5: 8, 6: 6, 7: 7}
"""LibRaw's flips (4: exchange rows and columns, then 2: upside down, 1: right to left) as EXIF says them."""


def open_file(path: Path, reading: Reading) -> ImageFile:
    """Describe a raw file of a camera; it is not developed yet. Raises ImageError."""
    if reading.slice:
        raise no_such_slice(path, 1, "images", reading.slice)
    with _opened(path) as raw:
        sizes, colours = raw.sizes, raw.num_colors
    height, width = sizes.iheight, sizes.iwidth
    # As LibRaw stretches pixels that are not square.
    if sizes.pixel_aspect < 1:
        height = int(height / sizes.pixel_aspect + 0.5)
    elif sizes.pixel_aspect > 1:
        width = int(width * sizes.pixel_aspect + 0.5)
    grey = colours == 1
    return ImageFile(
        path=path,
        format="camera raw",
        height=height,
        width=width,
        model=Model.GREY if grey else Model.RGB,
        channels=1 if grey else 3,
        bits=16,
        levels=full_range(16),
        encoding=Encoding(said_by="the settings of its development"),
        orientation=_ORIENTATIONS.get(sizes.flip, 1),
        decode=partial(_decode, path, grey, (height, width)),
    )


def _decode(path: Path, grey: bool, size: tuple[int, int]) -> Samples:
    import rawpy

    notes = []
    with _opened(path) as raw:
        # Where the camera did not measure it, LibRaw would take the white balance from the picture.
        measured = grey or min(raw.camera_whitebalance[:3:2]) > 0
        if not measured:
            notes.append("its camera recorded no white balance: that of daylight is used")
        pixels = raw.postprocess(
            demosaic_algorithm=rawpy.DemosaicAlgorithm.AHD,
            use_camera_wb=measured,
            output_color=rawpy.ColorSpace.sRGB,
            output_bps=16,
            gamma=(2.4, 12.92),  # the curve of sRGB
            user_flip=0,
            no_auto_bright=True,  # else the brightest 1% become white
            adjust_maximum_thr=0,  # else white is the largest number, if it is near
            highlight_mode=rawpy.HighlightMode.Clip,
        )
    if pixels.shape[:2] != size:
        raise ImageError(f"{path} is of a sensor with rotated pixels, which is not read: convert it.")
    return Samples(np.asarray(pixels), tuple(notes))


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """Open a file with LibRaw. Raises ImageError."""
    import rawpy

    try:
        with rawpy.imread(str(path)) as raw:
            yield raw
    except rawpy.LibRawFileUnsupportedError as error:
        raise ImageError(
            f"{path} is not the raw file of a camera that LibRaw reads: convert it to DNG or TIFF."
        ) from error
    except rawpy.LibRawError as error:
        said = error.args[0].decode() if error.args and isinstance(error.args[0], bytes) else str(error)
        raise ImageError(f"{path} cannot be decoded ({said}): replace or remove it.") from error
