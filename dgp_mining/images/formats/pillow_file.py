"""Describing and decoding files that Pillow reads rightly: 8 bits, palettes, an alpha channel, frames."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError

from ..attachments import Attachments, pillow_attachments
from ..encoding import Encoding
from ..image_file import Alpha, ImageFile, Model, Samples, full_range
from ..limits import ImageError, check_size, max_pixels
from ..reading import Reading, no_such_slice

_MODES = {
    "1": "L",
    "L": "L",
    "LA": "LA",
    "La": "LA",
    "RGB": "RGB",
    "RGBA": "RGBA",
    "RGBa": "RGBA",
    "RGBX": "RGB",
    "P": "RGB",
    "PA": "RGBA",
    "YCbCr": "RGB",
    "CMYK": "CMYK",
}
"""Pillow's modes of 8 bits or fewer, and the modes that they are decoded to."""
_KINDS = {
    "L": (Model.GREY, 1, Alpha.NONE),
    "LA": (Model.GREY, 1, Alpha.STRAIGHT),
    "RGB": (Model.RGB, 3, Alpha.NONE),
    "RGBA": (Model.RGB, 3, Alpha.STRAIGHT),
    "CMYK": (Model.CMYK, 4, Alpha.NONE),
}


def open_pillow(path: Path, form: str) -> Image.Image:
    """Open a file with one of Pillow's formats; its pixels are not decoded. Raises ImageError."""
    if max_pixels() > 2 * (Image.MAX_IMAGE_PIXELS or max_pixels()):
        Image.MAX_IMAGE_PIXELS = max_pixels()  # the user raised it
    with warnings.catch_warnings():
        # Pillow already warns at half of its limit.
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        try:
            image = Image.open(path, formats=[form])
        except UnidentifiedImageError as error:
            raise ImageError(f"{path} is a damaged {form}: replace or remove it.") from error
    try:
        check_size(path, image.height, image.width)
    except ImageError:
        image.close()
        raise
    return image


def describe(path: Path, name: str, form: str, reading: Reading) -> ImageFile:
    """Describe a file of Pillow's format `form`, whose usual name is `name`. Raises ImageError."""
    frame = reading.slice or 0
    with open_pillow(path, form) as image:
        # Of an MPO, the other frames are previews or the other eye.
        frames = 1 if image.format == "MPO" else getattr(image, "n_frames", 1)
        if frame >= frames:
            raise no_such_slice(path, frames, "frames", frame)
        mode = decoded_mode(path, image)
        model, channels, alpha = _KINDS[mode]
        return ImageFile(
            path=path,
            format=name,
            height=image.height,
            width=image.width,
            model=model,
            channels=channels,
            alpha=alpha,
            bits=1 if image.mode == "1" else 8,
            levels=full_range(8),
            encoding=Encoding(image.info.get("icc_profile") or None),
            orientation=Image.Image.getexif(image).get(ExifTags.Base.Orientation, 1),
            notes=frame_note(frame, frames, "frames"),
            decode=lambda: Samples(decoded(path, form, frame)),
            attachments=lambda: _attachments(path, form),
        )


def frame_note(frame: int, frames: int, what: str) -> tuple[str, ...]:
    """Return the note on which of several frames, pages or slices is read; nothing if there is one.

    >>> frame_note(0, 3, "pages")
    ('the first of its 3 pages is read',)
    """
    which = "the first" if frame == 0 else f"number {frame} (from 0)"
    return (f"{which} of its {frames} {what} is read",) if frames > 1 else ()


def decoded_mode(path: Path, image: Image.Image) -> str:
    """The mode that an image is decoded to: one of _KINDS. Raises ImageError."""
    mode = _MODES.get(image.mode)
    if mode is None:
        raise ImageError(f"{path} has Pillow's mode {image.mode}, which is not read: convert it.")
    if "transparency" in image.info:  # one transparent colour, or transparent palette entries
        return {"L": "LA", "RGB": "RGBA"}.get(mode, mode)
    return mode


def decoded(path: Path, form: str, frame: int = 0) -> np.ndarray:  # [H, W, C] uint8
    """Decode a frame to the mode that `decoded_mode` names."""
    with open_pillow(path, form) as image:
        mode = decoded_mode(path, image)
        if frame:
            image.seek(frame)
        pixels = np.asarray(image.convert(mode))
    return pixels.reshape(*pixels.shape[:2], -1)


def _attachments(path: Path, form: str) -> Attachments:
    with open_pillow(path, form) as image:
        return pillow_attachments(image)
