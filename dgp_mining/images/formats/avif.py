"""AVIF (AV1 Image File Format 1.1), decoded by libavif through imagecodecs.

Pillow cuts 10 and 12 bits to 8. libavif applies the matrix and range, and divides out premultiplied alpha;
cropping, rotation and mirroring are left to us.
"""

from __future__ import annotations

from pathlib import Path

import imagecodecs
import numpy as np

from ..image_file import Alpha, ImageFile, Model, Samples, full_range
from ..limits import ImageError, check_size
from ..reading import Reading, no_such_slice
from .heif_colours import attachments, encoding, notes
from .heif_items import Window, cropped, read_picture
from .iso_boxes import find
from .pillow_file import frame_note


def open_file(path: Path, reading: Reading) -> ImageFile:
    """Describe an AVIF file. Raises ImageError, ValueError and struct.error."""
    picture = read_picture(path)
    if picture is None:
        raise ImageError(f"{path} is a film without a still picture, which is not read: convert it.")
    frame, frames = reading.slice or 0, _frames(path)
    if frame >= frames:
        raise no_such_slice(path, frames, "frames", frame)
    window = picture.window
    check_size(path, frames * window.height, window.width)  # all frames are decoded
    return ImageFile(
        path=path,
        format="AVIF",
        height=window.height,
        width=window.width,
        model=Model.GREY if picture.grey else Model.RGB,
        channels=1 if picture.grey else 3,
        alpha=Alpha.STRAIGHT if picture.alpha else Alpha.NONE,
        bits=picture.bits,
        levels=full_range(picture.bits),
        encoding=encoding(path, picture),
        orientation=picture.orientation,
        notes=(*frame_note(frame, frames, "frames"), *notes(picture)),
        decode=lambda: _decode(path, window, frame, frames),
        attachments=lambda: attachments(path, picture),
    )


def _frames(path: Path) -> int:
    """The number of frames that libavif sees: of the first track, unless the still picture comes first."""
    with path.open("rb") as file:
        file.seek(8)
        if file.read(4) == b"avif":
            return 1
        sizes = find(file, b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsz")
        if sizes is None:
            return 1
        file.seek(sizes.start + 8)
        return int.from_bytes(file.read(4))


def _decode(path: Path, window: Window, frame: int, frames: int) -> Samples:
    # Without `index`, all frames come; with it, imagecodecs 2026.3.6 still writes all, into room for one.
    pixels = np.asarray(imagecodecs.avif_decode(path.read_bytes()))
    if frames > 1:
        pixels = pixels[frame]
    return Samples(cropped(pixels.reshape(*pixels.shape[:2], -1), window))
