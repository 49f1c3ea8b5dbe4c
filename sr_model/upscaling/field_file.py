"""Saved fields: the Gaussians of an image, to be rendered again, whole or in parts, without the network."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dgp_mining.images.attachments import GeoReference, exif_attachments
from dgp_mining.images.colour import profile_of
from dgp_mining.images.encoding import SRGB, Encoding
from dgp_mining.images.reader import ImageError
from dgp_mining.schema import as_kind, parse_json, shortened
from splat2d import GaussianField
from splat2d.safetensors_header import MOST_HEADER, read_header

from ..image_io.metadata import Metadata

SUFFIX = ".safetensors"
SAVE = "save one with sr-upscale --save-field"
MOST_DPI = 1e6
SPARE_HEADER = 10_000
"""Bytes of a file's header that are not notes: the names, types and shapes of four tensors."""
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

    Raises ImageError, naming the file, if it has another suffix, cannot be written, or its metadata are more
    than `load_field` reads.
    """
    check_suffix(path)
    notes = {"dtype": saved.dtype.name}
    notes |= _as_notes(saved.metadata)
    try:
        _check_notes(notes)
    except ValueError as error:
        raise ImageError(
            f"{path} is not written, since it could not be read again: {shortened(str(error), 500)}. Remove "
            "that from the image first."
        ) from error
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

    Raises ImageError, naming the file, unless it holds one finite field of one or three channels, and what it
    notes of its image is as `save_field` writes it.
    """
    if not path.is_file():
        raise ImageError(f"{path} is not a file.")
    try:
        field = GaussianField.load(path)
    except ValueError as error:
        raise ImageError(f"{shortened(str(error), 500).rstrip('.')}: {SAVE}.") from error
    try:
        notes = read_header(path).metadata
        dtype = notes.get("dtype", "uint8")
        if dtype not in _DTYPES:
            raise ValueError(f"its dtype is {shortened(dtype, 40)!r}, not one of {', '.join(_DTYPES)}")
        metadata = _from_notes(notes)
    except ValueError as error:
        raise ImageError(f"{path} is not a saved field: {shortened(str(error), 500)}; {SAVE}.") from error
    parts = (field.means, field.cholesky, field.colors)
    if len(field) != 1 or not all(torch.isfinite(part).all() for part in parts):
        raise ImageError(f"{path} does not hold one field of finite Gaussians: save it again.")
    if field.colors.shape[2] not in (1, 3):
        raise ImageError(f"{path} has {field.colors.shape[2]} channels, not grey or RGB.")
    return SavedField(field, np.dtype(dtype), metadata)


def _as_notes(metadata: Metadata) -> dict[str, str]:
    """Metadata as texts, under names of their own; what an image does not have is left out."""
    packets = {
        "icc_profile": metadata.profile,
        "exif": metadata.exif,
        "xmp": metadata.xmp,
        "iptc": metadata.iptc,
    }
    notes = {name: base64.b64encode(packet).decode() for name, packet in packets.items() if packet}
    if metadata.dpi and 0 < min(metadata.dpi) <= max(metadata.dpi) < MOST_DPI:
        notes["dpi"] = "{} {}".format(*metadata.dpi)
    if metadata.texts:
        notes["texts"] = json.dumps(metadata.texts)
    if metadata.geo:
        notes["georeference"] = json.dumps(asdict(metadata.geo))
    if metadata.encoding != SRGB:
        notes["encoding"] = json.dumps(asdict(metadata.encoding))
    return notes


def _check_notes(notes: Mapping[str, str]) -> None:
    """Raise ValueError, naming the note, for notes that `load_field` would refuse."""
    name = max(notes, key=lambda name: len(notes[name]))
    if sum(len(json.dumps(text)) for text in notes.values()) > MOST_HEADER - SPARE_HEADER:
        raise ValueError(f"its {name} has {len(notes[name])} characters, too many for the header of a file")
    _from_notes(notes)


def _from_notes(notes: Mapping[str, str]) -> Metadata:
    """The inverse of `_as_notes`. Raises ValueError, naming the note, for other texts."""
    packets = {
        name: _packet(notes[name], name) if name in notes else None
        for name in ("icc_profile", "exif", "xmp", "iptc")
    }
    if packets["exif"] and (problem := exif_attachments(packets["exif"], None).problem):
        raise ValueError(problem)
    return Metadata(
        profile=packets["icc_profile"],
        exif=packets["exif"],
        dpi=_dpi(notes["dpi"]) if "dpi" in notes else None,
        xmp=packets["xmp"],
        iptc=packets["iptc"],
        texts=_json(notes, "texts", tuple[tuple[str, str], ...], ()),
        geo=_checked_geo(_json(notes, "georeference", GeoReference | None, None)),
        encoding=_checked_encoding(_json(notes, "encoding", Encoding | None, None) or SRGB),
    )


def _packet(text: str, name: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError as error:
        raise ValueError(f"its {name} is not in base64") from error


def _dpi(text: str) -> tuple[float, float]:
    try:
        x, y = (float(number) for number in text.split())
    except ValueError:
        x = y = 0.0
    if not 0 < min(x, y) <= max(x, y) < MOST_DPI:
        raise ValueError(f"its dpi is {shortened(text, 40)!r}, not two numbers above 0")
    return x, y


def _json(notes: Mapping[str, str], name: str, kind: Any, default: Any) -> Any:
    return as_kind(parse_json(notes[name], f"its {name}"), kind, f"its {name}") if name in notes else default


def _checked_geo(geo: GeoReference | None) -> GeoReference | None:
    """Raise ValueError unless tags of GeoTIFF have as many numbers, and of the size, as they must."""
    if geo is not None and (
        len(geo.scale) not in (0, 3)
        or len(geo.tiepoints) % 6
        or len(geo.transform) not in (0, 16)
        or not all(0 <= key < 1 << 16 for key in geo.keys)
    ):
        raise ValueError("its georeference is not that of a GeoTIFF")
    return geo


def _checked_encoding(encoding: Encoding) -> Encoding:
    """Raise ValueError unless colours can be converted from an encoding."""
    white_and_primaries = zip(encoding.primaries[::2], encoding.primaries[1::2], strict=True)
    if encoding.cicp is not None and not all(0 <= number < 256 for number in encoding.cicp):
        raise ValueError("its encoding.cicp must be four numbers from 0 to 255")
    if isinstance(encoding.transfer, float | int) and not 0.01 <= encoding.transfer <= 100:
        raise ValueError("its encoding.transfer must be from 0.01 to 100")
    if not all(abs(x) <= 2 and 1e-3 <= abs(y) <= 2 for x, y in white_and_primaries):
        raise ValueError("its encoding.primaries are no chromaticities")
    try:
        profile_of(encoding)
    except (ArithmeticError, LookupError, ValueError) as error:
        raise ValueError("its encoding is none whose colours can be converted") from error
    return encoding
