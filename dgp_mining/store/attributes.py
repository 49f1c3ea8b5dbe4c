"""The attributes of the groups of a store, beside those that other programs add."""

from __future__ import annotations

from typing import Any

import zarr

from .integrity import own, seal
from .location import Location


def read_attributes(place: Location) -> dict[str, Any]:
    """Return all attributes of a group. Raises what Zarr raises."""
    # The consolidated metadata of another program may be damaged, and are not read.
    group = zarr.open_group(place.open(), mode="r", zarr_format=3, use_consolidated=False)
    return group.attrs.asdict()


def write_attributes(place: Location, ours: dict[str, Any]) -> None:
    """Seal and write attributes of a group, unless it has them; others stay. Raises what Zarr raises."""
    sealed = seal(ours)
    if own(read_attributes(place), sealed) != sealed:
        zarr.open_group(place.open(), mode="r+", zarr_format=3).update_attributes(sealed)
