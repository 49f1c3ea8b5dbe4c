"""Which software wrote to a store: the versions of everything that decides the bits of a crop.

Each set of versions is a group of its own, `versions/<digest>`, which every process that fits crops makes
before it writes the first. Therefore runs of different software may list themselves at once.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import time
from collections import defaultdict
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

import zarr
from zarr.errors import ContainsGroupError

from ..fitting.generation import GENERATION
from ..images.decoders import decoder_versions, decoders_of
from ..schema import as_kind
from .integrity import DamagedError, reading, seal, unseal, writing
from .location import Location

LIST = "versions"
"""The group with the sets of versions."""

_ALWAYS = ("dgp-mining", "fitting", "numpy", "scipy", "torch")
"""What decides the bits of a crop, whatever the format of its image."""


@dataclass(frozen=True)
class Writer:
    """A set of versions that wrote to a store."""

    versions: dict[str, str]
    """Versions by name: packages, libraries that they bring, and "fitting", the number of our fitting code.
    What is missing is unknown, or was not installed."""
    since: str = ""
    """When it first wrote, UTC, as "2026-11-28 14:05"; empty if unknown."""


def versions() -> dict[str, str]:
    """Return the versions of what results depend on first of all."""
    return {name: _version(name) for name in ("dgp-mining", "fitting", "numpy", "torch")}


def deciding_versions() -> dict[str, str]:
    """Return the versions of everything that may decide the bits of a crop, by its name.

    >>> deciding_versions().keys() >= {"dgp-mining", "fitting", "imagecodecs", "numpy", "torch"}
    True
    """
    return {**{name: _version(name) for name in _ALWAYS}, **decoder_versions()}


def writers(store: Location, created: Mapping[str, str]) -> list[Writer]:
    """Return the software that wrote crops to a store, the earliest first.

    If the store was made before there was a list, that is the software that created it, of which `created`,
    an attribute of the store, has a few versions.
    """
    found = [_read(store, name) for name in (store / LIST).modified() if name != "zarr.json"]
    listed = sorted(filter(None, found), key=lambda writer: (writer.since, sorted(writer.versions.items())))
    return listed or [_before_the_list(created)]


def record_this_writer(store: Location, created: Mapping[str, str], begun: Callable[[], bool]) -> None:
    """List the software of this process; `created` as for `writers`, `begun` is whether there are crops.

    Raises StoreError if it cannot be written.
    """
    here = Writer(deciding_versions(), time.strftime("%Y-%m-%d %H:%M", time.gmtime()))
    if _read(store, _name(here)) is not None:
        return
    # In this order, so that no crop is taken for an old one that a listed writer has just written.
    if begun() and LIST not in store.modified():
        record(store, _before_the_list(created))
    record(store, here)


def record(store: Location, writer: Writer) -> None:
    """List a set of versions, unless it is listed. Raises StoreError if it cannot be written."""
    if _read(store, _name(writer)) is not None:
        return
    place = f"{LIST}/{_name(writer)}"
    about = {"versions": dict(writer.versions), "since": writer.since}
    with writing(str(store)):
        store.remove(f"{place}/zarr.json")  # which is damaged, if there is one
        for path, attributes in ((LIST, {}), (place, seal(about))):
            with contextlib.suppress(ContainsGroupError):  # another process has just made it
                zarr.create_group(store.open(), path=path, zarr_format=3, attributes=attributes)


def deciding(writers: Iterable[Writer], names: Iterable[str]) -> list[Writer]:
    """Return `writers` reduced to what decides the crops of images with these names, equal ones once."""
    names = {*_ALWAYS, *decoders_of(names)}
    kept: dict[tuple[tuple[str, str], ...], Writer] = {}
    for writer in writers:
        found = {name: one for name, one in writer.versions.items() if name in names}
        kept.setdefault(tuple(sorted(found.items())), Writer(found, writer.since))
    return list(kept.values())


def differing(writers: Sequence[Writer]) -> list[str]:
    """Return since when each of `writers` wrote, with those of its versions that are not the same in all.

    Empty if there are none.

    >>> differing([Writer({"numpy": "2.0", "torch": "2.9"}), Writer({"numpy": "2.4"}, "2026-11-28 14:05")])
    ['numpy 2.0', 'since 2026-11-28 14:05 UTC numpy 2.4']
    """
    values: dict[str, set[str]] = defaultdict(set)
    for writer in writers:
        for name, found in writer.versions.items():
            values[name].add(found)
    several = {name for name in values if len(values[name]) > 1}
    return [_text(writer, several) for writer in writers] if several else []


def other_software(store: str, writers: Iterable[Writer], names: Iterable[str]) -> str:
    """Return a warning if other software than this process has fitted crops of a store; else "".

    Only what may decide the crops of images with these `names` counts.
    """
    (here,) = deciding([Writer(deciding_versions())], names)
    differ = [
        (writer, {name for name, there in writer.versions.items() if here.versions.get(name, there) != there})
        for writer in deciding(writers, names)
    ]
    others = [_text(writer, which) for writer, which in differ if which]
    if not others:
        return ""
    now = _text(here, set().union(*(which for _, which in differ)))
    return (
        f"{store} has crops that other versions have fitted ({'; '.join(others)}; here {now}): the crops to "
        "come may differ a little from them. Install those versions, or start over with overwrite=True, if "
        "all must be fitted alike."
    )


def _text(writer: Writer, names: Container[str]) -> str:
    """Return the versions of the given names in one line, with the time."""
    found = ", ".join(f"{name} {writer.versions[name]}" for name in sorted(writer.versions) if name in names)
    return f"since {writer.since} UTC {found}" if writer.since else found


def _before_the_list(created: Mapping[str, str]) -> Writer:
    return Writer({"fitting": "1", **created})  # older stores do not say which


def _read(store: Location, name: str) -> Writer | None:
    """Return an entry of the list; None if there is none, or what is left of one."""
    place = f"{store}/{LIST}/{name}"
    try:
        with reading(place):
            group = zarr.open_group(store.open(), path=f"{LIST}/{name}", mode="r", zarr_format=3)
            about = unseal(group.attrs.asdict(), ("versions", "since"), place)
            return as_kind(about, Writer, "its attributes")
    except DamagedError:
        return None


def _name(writer: Writer) -> str:
    return hashlib.sha256(json.dumps(dict(writer.versions), sort_keys=True).encode()).hexdigest()[:16]


def _version(package: str) -> str:
    if package == "fitting":
        return str(GENERATION)
    try:
        return version(package)
    except PackageNotFoundError:  # run from a source tree
        return "source"
