"""From a folder of images to a store of fits: plan, fit the pending crops, write.

Results depend only on the images and the settings, which include the rendering backend. The number of
workers, the order in which tasks finish, and interruptions do not matter.
"""

from __future__ import annotations

import functools
import math
import os
from pathlib import Path

import numpy as np

from .callbacks import Callback
from .planning.headers import faults
from .planning.plan import Plan, chunk_length, make_plan
from .planning.settings import Settings, resolve_settings
from .retry import RunError
from .signals import stop_at_signals
from .store.columns import ArrayName
from .store.crop_results import FAILED
from .store.part import Chunk
from .store.store import Store
from .store.versions import other_software
from .workers.executors import check_executor, default_workers, open_executor
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
        scheduler: where to fit, with `workers` and `tls`; see `executors.open_executor`.
        device: "cpu" or "cuda"; default "cuda" for scheduler "gpu", otherwise "cpu".
        overwrite: delete the store first.
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
    callback = callback or Callback()
    device = device or ("cuda" if scheduler == "gpu" else "cpu")
    plan = plan_run(images, settings or Settings(), device)
    opened = open_store(store, plan, overwrite)
    if retry_failed:
        mark_failed_pending(opened)
    callback.on_plan(plan, opened)
    failures = [*faults(plan.problems), *(text for _, text in opened.errors)] if strict else []
    pending = opened.pending_chunks() if not failures else []
    if pending:
        begun = not opened.unfinished().all()
        if begun and (note := other_software(opened.path, opened.writers, opened.plan.names)):
            callback.on_message(note)
        fitter = fitter or FITTERS[device]
        task = Task(opened.address, os.path.abspath(images), fitter)
        queue = TaskQueue(task, pending, lambda chunk: PlannedChunk(chunk, tuple(opened.chunk_crops(chunk))))
        prepare = functools.partial(prepare_worker, plan.settings.backend, fitter)
        workers = min(workers or default_workers(scheduler), len(pending))
        with (
            stop_at_signals(callback.on_message, FINISHING) as stop,
            open_executor(scheduler, workers, prepare=prepare, tls=tls, notify=callback.on_message) as run,
        ):
            for done, ends in run(fit_task, queue.next, stop):
                for progress in queue.record(done, ends):
                    callback.on_chunk(progress)
                    failures += progress.failures if strict else []
                stop.asked |= bool(failures)
        if stop.asked and not failures:
            raise KeyboardInterrupt
    if strict and failures:
        raise RunError(f"Stopped by strict=True: {failures[0]}")
    callback.on_end(opened)
    return opened


def plan_run(images: str | Path, settings: Settings, device: str = "cpu") -> Plan:
    """Return the plan of `mine` with these arguments. Raises ImageError if no image can be mined."""
    return make_plan(images, resolve_settings(settings, device))


def open_store(path: str | Path, plan: Plan, overwrite: bool = False) -> Store:
    """Open or create the store at `path`, and add the crops of `plan` that it lacks.

    Raises StoreError if the store was made with other settings or of other images.
    """
    if overwrite:
        Store.delete(path)
    settings = plan.settings
    side, iterations = settings.crop, settings.iterations
    gaussians = math.ceil(settings.density * side * side)  # no recipe uses more
    if not Store.exists(path):
        return Store.create(path, plan, chunk_length(plan.crops, side, iterations), gaussians)
    store = Store.open(path)
    store.check(plan)
    store.remove_stale_files()
    missing_crops = store.missing_crops(plan)
    if missing_crops.names:
        store = store.add(missing_crops, chunk_length(missing_crops.crops, side, iterations), gaussians)
    return store


def mark_failed_pending(store: Store) -> None:
    """Mark every chunk that has failed crops as pending."""
    for part in store.parts:
        failed = np.flatnonzero(part.read(ArrayName.STATUS) == FAILED)
        for index in np.unique(failed // part.extent.chunk).tolist():
            store.mark_pending(Chunk(part.name, index))
