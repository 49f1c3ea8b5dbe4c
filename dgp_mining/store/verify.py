"""Checking a store for damage: every checksum, the consistency of all values, and the image files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..fitting.statistics import COUNTS
from ..images.file_content import sha256_of
from ..images.limits import ImageError
from ..progress import ProgressCallback
from .attributes import read_attributes
from .columns import RESULT, ArrayName, CropColumns, FieldColumns
from .consolidated import has_copy, outdated, renew
from .crop_results import DONE, FAILED
from .integrity import DamagedError, reading
from .layout import LOST, crop_arrays
from .location import Location
from .part import Chunk, Part
from .repair import repair_attributes
from .root import write_parts_group
from .store import Store


@dataclass(frozen=True)
class Damage:
    """Damage found in a store."""

    chunk: Chunk | None
    """The damaged chunk; None for the metadata of an array."""
    crops: int
    """Crops of that chunk."""
    what: str
    """The array and its damage, one sentence."""


@dataclass(frozen=True)
class ImageFiles:
    """The state of the image files since they were fitted."""

    same: int
    """Number of unchanged files."""
    changed: list[str]
    """Names of changed files."""
    missing: list[str]
    """Names of missing files."""

    @property
    def all_missing(self) -> bool:
        """Whether there was nothing to compare with, though there should be."""
        return bool(self.missing) and not (self.same or self.changed)


@dataclass(frozen=True)
class Verification:
    """The result of `verify`."""

    crops: int
    """Crops of the store."""
    pending: int
    """Crops that are not fitted yet."""
    damage: list[Damage]
    """Empty if the store is sound."""
    repaired: bool
    """Whether damaged chunks were marked as pending, for the next `fit`."""
    files: ImageFiles | None
    """None unless image folders were given."""

    @property
    def sound(self) -> bool:
        """Whether no damage is left and no image file has changed; a missing one counts only if all are."""
        files_are = self.files is None or not (self.files.changed or self.files.all_missing)
        return (not self.damage or self.repaired) and files_are


def verify(
    path: str | Path,
    images: str | Path | Sequence[str | Path] = (),
    *,
    repair: bool = False,
    callback: ProgressCallback | None = None,
) -> Verification:
    """Read all of a store and check it for damage.

    With `images`, a folder or several, image files are compared with those that were fitted. With `repair`,
    damaged chunks are marked as pending, and damaged metadata of arrays, outdated consolidated metadata and
    attributes that the plan proves are rewritten; arrays of version 0.1.0 get names for their axes. Raises
    StoreError if there is no store, or if other attributes or the plan are damaged, which cannot be repaired,
    and ImageError if a folder of `images` does not exist.

    >>> import tempfile
    >>> from PIL import Image
    >>> from dgp_mining import Settings, mine
    >>> folder = tempfile.TemporaryDirectory()
    >>> Image.effect_noise((32, 32), 50).convert("RGB").save(f"{folder.name}/noise.png")
    >>> settings = Settings(crop=16, max_crops=2, iterations=4)
    >>> store = mine(folder.name, f"{folder.name}/a.zarr", settings, scheduler="sync")
    >>> verify(store.path, [folder.name]).sound
    True
    """
    callback = callback or ProgressCallback()
    found = [Damage(None, 0, what) for what in repair_attributes(Location(str(path)))] if repair else []
    store = Store.open(path)
    folders = [Path(folder) for folder in ([images] if isinstance(images, (str, Path)) else images)]
    for folder in folders:
        if not folder.is_dir():
            raise ImageError(f"{folder} is not a folder: name one with images=.")
    for part in store.parts:
        found += _described(part, repair)
    found += _parts_group(store, repair)
    if repair or not found:
        found += _consolidated(store, repair)
    chunks = [(part, chunk) for part in store.parts for chunk in _fitted(part)]
    fitted = 0
    for done, (part, chunk) in enumerate(chunks):
        crops = part.length(chunk.number, chunk.first)
        fitted += crops
        if wrong := list(_wrong(part, chunk)):
            found += [Damage(chunk, crops, what) for what in wrong]
            if repair:
                part.mark_pending(chunk.number, chunk.first)
                fitted -= crops
        callback.on_progress("Verifying", done + 1, len(chunks))
    return Verification(
        crops=len(store),
        pending=len(store) - fitted,
        damage=found,
        repaired=repair,
        files=_image_files(store, folders) if folders else None,
    )


def _described(part: Part, repair: bool) -> list[Damage]:
    """Check the metadata of the arrays of `part`; with `repair`, rewrite damaged ones."""
    wrong = part.damaged_descriptions()
    if repair:
        for name in wrong:
            part.restore_description(name)
        for name in part.without_axes():
            part.restore_description(name)
    if repair or not wrong:
        _ = part.plan  # raises if the plan is damaged, which cannot be repaired
    return [Damage(None, 0, f"{part.place}/{name} has damaged metadata.") for name in wrong]


def _parts_group(store: Store, repair: bool) -> Iterator[Damage]:
    """Check the metadata of the group of all parts, which only other readers of Zarr need."""
    place = store.place / "parts"
    try:
        with reading(f"{place}/zarr.json"):
            read_attributes(place)
    except DamagedError as error:
        yield Damage(None, 0, error.reason)
        if repair:
            write_parts_group(store.place)


def _consolidated(store: Store, repair: bool) -> Iterator[Damage]:
    """Check consolidated metadata, which other programs have written; with `repair`, renew outdated ones."""
    places = [store.place, store.place / "parts", *(part.place for part in store.parts)]
    for place in outdated(store.place) if any(has_copy(place) for place in places) else []:
        yield Damage(None, 0, f"{place} has consolidated metadata that are out of date.")
        if repair:
            renew([place])


def _fitted(part: Part) -> Iterator[Chunk]:
    """Yield the complete chunks, and the pieces of others."""
    pieces = part.pieces()  # first: they are removed after their chunk is written
    finished = part.finished()
    yield from (Chunk(part.name, index) for index in finished)
    yield from (Chunk(part.name, *piece) for piece in pieces if piece[0] not in finished)


def _wrong(part: Part, chunk: Chunk) -> Iterator[str]:
    """Yield the damage of a chunk or piece, one sentence each."""
    columns: dict[ArrayName, np.ndarray] = {}
    if chunk.first is not None:
        try:
            columns |= part.read_piece(chunk.number, chunk.first) or {}
        except DamagedError as error:
            yield error.reason
    for name in crop_arrays(part.extent) if chunk.first is None else ():
        try:
            columns[name] = part.read_chunk(name, chunk.number)
        except DamagedError as error:
            yield error.reason
    if len(columns) < len(crop_arrays(part.extent)):
        return
    for row, status in enumerate(columns[ArrayName.STATUS].tolist()):
        crop = {name: column[row] for name, column in columns.items()}
        at = f"{part.place}: crop {part.rows(chunk.number, chunk.first).start + row}"
        if status == DONE:
            yield from (f"{at} {what}." for what in _wrong_with_fitted(crop))
        elif status != FAILED or not crop[ArrayName.ERROR]:
            yield f"{at} has neither a fit nor a reason why it failed."


def _wrong_with_fitted(arrays: dict[ArrayName, np.ndarray]) -> Iterator[str]:
    crop = CropColumns(arrays.__getitem__)
    counts = dict(zip(COUNTS, crop.statistics.counts.tolist(), strict=True))
    sampled = counts.pop("sampled")
    interior = 2 * counts["gaussians"] - sum(counts.values())
    sample, histogram = crop.statistics.samples, crop.statistics.histograms
    if not np.isfinite(crop.results_of_all).all() or np.isinf(crop.held_out_psnr):
        yield f"has a result that is not finite ({', '.join(RESULT)})"
    if not np.isfinite(crop.content[0]):
        yield "has no content"
    if not crop.sha256.any():
        yield "has no digest of its image file"
    if crop.error:
        yield "has both a fit and a reason why it failed"
    if min(counts.values()) < 0 or interior < 0:
        yield "has impossible counts"
        return
    if (sample[:, 0] == LOST).any():
        yield "has lost its sampled Gaussians"
    elif np.isfinite(sample).all(axis=1).sum() != sampled or not np.isnan(sample[sampled:]).all():
        yield "has more or fewer sampled Gaussians than its counts state"
    if (histogram < 0).any() or (histogram[0].sum(axis=1) != interior).any():
        yield "has histograms of more or fewer Gaussians than its counts state"
    if interior and not np.isfinite(crop.statistics.moments).all():
        yield "has moments that are not finite"
    snapshots = crop.snapshots
    if ArrayName.SNAPSHOT_PSNR in arrays and not (
        np.isfinite(snapshots.psnr).all()
        and (snapshots.counts[:, 0] == counts["gaussians"]).all()
        and np.isfinite(snapshots.moments[snapshots.histograms[:, 0, 0].any(axis=1)]).all()
        and (snapshots.histograms >= 0).all()
    ):
        yield "has snapshots of another fit, or has lost some"
    if ArrayName.FIELD_EXTENT in arrays:
        yield from _wrong_with_field(crop.fields, counts["gaussians"], counts["degenerate"])


def _wrong_with_field(field: FieldColumns, gaussians: int, degenerate: int) -> Iterator[str]:
    room, most_channels = field.colors.shape
    n, channels = field.extent.tolist()
    if n != gaussians or not (0 <= n <= room and 1 <= channels <= most_channels):
        yield "has a field of more or fewer Gaussians than its counts state"
        return
    values = np.concatenate([field.means[:n], field.cholesky[:n], field.colors[:n]], axis=1)
    if (~np.isfinite(values).all(axis=1)).sum() > degenerate:
        yield "has a field that is not finite"


def _image_files(store: Store, folders: list[Path]) -> ImageFiles:
    """Compare the image files with the digests that were stored with the fitted crops."""
    plan, done = store.plan, store.status == DONE
    sha256 = store.at().sha256
    digests: dict[str, set[bytes]] = {}
    for crop in np.flatnonzero(done):
        digests.setdefault(plan.names[plan.image[crop]], set()).add(sha256[crop].tobytes())
    same, changed, missing = 0, [], []
    for name, expected in sorted(digests.items()):
        found = {sha256_of(path) for folder in folders if (path := folder / name).exists()}
        if not found:
            missing.append(name)
        elif expected & found:
            same += 1
        else:
            changed.append(name)
    return ImageFiles(same, changed, missing)
