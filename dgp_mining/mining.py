"""The whole way from a folder of images to a store of fits: plan, fit what is missing, write.

Results depend on the images and the settings alone: not on the number of workers, the order in which they
finish, or on what interrupted them.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch

import splat2d

from . import statistics
from .executors import available_cores, open_executor
from .images import ImageError, read_image
from .part import Chunk
from .plan import Plan, Settings, chunk_length, make_plan, seed_of
from .recipes import recipe_settings
from .results import CropResult
from .store import Store

FITTER = "dgp_mining.fit"
"""The module whose `fit_image` and `off_lattice_psnr` are used, by name: a name travels to any worker, and
tests can put another there."""

EXACT_PSNR = 100.0
"""dB that stand for a fit without any error, whose PSNR would be infinite."""


@dataclass(frozen=True)
class Progress:
    """What one finished chunk adds; `mine` reports it."""

    done: int
    """Crops fitted."""
    failed: int
    """Crops that cannot be, for the reasons in the store."""
    psnr: float
    """Sum of the PSNR of the fitted crops, dB."""


def mine(
    images: str | Path,
    store: str | Path = "dgp.zarr",
    settings: Settings | None = None,
    *,
    scheduler: str = "local",
    workers: int | None = None,
    overwrite: bool = False,
    on_plan: Callable[[Plan, Store], None] = lambda plan, store: None,
    on_progress: Callable[[Progress], None] = lambda progress: None,
    fitter: str = FITTER,
) -> Store:
    """Fit crops of all images in the folder `images` into `store`, going on with what is there.

    Raises ImageError where no image can be mined, StoreError where the store is no store, or of other
    settings, ExecutorError where there are no workers. Ctrl-C loses only the chunks under way. Local workers
    import the calling script again, which must therefore guard what it does by `if __name__ == "__main__"`.
    """
    plan = plan_run(images, settings or Settings())
    opened = open_store(store, plan, overwrite)
    on_plan(plan, opened)
    tasks = [make_task(opened, images, fitter, chunk) for chunk in opened.pending_chunks()]
    if tasks:
        with open_executor(scheduler, min(workers or available_cores(), len(tasks))) as run:
            for progress in run(fit_chunk, tasks):
                on_progress(progress)
    return opened


def plan_run(images: str | Path, settings: Settings) -> Plan:
    """The plan of `mine`, which does nothing yet."""
    numbers = recipe_settings(settings.recipe, settings.iterations)
    fixed = {
        "recipe": numbers.pop("recipe"),
        "iterations": numbers.pop("iterations"),
        "fit": numbers,
        "statistics": statistics.SETTINGS,
        "backend": splat2d.backend(),
    }
    return make_plan(images, settings, fixed)


def open_store(path: str | Path, plan: Plan, overwrite: bool = False) -> Store:
    """The store at `path`, with all crops of `plan`: made for it where there is none, and extended where it
    has only some. Raises StoreError where it is another's."""
    if overwrite:
        Store.delete(path)
    side, density, iterations = (plan.settings[key] for key in ("crop", "density", "iterations"))
    gaussians = math.ceil(density * side * side)  # no recipe takes more
    if not Store.exists(path):
        return Store.create(path, plan, chunk_length(plan.crops, side, iterations), gaussians)
    store = Store.open(path)
    store.check(plan)
    store.sweep()
    fresh = store.fresh(plan)
    if fresh.names:
        store = store.add(fresh, chunk_length(fresh.crops, side, iterations), gaussians)
    return store


@dataclass(frozen=True)
class Task:
    """One chunk to fit: all that a worker needs to know."""

    store: str
    """Where the store is, from any working directory."""
    images: str
    """Absolute path of the folder of images."""
    fitter: str
    """Name of the fitting module, see FITTER."""
    chunk: Chunk
    """Which chunk of the store."""
    crops: tuple[tuple[str, int, int], ...]
    """The chunk's crops: name of the image in the folder, row and column."""


def make_task(store: Store, images: str | Path, fitter: str, chunk: Chunk) -> Task:
    """The task of fitting one chunk; it carries its crops, so that workers need not read the plan."""
    return Task(
        store=store.address,
        images=str(Path(images).resolve()),
        fitter=fitter,
        chunk=chunk,
        crops=tuple(store.chunk_crops(chunk)),
    )


def fit_chunk(task: Task) -> Progress:
    """Fit the crops of one chunk, decoding each image once, and write them. Runs in a worker."""
    store, fitter = Store.open(task.store), load_fitter(task.fitter)
    results = []
    with one_torch_thread():
        for name, crops in itertools.groupby(task.crops, key=lambda crop: crop[0]):
            positions = [(row, column) for _, row, column in crops]
            results += fit_crops(Path(task.images), name, positions, store.settings, fitter)
    store.write(task.chunk, results)
    done = [result.result[0] for result in results if not result.error]
    return Progress(len(done), len(results) - len(done), float(sum(done)))


def fit_crops(
    folder: Path,
    name: str,
    positions: list[tuple[int, int]],
    settings: dict[str, Any],
    fitter: ModuleType,
) -> list[CropResult]:
    """Fit crops of one image; an image that cannot be read fails all of them, for the reason it gives."""
    path = folder / name
    try:
        pixels, sha256 = read_image(path), hashlib.sha256(path.read_bytes()).digest()
    except ImageError as error:
        # The image is named as in its folder: a store says nothing about the machine.
        return [CropResult(b"", str(error).replace(str(path), name))] * len(positions)
    return [fit_crop(pixels, name, position, settings, sha256, fitter) for position in positions]


def fit_crop(
    pixels: np.ndarray,  # [H, W, C] of the whole image
    name: str,
    position: tuple[int, int],
    settings: dict[str, Any],
    sha256: bytes,
    fitter: ModuleType,
) -> CropResult:
    """Fit one crop and measure the fit; the result depends on nothing but the arguments."""
    side, (top, left) = settings["crop"], position
    crop = np.ascontiguousarray(pixels[top : top + side, left : left + side])
    if crop.shape[:2] != (side, side):
        return CropResult(sha256, f"{name} has become smaller since the run was planned: start anew.")
    seed = seed_of(settings["seed"], name, top, left)
    rng = np.random.default_rng(seed)
    recipe = {key: settings[key] for key in ("density", "recipe", "iterations")}
    recipe["seed"] = int(rng.integers(2**31))
    try:
        fit = fitter.fit_image(crop, **recipe)
        off_lattice = fitter.off_lattice_psnr(crop, **recipe)
    except ValueError as error:
        return CropResult(sha256, f"{name}: {error}")
    return CropResult(
        sha256,
        result=(_finite(fit.psnr), _finite(off_lattice), fit.iterations, fit.seconds),
        statistics=statistics.measure(fit.field, fit.start.numpy(), rng),
        field=fit.field if settings["keep_fields"] else None,
    )


def load_fitter(name: str) -> ModuleType:
    """The fitting module of this name, see FITTER."""
    return importlib.import_module(name)


def _finite(psnr: float) -> float:
    return min(float(psnr), EXACT_PSNR)


@contextlib.contextmanager
def one_torch_thread() -> Iterator[None]:
    """Sums split over threads round differently; besides, workers have one core each."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
