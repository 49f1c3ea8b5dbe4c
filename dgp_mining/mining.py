"""From a folder of images to a store of fits: plan, fit the pending crops, write.

Results depend only on the images and the settings, which include the rendering backend. The number of
workers, the order in which tasks finish, and interruptions do not matter.
"""

from __future__ import annotations

import contextlib
import functools
import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from .callbacks import Callback
from .planning.headers import faults
from .planning.plan import Plan, chunk_length, count_pieces, make_plan
from .planning.settings import ALL_HELD_OUT, Settings, resolve_settings
from .progress import OnlyOfLongWork, ProgressCallback
from .retry import RunError, retry
from .signals import stop_at_signals
from .store.crop_results import FAILED
from .store.mined_images import mined_before
from .store.set_aside import Replacement, former_of, replacing
from .store.store import Store
from .store.versions import other_software
from .workers.executors import check_executor, check_room, default_workers, open_executor
from .workers.memory import TaskMemory, check_memory
from .workers.messages import PlannedChunk, Task
from .workers.scheduling import TaskQueue
from .workers.worker import FITTERS, fit_task, prepare_worker

FINISHING = "Finishing the chunks in progress; Ctrl-C again stops at once and loses them."


def mine(
    images: str | Path,
    store: str | Path = "dgp.zarr",
    settings: Settings | None = None,
    *,
    scheduler: str = "local",
    workers: int | None = None,
    device: str | None = None,
    tls: tuple[str | None, str | None, str | None] = (None, None, None),
    overwrite: bool = False,
    retry_failed: bool = False,
    strict: bool = False,
    callback: Callback | None = None,
    fitter: str | None = None,
) -> Store:
    """Fit crops of all images in the folder `images` into `store`, resuming if the store exists.

    Args:
        scheduler: where to fit, with `workers` and `tls`; see `executors.open_executor`. With "sync", this
            process keeps up to 128 MB of freed memory from then on (`freed_memory.py`).
        device: "cpu" or "cuda"; default "cuda" for scheduler "gpu", otherwise "cpu".
        overwrite: replace the store. It stands aside, with the suffix .former, until the new one has its
            first fitted crops, and is put back if the run ends before. One on S3, which renames nothing, is
            deleted once the workers have started.
        retry_failed: fit failed crops again.
        strict: raise RunError as soon as a crop fails or an image cannot be mined, also if that happened in
            an earlier run and `retry_failed` is not given.
        callback: receives the plan, every finished chunk, messages and the end of the run.
        fitter: name of the fitting module; default `worker.FITTERS[device]`.

    Returns the store, with all crops done or failed.

    Raises ImageError if no image can be mined, StoreError if `store` is not a store or has other settings,
    ValueError if a setting is out of range or arguments contradict each other, and RunError if a scheduler,
    GPU, disk or folder that the run needs is missing or lost. Ctrl-C finishes the chunks in progress and then
    raises KeyboardInterrupt; a second Ctrl-C raises it at once, and these chunks are lost. Local workers
    import the calling script again, so it must guard its actions with `if __name__ == "__main__"`.

    >>> import tempfile
    >>> from PIL import Image
    >>> folder = tempfile.TemporaryDirectory()
    >>> Image.effect_noise((32, 32), 50).convert("RGB").save(f"{folder.name}/noise.png")
    >>> settings = Settings(crop=16, max_crops=2, iterations=4)
    >>> store = mine(folder.name, f"{folder.name}/a.zarr", settings, scheduler="sync")
    >>> len(store), store.status.tolist()
    (2, [1, 1])
    """
    check_executor(scheduler, workers, device, tls)
    check_memory(settings or Settings(), scheduler, workers)
    callback = callback or Callback()
    device = device or ("cuda" if scheduler == "gpu" else "cpu")
    planning = OnlyOfLongWork(callback)
    plan = plan_run(images, settings or Settings(), device, None if overwrite else store, planning)
    ahead = look_ahead(store, plan, overwrite=overwrite, retry_failed=retry_failed, strict=strict)

    def begin(replacement: Replacement) -> Store:
        if overwrite:
            replacement.begin()
        opened = retry(lambda: open_store(store, plan))
        if retry_failed:
            mark_failed_pending(opened)
        callback.on_plan(plan, opened)
        return opened

    if not ahead.chunks:
        with replacing(store) as replacement:
            opened = begin(replacement)
            replacement.commit()
        callback.on_end(opened)
        return opened
    fitter = fitter or FITTERS[device]
    prepare = functools.partial(prepare_worker, plan.settings.backend, fitter)
    needs = TaskMemory(plan)
    check_room(scheduler, needs.most)
    workers = min(workers or default_workers(scheduler, needs.most), ahead.chunks)
    if scheduler in ("local", "gpu") and workers:
        callback.on_message(f"Starting {workers:,} worker{'s' * (workers != 1)}.")
    failures: list[str] = []
    with (
        stop_at_signals(callback.on_message, FINISHING) as stop,
        undone(callback, store) as replacement,
        open_executor(
            scheduler, workers, prepare=prepare, need=needs, tls=tls, notify=callback.on_message
        ) as run,
    ):
        if stop.asked:
            raise stop.interruption()
        opened = begin(replacement)  # only now, so that a run that cannot start leaves nothing
        for note in ahead.notes:
            callback.on_message(note)
        task = Task(opened.address, os.path.abspath(images), fitter)
        queue = TaskQueue(
            task, opened.pending_chunks(), lambda chunk: PlannedChunk(chunk, tuple(opened.chunk_crops(chunk)))
        )
        for done, ends in run(fit_task, queue.next, stop):
            for progress in queue.record(done, ends):
                if progress.done:
                    replacement.commit()
                callback.on_chunk(progress)
                failures += progress.failures if strict else []
            stop.asked |= bool(failures)
        opened.complete_chunks()
        if failures:
            raise RunError(_stopped(failures))
        if stop.asked:
            raise stop.interruption()
        replacement.commit()
    callback.on_end(opened)
    return opened


