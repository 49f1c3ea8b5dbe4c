"""The root group of a store: its attributes, and what tells a store from other content."""

from __future__ import annotations

import contextlib
import re
from typing import Any

import zarr
from zarr.errors import ContainsGroupError

from ..retry import reason_of
from .attributes import read_attributes, write_attributes
from .consolidated import has_copy, outdated, renew
from .integrity import StoreError, reading, seal, writing
from .location import Location

ROOT = ("format", "settings", "versions", "parts")
"""The attributes of the root group. Other programs may add others, which are kept."""

MOST_PARTS = 10_000
"""Parts of a store, each of which a `fit` with further images has added."""

_ANY_FORMAT = re.compile(r"dgp-store/[0-9]{1,9}")
_LEFT_BY_THE_KILLED = re.compile(r"parts|versions|zarr\..*\.partial")


def read_root(place: Location) -> dict[str, Any] | None:
    """Return the attributes of a store, sealed and with those of other programs.

    {} for other content, None for nothing or what a killed run left. Raises StoreError if they cannot be read
    or are damaged.
    """
    try:
        files = place.modified()
    except NotADirectoryError:
        return {}
    except StoreError:
        raise
    except Exception as error:  # from the operating system, or any layer of the access to S3
        hint = "check the bucket, AWS_ENDPOINT_URL and the keys" if place.remote else "check its permissions"
        raise StoreError(f"{place} cannot be read ({reason_of(error)}): {hint}.") from error
    if "zarr.json" not in files:
        return None if is_vacant(files) else {}
    with reading(f"{place}/zarr.json"):
        try:
            found = read_attributes(place)
        except zarr.errors.ContainsArrayError:
            return {}
        parts = found.get("parts")
        if isinstance(parts, list) and len(parts) > MOST_PARTS:
            raise ValueError(f"it has {len(parts):,} parts, more than the {MOST_PARTS:,} that are read")
        return found


def write_root(place: Location, about: dict[str, Any]) -> None:
    """Write the attributes `about`, ROOT, in place of those of the store; others stay.

    Consolidated metadata of the store, if it has any, is renewed before, since a part that they lack is
    hidden from most readers of Zarr.
    """
    for group, attributes in ((place, seal(about)), (place / "parts", {})):  # parts: for readers of Zarr
        with contextlib.suppress(ContainsGroupError):  # mode="a" fails if another run makes it just now
            zarr.create_group(group.open(), zarr_format=3, attributes=attributes)
    if has_copy(place) or has_copy(place / "parts"):
        renew(outdated(place))
    write_attributes(place, about)


def check_room(place: Location, about: dict[str, Any]) -> None:
    """Raise StoreError if a store has as many parts as `read_root` reads, so that none may be added."""
    if len(about["parts"]) >= MOST_PARTS:
        raise StoreError(
            f"{place} has {MOST_PARTS:,} parts, one of each run that added images, and no more are read: "
            "name another store= for further images."
        )


def write_parts_group(place: Location) -> None:
    """Write the metadata of the group of all parts again."""
    with writing(str(place)):
        place.remove("parts/zarr.json")
        with contextlib.suppress(ContainsGroupError):
            zarr.create_group((place / "parts").open(), zarr_format=3, attributes={})


def is_a_format(found: Any) -> bool:
    """Whether `found` names a format of stores, of this version or another."""
    return isinstance(found, str) and bool(_ANY_FORMAT.fullmatch(found))


def is_vacant(files: dict[str, float]) -> bool:
    """Whether a folder with these entries has nothing but what a killed run left."""
    return all(_LEFT_BY_THE_KILLED.fullmatch(name) for name in files)
