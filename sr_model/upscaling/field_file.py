"""Saved fields: the Gaussians of an image, to be rendered again, whole or in parts, without the network."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open

from dgp_mining.images.reader import ImageError
from splat2d import GaussianField
from splat2d.atomic_write import atomic_write

from ..image_io.metadata import Metadata

SUFFIX = ".safetensors"
_DTYPES = ("uint8", "uint16", "float32")


@dataclass(frozen=True)
class SavedField:
    """The field of an image's grey or colours, and what is needed to write it as an image again."""

    field: GaussianField
    """[1, N, ...] in LR pixels; one channel or three."""
    dtype: np.dtype
    """The type of the image's values."""
    metadata: Metadata
    """The image's colour profile and resolution."""


def save_field(saved: SavedField, path: Path) -> None:
    """Write a field to a safetensors file, atomically.

    Raises ImageError, naming the file, if it has another suffix or cannot be written.
    """
    check_suffix(path)
    notes = {"dtype": saved.dtype.name}
    if saved.metadata.profile:
        notes["icc_profile"] = base64.b64encode(saved.metadata.profile).decode()
    if saved.metadata.dpi:
        notes["dpi"] = "{} {}".format(*saved.metadata.dpi)
    try:
        with atomic_write(path) as partial:
            saved.field.save(partial, **notes)
    except OSError as error:
        raise ImageError(f"{path} cannot be written ({error.strerror or error}).") from error


def check_suffix(path: Path) -> None:
    """Raise ImageError, naming the file, unless it has the suffix of saved fields."""
    if path.suffix != SUFFIX:
        raise ImageError(f"{path} does not end in {SUFFIX}, the suffix of saved fields: give it that suffix.")


def load_field(path: Path) -> SavedField:
    """Read a file that `save_field` or `GaussianField.save` wrote.

    Raises ImageError, naming the file, unless it holds one finite field of one or three channels.
    """
    if not path.is_file():
        raise ImageError(f"{path} is not a file.")
    try:
        field = GaussianField.load(path)
        with safe_open(str(path), framework="np") as file:
            notes = file.metadata()
        profile = base64.b64decode(notes["icc_profile"]) if "icc_profile" in notes else None
        x, y = (float(number) for number in notes["dpi"].split()) if "dpi" in notes else (None, None)
    except (ValueError, KeyError, TypeError) as error:
        raise ImageError(f"{str(error).rstrip('.')}: save one with sr-upscale --save-field.") from error
    parts = (field.means, field.cholesky, field.colors)
    if len(field) != 1 or not all(torch.isfinite(part).all() for part in parts):
        raise ImageError(f"{path} does not hold one field of finite Gaussians: save it again.")
    if field.colors.shape[2] not in (1, 3):
        raise ImageError(f"{path} has {field.colors.shape[2]} channels, not grey or RGB.")
    dtype = notes.get("dtype", "uint8")
    dpi = None if x is None or y is None else (x, y)
    return SavedField(field, np.dtype(dtype if dtype in _DTYPES else "uint8"), Metadata(profile, None, dpi))
