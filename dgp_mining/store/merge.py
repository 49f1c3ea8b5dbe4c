"""Merging stores that were mined separately, on several machines or folders, with equal settings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from ..planning.plan import Plan, chunk_length
from ..planning.plan_sets import crop_keys, sorted_crops, union
from ..planning.settings import differences
from ..progress import ProgressCallback
from .columns import ArrayName
from .crop_results import DONE, PENDING, UNREAD
from .integrity import StoreError
from .layout import crop_arrays
from .location import Location
from .part import Part
from .store import Store
from .versions import deciding, differing, record

BLOCK = 1024
"""Minimum number of crops read at a time: a few MB."""


def merge(
    paths: Sequence[str | Path],
    out: str | Path,
    *,
    callback: ProgressCallback | None = None,
) -> Store:
    """Write the crops of finished stores into a new one, `out`, as one part in canonical order.

    A crop that is in several stores (same image name, position and file content) is taken once, from a store
    that could fit it if there is one. Different images may have the same name. A merge that was killed can be
    repeated. Returns the new store. Raises StoreError if settings differ, crops are pending, or `out` exists.

    >>> import tempfile
    >>> from PIL import Image
    >>> from dgp_mining import Settings, mine
    >>> folder = tempfile.TemporaryDirectory()
    >>> Image.effect_noise((32, 32), 50).convert("RGB").save(f"{folder.name}/noise.png")
    >>> settings = Settings(crop=16, max_crops=2, iterations=4)
    >>> paths = [f"{folder.name}/{name}.zarr" for name in "ab"]
    >>> stores = [mine(folder.name, path, settings, scheduler="sync") for path in paths]
    >>> len(merge(paths, f"{folder.name}/merged.zarr"))  # the same two crops
    2
    """
    callback = callback or ProgressCallback()
    sources = [Store.open(path) for path in paths]
    if Store.exists(out):
        raise StoreError(f"{out} exists already: name another out=.")
    _check(sources)
    names = {name for source in sources for name in source.plan.names}
    if several := differing(deciding((writer for source in sources for writer in source.writers), names)):
        callback.on_message(f"Different versions have fitted these stores: {'; '.join(several)}.")
    plan, origin, crop = _plan(sources)
    length = chunk_length(plan.crops, plan.settings.crop, plan.settings.iterations)
    room = sources[0].parts[0].extent.gaussians
    # The part belongs to no store until it is complete, so that no reader sees half of it.
    part = Part.create(Location(str(out)), plan, length, room)
    for done in _copy(sources, origin, crop, part):
        callback.on_progress("Merging", done, plan.crops)
    merged = Store.create(out, plan, length, room)
    for writer in (writer for source in sources for writer in source.writers):
        record(merged.place, writer)
    return merged


def _check(sources: Sequence[Store]) -> None:
    first, *others = sources
    for other in others:
        share = other.settings.held_out_share  # it leaves the statistics alone
        if differ := differences(replace(first.settings, held_out_share=share), other.settings):
            raise StoreError(
                f"{other.path} was mined with other settings than {first.path} ({'; '.join(differ)}): "
                "only stores of equal settings can be merged."
            )
    for source in sources:
        if pending := int((source.status == PENDING).sum()):
            raise StoreError(
                f"{source.path} still has {pending} of {len(source)} crops to fit: finish it "
                "with 'dgp-mine fit' before it is merged."
            )


def _plan(sources: Sequence[Store]) -> tuple[Plan, np.ndarray, np.ndarray]:
    """Return the merged plan, and for each of its crops the index of its source and its index there."""
    limits = [source.settings.max_crops for source in sources]
    settings = replace(sources[0].settings, max_crops=None if None in limits else sum(filter(None, limits)))
    folders = {source.folder for source in sources}
    folder = folders.pop() if len(folders) == 1 else None
    everything = union([source.plan for source in sources], settings, folder)
    origin = np.repeat(np.arange(len(sources)), [len(source) for source in sources])
    crop = np.concatenate([np.arange(len(source)) for source in sources])
    order = _each_once(sources, everything, origin, crop)
    taken = replace(everything, image=everything.image[order], position=everything.position[order])
    return taken, origin[order], crop[order]


def _each_once(
    sources: Sequence[Store],
    plan: Plan,
    origin: np.ndarray,  # [n]
    crop: np.ndarray,  # [n]
) -> np.ndarray:
    """Return the crops of `plan`, [m] indices, in canonical order and without duplicates.

    Of crops with equal name and position, one is kept for each file content; a crop of an unreadable file
    only if no other source could read it.
    """
    order = sorted_crops(plan)
    keys = crop_keys(plan)[0][order]
    same = np.concatenate([[False], keys[1:] == keys[:-1], [False]])
    alike = np.flatnonzero(same[1:] | same[:-1])  # indices into `order` of crops with duplicates
    status = _collect(sources, ArrayName.STATUS, origin[order[alike]], crop[order[alike]])
    files = _collect(sources, ArrayName.SHA256, origin[order[alike]], crop[order[alike]])
    stays = np.ones(len(order), bool)
    for group in np.split(np.arange(len(alike)), np.flatnonzero(np.diff(keys[alike])) + 1):
        best: dict[bytes, int] = {}
        content = {one: files[one].tobytes() for one in group.tolist()}
        for one in sorted(content, key=lambda one: (status[one] != DONE, content[one] == UNREAD, one)):
            if not (best and content[one] == UNREAD):
                best.setdefault(content[one], order[alike[one]])
        places = alike[group]
        order[places[: len(best)]] = [best[content] for content in sorted(best)]
        stays[places[len(best) :]] = False
    return order[stays]


def _copy(sources: Sequence[Store], origin: np.ndarray, crop: np.ndarray, part: Part) -> Iterator[int]:
    """Write all chunks of `part`; yield the number of crops written so far."""
    length = part.extent.chunk
    at_once = max(1, BLOCK // length)
    for first in range(0, part.chunks, at_once):
        last = min(first + at_once, part.chunks)
        block = slice(part.rows(first).start, part.rows(last - 1).stop)
        columns = {
            name: _collect(sources, name, origin[block], crop[block]) for name in crop_arrays(part.extent)
        }
        for index in range(first, last):
            rows = slice((index - first) * length, (index - first + 1) * length)
            part.write(index, {name: column[rows] for name, column in columns.items()})
        yield block.stop


def _collect(sources: Sequence[Store], name: ArrayName, origin: np.ndarray, crop: np.ndarray) -> np.ndarray:
    """Read the rows of an array over crops, each from its own source."""
    places = [np.flatnonzero(origin == number) for number in range(len(sources))]
    rows = [source.read(name, crop[place]) for source, place in zip(sources, places, strict=True)]
    return np.concatenate(rows)[np.argsort(np.concatenate(places))]
