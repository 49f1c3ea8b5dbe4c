"""What the metadata of a dictionary say about its mining, as far as anything reads them."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any

from ..schema import as_kind


@dataclass(frozen=True)
class Shares:
    """Shares of the Gaussians that can be blended, in one blending space."""

    dictionary: float
    box_corners: float


@dataclass(frozen=True)
class Coverage:
    """The coverage of Gaussians that were held out."""

    held_out_crops: int
    gaussians: int
    cholesky: Shares | None = None
    covariance: Shares | None = None
    sqrt: Shares | None = None


@dataclass(frozen=True)
class Provenance:
    """The schema of the metadata. Other fields may stand beside these, with any value."""

    format: str
    units: str
    density: float | None = None
    recipe: str | None = None
    iterations: int | None = None
    method: str | None = None
    seed: int | None = None
    symmetric: bool | None = None
    fingerprint: str | None = None
    images: str | None = None
    crops: int | None = None
    gaussians: int | None = None
    psnr: float | None = None
    off_lattice_psnr: float | None = None
    coverage: Coverage | None = None
    versions: dict[str, str] = field(default_factory=dict)
    warnings: dict[str, str] = field(default_factory=dict)
    source: str | None = None
    widened: int | None = None


_KNOWN = {one.name for one in fields(Provenance)}


def check_provenance(metadata: dict[str, Any]) -> Provenance:
    """Return the metadata of a dictionary as their schema.

    Raises ValueError that names the field if one has another type, or a number is not finite.

    >>> found = {"format": "dgp-dictionary/1", "units": "grid spacing", "crops": 3, "mine": [1]}
    >>> check_provenance(found).crops
    3
    >>> check_provenance(found | {"crops": True})
    Traceback (most recent call last):
    ValueError: its metadata.crops must be a whole number or null, not true or false
    """
    as_kind(metadata, dict[str, Any], "its metadata")
    known = {name: value for name, value in metadata.items() if name in _KNOWN}
    return as_kind(known, Provenance, "its metadata")
