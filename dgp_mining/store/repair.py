"""Repair of damaged attributes, where the rest of the store proves what they were.

A part is named by a digest of the settings, its plan and its extent. Its attributes are therefore found again
from its arrays, and the settings of the store are proved if the names of all its parts fit.
"""

from __future__ import annotations

from typing import Any

import zarr

from ..planning.settings import StoreSettings
from .attributes import read_attributes, write_attributes
from .columns import ArrayName
from .description import checked_root
from .integrity import DamagedError, own, reading, unseal, writing
from .layout import FORMAT
from .location import Location
from .part import PART, PART_NAME, Part
from .root import ROOT, read_root


def repair_attributes(store: Location) -> list[str]:
    """Repair the attributes of a store and of its parts; return what was damaged, one sentence each.

    Only the folder of a part may be lost, which determines no result. Leaves what cannot be proved as it is.
    Raises StoreError if the store cannot be read or written.
    """
    about = read_root(store)
    if not about or about.get("format") != FORMAT:
        return []
    try:
        with reading(str(store)):
            names = checked_root(own(about, ROOT)).parts
            settings = StoreSettings.from_json(about["settings"])
    except DamagedError:
        return []
    found: list[str] = []
    parts: list[Part] = []
    for name in names:
        try:
            parts.append(Part(store, name, settings))
        except DamagedError as error:
            if (proved := _proved(store, name, settings)) is None:
                return found
            _write_part(proved.place, {"folder": proved.folder, **proved.extent.numbers})
            parts.append(proved)
            found.append(error.reason)
    try:
        unseal(about, ROOT, f"{store}/zarr.json")
    except DamagedError as error:
        if _proves(store, parts, settings):
            with writing(str(store)):
                write_attributes(store, {name: about[name] for name in ROOT})
            found.append(error.reason)
    return found


def _proved(store: Location, name: str, settings: StoreSettings) -> Part | None:
    """Return the part with attributes from its arrays, if its name fits; None if not."""
    if not isinstance(name, str) or not PART_NAME.fullmatch(name):
        return None
    place = store / "parts" / name
    try:
        folder = (_readable(place) or {}).get("folder")
        with reading(str(place)):  # the metadata of arrays may be another's, with fewer axes
            about = {
                "folder": folder if isinstance(folder, str) else None,
                "crops": _array(place, ArrayName.CROP_IMAGE).shape[0],
                "images": _array(place, ArrayName.IMAGE_NAME).shape[0],
                "chunk": _array(place, ArrayName.STATUS).chunks[0],
                "gaussians": _array(place, ArrayName.MEANS).shape[1] if settings.keep_fields else 0,
                "snapshots": len(settings.snapshots or ()),
            }
        part = Part(store, name, settings, about)
        _ = part.plan  # raises DamagedError if its digest is not the name
    except DamagedError:
        return None
    return part


def _readable(place: Location) -> dict[str, Any] | None:
    """Return the attributes of a group; None if its metadata are lost."""
    try:
        with reading(str(place)):
            return read_attributes(place)
    except DamagedError:
        return None


def _write_part(place: Location, ours: dict[str, Any]) -> None:
    with writing(str(place)):
        if _readable(place) is None:
            place.remove("zarr.json")
            zarr.open_group(place.open(), mode="a", zarr_format=3)
        for name in (set(read_attributes(place)) & set(PART)) - set(ours):
            del zarr.open_group(place.open(), mode="r+", zarr_format=3).attrs[name]
        write_attributes(place, ours)


def _array(place: Location, name: ArrayName) -> zarr.Array[Any]:
    with reading(f"{place}/{name}"):
        return zarr.open_array(place.open(), path=name, mode="r", zarr_format=3)


def _proves(store: Location, parts: list[Part], settings: StoreSettings) -> bool:
    """Whether the parts prove the settings of their store, and that none is missing."""
    try:
        fits = [part.plan.crops for part in parts]
    except DamagedError:
        return False
    most = settings.max_crops
    present = {name for name in (store / "parts").modified() if PART_NAME.fullmatch(name)}
    return (
        bool(parts)
        and present == {part.name for part in parts}
        and (most is None or most >= sum(fits))
        and settings.snapshots is None  # names do not depend on which iterations they are
        and all(settings.keep_fields == bool(part.extent.gaussians) for part in parts)
    )
