"""Loading crops from image files; an image is decoded once for all its crops in a task."""

from __future__ import annotations

import itertools
import os
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ..harmless import harmless
from ..images.file_content import sha256_of
from ..images.paths import unsafe_name
from ..images.reader import ImageError, decode_image
from ..images.reading import AS_STORED, Reading
from ..retry import RunError, retry
from .plan import Crop


@dataclass(frozen=True, eq=False)
class LoadedCrop:
    """A crop of an image file, ready to be fitted."""

    name: str
    """Name of the image: its path in the folder of images."""
    position: tuple[int, int] = (0, 0)
    """(row, column) of its first pixel."""
    sha256: bytes = b""
    """Digest of the image file; empty if it could not be read."""
    pixels: np.ndarray | None = None
    """[side, side, C] float32; None if the crop cannot be fitted."""
    error: str = ""
    """Why it cannot be fitted, one sentence."""
    notes: tuple[str, ...] = ()
    """Notes on what decoding dropped (alpha, further pages); only on the first crop after decoding."""


def load_crops(
    folder: str | Path,
    crops: Iterable[Crop],
    side: int,
    reading: Reading = AS_STORED,
    *,
    deadly: Container[int] = (),
) -> Iterator[LoadedCrop]:
    """Yield crops of the images in `folder`, in order; consecutive crops of one image decode it once.

    Args:
        side: side of the square crops, pixels.
        reading: how the images are read.
        deadly: indices of crops that killed every worker that took them; they are not read.

    Crops of an image that cannot be read have no pixels, but the reason as `error`. Raises RunError if the
    folder itself cannot be read, which is not the crops' fault.
    """
    folder = Path(folder)
    for name, numbered in itertools.groupby(enumerate(crops), key=lambda numbered: numbered[1][0]):
        image: _Image | None = None
        for number, (_, row, column) in numbered:
            if number in deadly:
                reason = f"{name}: the crop at {(row, column)} killed every worker that took it (no memory?)."
                yield LoadedCrop(name, error=reason)
                continue
            first, image = image is None, image or _load_image(folder, name, reading)
            yield _cut(image, name, (row, column), side, image.notes if first else ())


@dataclass(frozen=True, eq=False)
class _Image:
    pixels: np.ndarray | None = None
    sha256: bytes = b""
    error: str = ""
    notes: tuple[str, ...] = ()


def _load_image(folder: Path, name: str, reading: Reading) -> _Image:
    path = folder / name
    if reason := unsafe_name(name):
        return _Image(error=f"{name} {reason}: it is not read.")
    try:
        decoded = retry(lambda: decode_image(path, reading))
        sha256 = retry(lambda: sha256_of(path))
    except (ImageError, OSError) as error:
        _check_folder(folder)
        # The name in the folder, so that a store does not reveal the machine's paths.
        reason = str(error) if isinstance(error, ImageError) else f"{name} cannot be read ({error.strerror})."
        return _Image(error=reason.replace(harmless(str(path)), name))
    return _Image(decoded.pixels, sha256, notes=tuple(f"{name}: {note}" for note in decoded.notes))


def _check_folder(folder: Path) -> None:
    """Raise RunError if this machine cannot read the folder."""
    try:
        with os.scandir(folder):
            return
    except OSError as error:
        raise RunError(
            f"A worker cannot read the folder {folder} ({error.strerror}): mount it at the same path on "
            "every machine, then repeat the command to continue."
        ) from None


def _cut(
    image: _Image, name: str, position: tuple[int, int], side: int, notes: tuple[str, ...]
) -> LoadedCrop:
    crop = LoadedCrop(name, position, image.sha256, notes=notes)
    if image.pixels is None:
        return replace(crop, error=image.error)
    top, left = position
    pixels = np.ascontiguousarray(image.pixels[top : top + side, left : left + side])
    if pixels.shape[:2] != (side, side):
        return replace(crop, error=f"{name} has become smaller since the run was planned: start over.")
    return replace(crop, pixels=pixels)
