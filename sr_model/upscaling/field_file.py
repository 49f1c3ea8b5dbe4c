"""Saved fields: the Gaussians of an image, to be rendered again, whole or in parts, without the network."""

from __future__ import annotations

import base64
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import safe_open

from dgp_mining.images.attachments import GeoReference
from dgp_mining.images.encoding import SRGB, Encoding
from dgp_mining.images.reader import ImageError
from splat2d import GaussianField

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
    """What an image of it will hold beyond the pixels."""


def save_field(saved: SavedField, path: Path) -> None:
    """Write a field to a safetensors file, atomically.

    Raises ImageError, naming the file, if it has another suffix or cannot be written.
    """
    check_suffix(path)
    notes = {"dtype": saved.dtype.name}
    notes |= _as_notes(saved.metadata)
    try:
        saved.field.save(path, **notes)
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
        metadata = _from_notes(notes)
    except (ValueError, KeyError, TypeError) as error:
        raise ImageError(f"{str(error).rstrip('.')}: save one with sr-upscale --save-field.") from error
    parts = (field.means, field.cholesky, field.colors)
    if len(field) != 1 or not all(torch.isfinite(part).all() for part in parts):
        raise ImageError(f"{path} does not hold one field of finite Gaussians: save it again.")
    if field.colors.shape[2] not in (1, 3):
        raise ImageError(f"{path} has {field.colors.shape[2]} channels, not grey or RGB.")
    dtype = notes.get("dtype", "uint8")
    return SavedField(field, np.dtype(dtype if dtype in _DTYPES else "uint8"), metadata)


def _as_notes(metadata: Metadata) -> dict[str, str]:
    """Metadata as texts, under names of their own; what an image does not have is left out."""
    packets = {
        "icc_profile": metadata.profile,
        "exif": metadata.exif,
        "xmp": metadata.xmp,
        "iptc": metadata.iptc,
    }
    notes = {name: base64.b64encode(packet).decode() for name, packet in packets.items() if packet}
    if metadata.dpi:
        notes["dpi"] = "{} {}".format(*metadata.dpi)
    if metadata.texts:
        notes["texts"] = json.dumps(metadata.texts)
    if metadata.geo:
        notes["georeference"] = json.dumps(asdict(metadata.geo))
    if metadata.encoding != SRGB:
        notes["encoding"] = json.dumps(asdict(metadata.encoding))
    return notes


def _from_notes(notes: dict[str, str]) -> Metadata:
    """The inverse of `_as_notes`. Raises ValueError, KeyError or TypeError for other texts."""
    packets = {
        name: base64.b64decode(notes[name]) if name in notes else None
        for name in ("icc_profile", "exif", "xmp", "iptc")
    }
    x, y = (float(number) for number in notes["dpi"].split()) if "dpi" in notes else (None, None)
    geo, encoding = (json.loads(notes.get(name, "null")) for name in ("georeference", "encoding"))
    return Metadata(
        profile=packets["icc_profile"],
        exif=packets["exif"],
        dpi=None if x is None or y is None else (x, y),
        xmp=packets["xmp"],
        iptc=packets["iptc"],
        texts=tuple((str(keyword), str(text)) for keyword, text in json.loads(notes.get("texts", "[]"))),
        geo=geo and GeoReference(**_with_tuples(geo)),
        encoding=Encoding(**_with_tuples(encoding)) if encoding else SRGB,
    )


def _with_tuples(values: dict[str, Any]) -> dict[str, Any]:
    """Values from JSON, in which tuples have become lists."""
    return {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
