"""Reading an image to upscale it: its pixels as they are stored, with alpha, and its metadata.

`dgp_mining.images.stored` reads them; what the upscaled image cannot hold is converted here, and said.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from dgp_mining.images.colour import to_srgb
from dgp_mining.images.image_file import Model
from dgp_mining.images.paths import list_images
from dgp_mining.images.reader import ImageError
from dgp_mining.images.stored import StoredImage, read_stored, sixteen_or_eight_bits

from .metadata import Metadata, portable_exif, profile_fits

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SourceImage:
    """An image to be upscaled, turned upright."""

    pixels: np.ndarray
    """[H, W, C] uint8, uint16 or float32 in [0, 1], grey or RGB; if C is 2 or 4, straight alpha is last."""
    metadata: Metadata
    """Colour profile, EXIF and resolution."""


def read_source_image(path: str | Path) -> SourceImage:
    """Read an image file, grey or RGB, with or without alpha, as it is stored.

    CMYK and other colour spaces are converted to sRGB and lose their profile; a line is logged. Raises
    ImageError, naming the file, if it cannot be read.
    """
    path = Path(path)
    stored = read_stored(path)
    for note in stored.notes:
        log.warning("%s: %s", path, note)
    if stored.file.model == Model.CHANNELS:
        raise ImageError(f"{path} has {stored.file.channels} channels, not grey or RGB: convert it.")
    pixels, profile = sixteen_or_eight_bits(stored), stored.file.encoding.profile
    if stored.file.model in (Model.CMYK, Model.LAB):
        pixels, profile = _as_srgb(path, stored, pixels), None
    if profile and not profile_fits(profile, pixels.shape[2] - 1 + pixels.shape[2] % 2):
        log.warning("%s: its colour profile does not fit its pixels and is dropped", path)
        profile = None
    return SourceImage(np.ascontiguousarray(pixels), _metadata(path, stored, profile))


def _as_srgb(path: Path, stored: StoredImage, pixels: np.ndarray) -> np.ndarray:
    log.warning("%s: its colours are converted to sRGB", path)

    def notify(note: str) -> None:
        log.warning("%s: %s", path, note)

    colours = pixels[..., :-1] if stored.alpha else pixels
    rgb = to_srgb(colours, stored.file.model, stored.file.encoding, notify)
    return np.concatenate([rgb, pixels[..., -1:]], axis=2) if stored.alpha else rgb


def _metadata(path: Path, stored: StoredImage, profile: bytes | None) -> Metadata:
    attached = stored.file.attachments()
    if attached.problem:
        log.warning("%s: %s and is dropped", path, attached.problem)
    if attached.exif is None:
        return Metadata(profile, None, attached.dpi)
    try:
        exif = Image.Exif()
        exif.load(attached.exif)
        return Metadata(profile, portable_exif(exif), attached.dpi)
    except Exception:  # Pillow reads much that it cannot write, and then raises all kinds of errors
        log.warning("%s: its EXIF is damaged and is dropped", path)
        return Metadata(profile)


def image_files(images: str | Path | Sequence[str | Path], argument: str) -> list[Path]:
    """The files of a list of images, or all images in a folder and below it, sorted.

    Raises ImageError, naming `argument` (such as "images="), if the folder does not exist or holds no images.

    >>> image_files(["a.png", Path("b.jpg")], "images=")
    [PosixPath('a.png'), PosixPath('b.jpg')]
    """
    if isinstance(images, str | Path):
        return images_in(images, argument)
    return [Path(path) for path in images]


def images_in(folder: str | Path, argument: str) -> list[Path]:
    """All images in a folder and below it, sorted. Raises ImageError as `image_files` does."""
    folder = Path(folder)
    if not folder.is_dir():
        if folder.exists():
            raise ImageError(f"{folder} is a file: {argument} takes a folder.")
        raise ImageError(f"{folder} does not exist: name a folder of images with {argument}.")
    try:
        return list_images(folder)
    except ImageError as error:
        raise ImageError(f"The folder {folder} holds no images: name another with {argument}.") from error
