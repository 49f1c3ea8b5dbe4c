"""The work of a worker: fit the crops of chunks. A result depends on its crop and the settings alone."""

from __future__ import annotations

import importlib
import itertools
import math
import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType

import numpy as np
import torch

import splat2d

from ..fitting import statistics
from ..fitting.content import measure_content
from ..fitting.fit import Fit
from ..fitting.loop import one_torch_thread
from ..freed_memory import keep_freed_memory
from ..planning.crop_loader import LoadedCrop, load_crops
from ..planning.plan import Crop, fit_seed, is_measured
from ..planning.settings import StoreSettings
from ..retry import RunError, disk_is_full, first_cause, is_transient, retry
from ..store.crop_results import EXACT_PSNR, CropResult
from ..store.store import Store
from .messages import PlannedChunk, Progress, Task

FITTERS = {"cpu": "dgp_mining.fitting.fit", "cuda": "dgp_mining.fitting.batch"}
"""Name of the fitting module for each device; a name, so that it can be sent to workers and replaced in
tests. The module has `fit_images` and `held_out_psnrs` for "cuda", else `fit_image` and `held_out_psnr`."""

BATCH_PIXELS = 64 * 256 * 256
"""Pixels of a batch on a GPU: enough to hide the cost of launches, and a small part of its memory."""

KEPT = 1 << 27
"""Most bytes of freed memory that a worker keeps from crop to crop."""


def fit_task(task: Task) -> list[Progress]:
    """Fit the chunks of a task, writing each as soon as it is complete; return [] for a trial.

    Raises RunError, or the store's StoreError, if the run cannot go on.
    """
    store, fitter = retry(lambda: Store.open(task.store)), load_fitter(task.fitter)
    check_worker(store.settings.backend)
    keep_freed_memory(KEPT)
    if not task.trial:
        retry(store.record_writer)
    ends: list[Progress] = []
    loaded: list[LoadedCrop] = []
    results: list[CropResult] = []
    began = time.perf_counter()
    crops, deadly = _crops_of(task)
    loading = load_crops(task.images, crops, store.settings.crop, store.settings.reading, deadly=deadly)
    chunks = iter(task.chunks)
    chunk = next(chunks)
    with one_torch_thread():
        for crop, result in _fitted(loading, store.settings, fitter):
            loaded.append(crop)
            results.append(result)
            if len(results) < len(chunk.crops) or task.trial:
                continue
            _write(store, chunk, results)
            now = time.perf_counter()
            ends.append(_progress(chunk, loaded, results, now - began))
            loaded, results, began, chunk = [], [], now, next(chunks, chunk)
    return ends


def _crops_of(task: Task) -> tuple[list[Crop], set[int]]:
    """Return all crops of a task in order, and the indices of the deadly ones."""
    crops: list[Crop] = []
    deadly: set[int] = set()
    for chunk in task.chunks:
        deadly |= {len(crops) + number for number in chunk.deadly}
        crops += chunk.crops
    return crops, deadly


def check_worker(backend: str) -> None:
    """Raise RunError unless this process renders with `backend`; another would give other bits."""
    if backend == "cuda":
        if not torch.cuda.is_available():
            raise RunError("A worker sees no GPU: start workers on a machine with one, or use device='cpu'.")
    elif (here := splat2d.backend()) != backend:
        raise RunError(
            f"A worker renders with '{here}', but the run was planned with '{backend}': install the same "
            "dgp-mining, with its compiled library, on every machine."
        )


def prepare_worker(backend: str, fitter: str) -> None:
    """Load the fitting module and warm up the GPU, before the first task.

    Raises RunError if this process lacks the backend or its GPU cannot be used.
    """
    check_worker(backend)
    module = load_fitter(fitter)
    if backend == "cuda":
        try:
            grey = np.full((16, 16, 3), 0.5, np.float32)
            module.fit_images([grey], seeds=[0], density=0.25, recipe="fast", iterations=1)
        except RuntimeError as error:
            raise _gpu_failed(error) from None


