"""Consolidated metadata, which other programs write into a group: a copy of the metadata of all below it.

Readers of Zarr trust the copy. The store neither makes nor reads it, but keeps it up to date where it exists.
"""

from __future__ import annotations

import warnings
from typing import Any

import zarr
from zarr.errors import ZarrUserWarning

from .attributes import read_attributes
from .integrity import reading, writing
from .location import Location
from .versions import LIST

MOST_LEVELS = 20
"""Levels of groups below a store; its own are three."""


def has_copy(place: Location) -> bool:
    """Whether the group has consolidated metadata."""
    return _copied(place) is not None


def outdated(place: Location) -> list[Location]:
    """Return the groups, this one and all below, whose consolidated metadata differ from what they hold.

    Those below come first: zarr.consolidate_metadata (3.1.6) trusts the copies of groups two levels below.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ZarrUserWarning)  # about files that are not of Zarr
        return _walk(place)[0]


def renew(places: list[Location]) -> None:
    """Write the consolidated metadata of these groups again, in this order."""
    for place in places:
        with writing(str(place)), warnings.catch_warnings():
            warnings.simplefilter("ignore", ZarrUserWarning)  # that they are not in the specification yet
            zarr.consolidate_metadata(place.open(), zarr_format=3)


def _walk(place: Location, levels: int = MOST_LEVELS) -> tuple[list[Location], dict[str, str]]:
    """Return the outdated groups, and the metadata of all members by path, `levels` deep at most."""
    with reading(str(place)):
        if not levels:
            raise ValueError(f"it lies more than {MOST_LEVELS} groups deep")
        group = zarr.open_group(place.open(), mode="r", zarr_format=3, use_consolidated=False)
        members = dict(group.members())
    found: list[Location] = []
    metadata: dict[str, str] = {}
    for name, member in members.items():
        metadata[name] = _plain(member.metadata)
        if isinstance(member, zarr.Group):
            found_below, below = _walk(place / name, levels - 1)
            found += found_below
            metadata |= {f"{name}/{path}": one for path, one in below.items()}
    copied = _copied(place)
    if copied is not None and _without_list(copied) != _without_list(metadata):
        found.append(place)
    return found, metadata


def _without_list(metadata: dict[str, str]) -> dict[str, str]:
    """Leave out the list of versions, which workers extend at any time and hides no results."""
    return {path: one for path, one in metadata.items() if path.partition("/")[0] != LIST}


def _copied(place: Location) -> dict[str, str] | None:
    """Return the consolidated metadata by path; None if there are none, {} if they are damaged."""
    with reading(f"{place}/zarr.json"):
        read_attributes(place)
    try:
        metadata: Any = zarr.open_group(place.open(), mode="r", zarr_format=3).metadata
    except Exception:  # Zarr believes the copy, and raises whatever what it does with it raises
        return {}
    if metadata.consolidated_metadata is None:
        return None
    return {path: _plain(one) for path, one in metadata.consolidated_metadata.flattened_metadata.items()}


def _plain(metadata: Any) -> str:
    """Return metadata in a form that compares equal if their content does; NaN is equal to itself."""
    plain = metadata.to_dict()
    plain.pop("consolidated_metadata", None)
    return repr(sorted(plain.items()))