@contextlib.contextmanager
def undone(callback: Callback, store: str | Path) -> Iterator[Replacement]:
    """Yield the Replacement of a store, and tell the callback if it is put back."""
    replacement = None
    try:
        with replacing(store) as replacement:
            yield replacement
    finally:
        if replacement is not None and replacement.was_put_back:
            callback.on_undone(str(store))


def _stopped(failures: Sequence[str]) -> str:
    return f"Stopped by strict=True: {failures[0]}"


@dataclass(frozen=True)
class Ahead:
    """What a run finds in its store, and what it will fit, before it changes anything."""

    done: int = 0
    """Crops that are fitted already."""
    failed: int = 0
    """Crops that have failed, and will not be fitted again."""
    pending: int = 0
    """Crops of the store that are to be fitted."""
    added: int = 0
    """Crops that the store lacks."""
    chunks: int = 0
    """Chunks of the pending and the added crops."""
    deletes: bool = False
    """Whether it will replace a store."""
    notes: tuple[str, ...] = ()
    """Sentences if the run would go on with former numbers of its recipe, or other software than now has
    fitted the crops that are there."""


def look_ahead(
    store: str | Path,
    plan: Plan,
    *,
    overwrite: bool = False,
    retry_failed: bool = False,
    strict: bool = False,
) -> Ahead:
    """Return what `mine` with the same arguments would find and do; changes nothing.

    Raises StoreError or RunError where `mine` would not start because of the store or `strict`.
    """
    deletes = overwrite and Store.can_delete(store)
    found = None if overwrite or not Store.exists(store) else Store.open(store)
    failures = faults(plan.problems)
    if found:
        found.check(plan)
        failures += [text for _, text in found.errors] if strict and not retry_failed else []
    if strict and failures:
        raise RunError(_stopped(failures))
    side, iterations = plan.settings.crop, plan.settings.iterations
    missing = found.missing_crops(plan).crops if found else plan.crops
    added = count_pieces(missing, side, iterations)
    if not found:
        return Ahead(added=missing, chunks=added, deletes=deletes)
    again = found.failed_chunks() if retry_failed else []
    chunks = {*found.pending_chunks(), *again}
    pending = sum(found.part(chunk.part).length(chunk.number, chunk.first) for chunk in chunks)
    failed = 0 if retry_failed else int((found.status == FAILED).sum())
    mixed = len(chunks) + added > 0 and pending < len(found)
    notes = [_former_numbers(found), _set_aside(found)] if chunks or added else []
    if mixed:
        notes.append(other_software(found.path, found.writers, found.plan.names))
    return Ahead(
        done=len(found) - pending - failed,
        failed=failed,
        pending=pending,
        added=missing,
        chunks=len(chunks) + added,
        notes=tuple(filter(None, notes)),
    )


def _former_numbers(store: Store) -> str:
    """Return a sentence if a store goes on with former numbers of its recipe, else an empty text."""
    settings = store.settings
    if not settings.is_of_earlier_version:
        return ""
    return (
        f"{store.path} was begun with the numbers that recipe '{settings.recipe}' had in an earlier version, "
        f"and goes on with them, {settings.iterations} iterations: for today's, name another store=."
    )


def _set_aside(store: Store) -> str:
    """Return a sentence if a killed run has set aside another store, and has left nothing but this one."""
    former = former_of(store.path)
    if former is None or not store.unfinished().all():
        return ""
    return (
        f"{former} is the store that a run with overwrite=True would have replaced by {store.path}: it stays."
    )


def plan_run(
    images: str | Path,
    settings: Settings,
    device: str = "cpu",
    store: str | Path | None = None,
    callback: ProgressCallback | None = None,
) -> Plan:
    """Return the plan of `mine` with these arguments; `store` is one that the run may go on with.

    Raises ImageError if no image can be mined, StoreError if `store` is not a store.
    """
    if store is not None and Store.exists(store):
        opened = Store.open(store)
        resolved = resolve_settings(settings, device, opened.settings)
        return make_plan(images, resolved, functools.partial(mined_before, opened), callback)
    plan = make_plan(images, resolve_settings(settings, device), callback=callback)
    if settings.held_out_share is None and plan.crops <= ALL_HELD_OUT:
        return replace(plan, settings=replace(plan.settings, held_out_share=1.0))
    return plan


def open_store(path: str | Path, plan: Plan) -> Store:
    """Open or create the store at `path`, and add the crops of `plan` that it lacks.

    Raises StoreError if the store was made with other settings or of other images.
    """
    settings = plan.settings
    side, iterations = settings.crop, settings.iterations
    gaussians = math.ceil(settings.density * side * side)  # no recipe uses more
    if not Store.exists(path):
        return Store.create(path, plan, chunk_length(plan.crops, side, iterations), gaussians)
    store = Store.open(path)
    store.check(plan)
    store.remove_stale_files()
    store.complete_chunks()
    missing_crops = store.missing_crops(plan)
    if missing_crops.names:
        store = store.add(missing_crops, chunk_length(missing_crops.crops, side, iterations), gaussians)
    return store


def mark_failed_pending(store: Store) -> None:
    """Mark every chunk, or piece of a chunk, that has failed crops as pending."""
    for chunk in store.failed_chunks():
        store.mark_pending(chunk)