def _gpu_failed(error: RuntimeError) -> RunError:
    return RunError(
        f"A worker's GPU cannot be used ({_first_line(error)}): solve the problem, then repeat the command "
        "to continue."
    )


def _first_line(error: BaseException) -> str:
    """Return the first line of an error's message; torch's messages are long."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def load_fitter(name: str) -> ModuleType:
    """Import the fitting module of this name; see FITTERS."""
    return importlib.import_module(name)


# --- from crops to results ----------------------------------------------------------------------------------


def _fitted(
    crops: Iterator[LoadedCrop], settings: StoreSettings, fitter: ModuleType
) -> Iterator[tuple[LoadedCrop, CropResult]]:
    """Yield each crop with its result, in order; on a GPU in batches, which are halved if memory runs out."""
    size = batch_size(settings)
    if size > 1:
        crops = _ahead(crops)
    waiting = list(itertools.islice(crops, size))
    while waiting:
        batch = waiting[:size]
        try:
            results = fit_crops(batch, settings, fitter)
        except torch.OutOfMemoryError:
            results = []
        if results:
            yield from zip(batch, results, strict=True)
            waiting = waiting[len(batch) :]
            waiting += itertools.islice(crops, max(0, size - len(waiting)))
        elif len(batch) > 1:
            size = len(batch) // 2
            torch.cuda.empty_cache()
        else:
            raise RunError(
                "The GPU's memory does not hold a single crop: take a smaller crop= or density=, or end "
                "other programs on the GPU, then repeat the command."
            )


def batch_size(settings: StoreSettings) -> int:
    """Return the number of crops that are fitted at once; 1 on a CPU."""
    return max(1, BATCH_PIXELS // settings.crop**2) if settings.backend == "cuda" else 1


def _ahead(crops: Iterator[LoadedCrop], count: int = 64) -> Iterator[LoadedCrop]:
    """Yield the same crops, but load up to `count` of them ahead, in a thread while the GPU is busy."""
    pool = ThreadPoolExecutor(1)

    def load() -> LoadedCrop | None:
        return next(crops, None)

    try:
        waiting = deque(pool.submit(load) for _ in range(count))
        while (crop := waiting.popleft().result()) is not None:
            waiting.append(pool.submit(load))
            yield crop
    finally:
        pool.shutdown(cancel_futures=True)


def fit_crops(crops: Sequence[LoadedCrop], settings: StoreSettings, fitter: ModuleType) -> list[CropResult]:
    """Fit crops and measure the fits, in order. Raises torch.OutOfMemoryError; RunError if a GPU fails."""
    results: list[CropResult] = []
    for shape, alike in itertools.groupby(crops, key=_shape):
        if shape:
            results += _fit_alike(list(alike), settings, fitter)
        else:
            results += [CropResult(crop.sha256, crop.error) for crop in alike]
    return results


def _shape(crop: LoadedCrop) -> tuple[int, ...]:
    """Return the shape of the pixels; () if there are none."""
    return () if crop.pixels is None else crop.pixels.shape


def _fit_alike(crops: list[LoadedCrop], settings: StoreSettings, fitter: ModuleType) -> list[CropResult]:
    """Fit and measure crops of one shape."""
    seeds, rngs = zip(*(fit_seed(settings.seed, (crop.name, *crop.position)) for crop in crops), strict=True)
    pixels = [crop.pixels for crop in crops if crop.pixels is not None]
    try:
        fits = _fit_pixels(pixels, seeds, settings, fitter)
    except torch.OutOfMemoryError:
        raise
    except (ValueError, RuntimeError, MemoryError) as error:
        if settings.backend == "cuda" and isinstance(error, RuntimeError):
            raise _gpu_failed(error) from None  # after such an error every call on that GPU fails
        if len(crops) > 1:
            return [result for crop in crops for result in _fit_alike([crop], settings, fitter)]
        return [CropResult(crops[0].sha256, f"{crops[0].name}: {_first_line(error)}")]
    return [
        _measured(*loaded, rng, *found, settings.keep_fields)
        for loaded, rng, found in zip(zip(crops, pixels, strict=True), rngs, fits, strict=True)
    ]


def _measured(
    crop: LoadedCrop,
    pixels: np.ndarray,
    rng: np.random.Generator,
    fit: Fit,
    held_out: float | None,
    keep_field: bool,
) -> CropResult:
    if math.isnan(fit.psnr) or (held_out is not None and math.isnan(held_out)):
        return CropResult(crop.sha256, f"{crop.name}: the fit diverged: use another recipe or density.")
    return CropResult(
        crop.sha256,
        psnr=_finite(fit.psnr),
        held_out_psnr=math.nan if held_out is None else _finite(held_out),
        iterations=fit.iterations,
        seconds=fit.seconds,
        statistics=statistics.measure(fit.field, fit.start.numpy(), rng),
        field=fit.field if keep_field else None,
        content=measure_content(pixels),
        snapshots=_snapshots(fit),
    )


def _snapshots(fit: Fit) -> tuple[tuple[float, statistics.Statistics], ...]:
    start = fit.start.numpy()
    return tuple(
        (_finite(look.psnr), statistics.measure(look.field, start, np.random.default_rng(0)))
        for look in fit.snapshots
    )


def _fit_pixels(
    crops: list[np.ndarray], seeds: Sequence[int], settings: StoreSettings, fitter: ModuleType
) -> list[tuple[Fit, float | None]]:
    """Return each crop's fit and held-out-pixel PSNR, None if that is not to be measured.

    They are computed as a batch on a GPU, one by one on a CPU.
    """
    recipe = settings.fit_arguments()
    looks = {"snapshots": settings.snapshots} if settings.snapshots else {}
    measured = [is_measured(seed, settings.held_out_share) for seed in seeds]
    if settings.backend == "cuda":
        fits = fitter.fit_images(crops, seeds=seeds, **recipe, **looks)
        some, theirs = list(itertools.compress(crops, measured)), list(itertools.compress(seeds, measured))
        found = iter(fitter.held_out_psnrs(some, seeds=theirs, **recipe) if some else [])
        return [(fit, next(found) if one else None) for fit, one in zip(fits, measured, strict=True)]
    return [
        (
            fitter.fit_image(crop, seed=seed, **recipe, **looks),
            fitter.held_out_psnr(crop, seed=seed, **recipe) if one else None,
        )
        for crop, seed, one in zip(crops, seeds, measured, strict=True)
    ]


def _finite(psnr: float) -> float:
    return min(float(psnr), EXACT_PSNR)


# --- into the store -----------------------------------------------------------------------------------------


def _write(store: Store, chunk: PlannedChunk, results: list[CropResult]) -> None:
    try:
        retry(lambda: store.write(chunk.number, results))
    except Exception as error:
        if disk_is_full(error):
            raise RunError(
                f"The disk of {store.path} is full: make room, then repeat the command to continue."
            ) from None
        if is_transient(error) or isinstance(error, OSError):
            raise RunError(
                f"{store.path} cannot be written ({first_cause(error)}): solve the problem, then repeat the "
                "command to continue."
            ) from None
        raise


def _progress(
    chunk: PlannedChunk, crops: list[LoadedCrop], results: list[CropResult], seconds: float
) -> Progress:
    psnr = [result.psnr for result in results if not result.error]
    return Progress(
        chunk=chunk.number,
        done=len(psnr),
        failed=len(results) - len(psnr),
        psnr=float(sum(psnr)),
        seconds=seconds,
        failures=tuple(result.error for result in results if result.error),
        notes=tuple(note for crop in crops for note in crop.notes),
    )
