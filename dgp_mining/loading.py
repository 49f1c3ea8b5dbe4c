"""From files to crops: each image decoded once for all its crops in a task."""

from __future__ import annotations

import hashlib
import itertools
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from .faults import RunError, patiently
from .images import ImageError, decode_image
from .names import unsafe_name
from .task import Task


@dataclass(frozen=True, eq=False)
class LoadedCrop:
    """A crop on its way from the file to the store."""

    chunk: int
    """Index of its chunk in the task."""
    name: str
    """The image's."""
    position: tuple[int, int] = (0, 0)
    """(row, column) of its first pixel."""
    sha256: bytes = b""
    """Of the image file; empty where it could not be read."""
    pixels: np.ndarray | None = None
    """[side, side, C] float32; None where there is nothing to fit."""
    error: str = ""
    """Why there is nothing to fit, one sentence."""
    notes: tuple[str, ...] = ()
    """What was left out of the image, if it was decoded for this crop."""


def load_crops(task: Task, side: int) -> Iterator[LoadedCrop]:
    """The crops of a task in their order, each image decoded once.

    An image that cannot be read gives crops without pixels and the reason. Raises RunError where the folder
    itself is not there: no crop has failed then.
    """
    folder = Path(task.images)
    every = (
        (crop, index, number in chunk.deadly)
        for index, chunk in enumerate(task.chunks)
        for number, crop in enumerate(chunk.crops)
    )
    for name, crops in itertools.groupby(every, key=lambda planned: planned[0][0]):
        image: _Image | None = None
        for (_, *position), index, deadly in crops:
            if deadly:
                reason = (
                    f"{name}: the crop at {tuple(position)} killed every worker that took it (no memory?)."
                )
                yield LoadedCrop(index, name, error=reason)
                continue
            first, image = image is None, image or _load_image(folder, name)
            yield _cut(image, index, name, tuple(position), side, image.notes if first else ())


@dataclass(frozen=True, eq=False)
class _Image:
    pixels: np.ndarray | None = None
    sha256: bytes = b""
    error: str = ""
    notes: tuple[str, ...] = ()


def _load_image(folder: Path, name: str) -> _Image:
    path = folder / name
    if reason := unsafe_name(name):
        return _Image(error=f"{name} {reason}: it is not read.")
    try:
        decoded = patiently(lambda: decode_image(path))
        sha256 = hashlib.sha256(patiently(path.read_bytes)).digest()
    except (ImageError, OSError) as error:
        _check_folder(folder)
        # The image is named as in its folder: a store says nothing about the machine.
        reason = str(error) if isinstance(error, ImageError) else f"{name} cannot be read ({error.strerror})."
        return _Image(error=reason.replace(str(path), name))
    return _Image(decoded.pixels, sha256, notes=tuple(f"{name}: {note}" for note in decoded.notes))


def _check_folder(folder: Path) -> None:
    """Tell a bad file from a folder that this machine does not have, or has lost."""
    try:
        with os.scandir(folder):
            return
    except OSError as error:
        raise RunError(
            f"A worker cannot read the folder {folder} ({error.strerror}): mount it at the same path on "
            "every machine, then repeat the command to go on."
        ) from None


def _cut(
    image: _Image, chunk: int, name: str, position: tuple[int, int], side: int, notes: tuple[str, ...]
) -> LoadedCrop:
    crop = LoadedCrop(chunk, name, position, image.sha256, notes=notes)
    if image.pixels is None:
        return replace(crop, error=image.error)
    top, left = position
    pixels = np.ascontiguousarray(image.pixels[top : top + side, left : left + side])
    if pixels.shape[:2] != (side, side):
        return replace(crop, error=f"{name} has become smaller since the run was planned: start anew.")
    return replace(crop, pixels=pixels)
