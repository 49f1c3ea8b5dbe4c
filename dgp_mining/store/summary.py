"""The progress and quality of a store in numbers, for `dgp-mine status` and the end of a run."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from ..fitting.statistics import COUNTS
from ..planning.headers import is_copy, original_of
from ..progress import ProgressCallback
from .crop_results import DONE, FAILED, PENDING
from .store import Store
from .versions import deciding

RECENT_SECONDS = 600
"""Chunks written within this time give the current speed."""


def summarise(store: Store | str | Path, callback: ProgressCallback | None = None) -> dict[str, Any]:
    """Return crops, PSNR, failures and settings of a store, or of its path, as JSON values.

    The store may be growing meanwhile. Raises StoreError if there is none, or if it is damaged.

    `psnr` and `held_out_psnr` (held-out-pixel PSNR) are {mean, min, p5, p50, p95} in dB over the
    fitted crops, the latter over those that were measured, or None before the first; `seconds` is the
    fitting time of all workers together. `failures` has one entry for each image and error, `reasons` the
    number of failed crops and skipped images for each reason; `copies` are images with the content of
    another, which are mined once, and `copy_of` names that; `versions` are the sets of versions that have
    written crops, and since when (UTC, or "").

    >>> import tempfile
    >>> from PIL import Image
    >>> from dgp_mining import Settings, mine
    >>> folder = tempfile.TemporaryDirectory()
    >>> Image.effect_noise((32, 32), 50).convert("RGB").save(f"{folder.name}/noise.png")
    >>> settings = Settings(crop=16, max_crops=2, iterations=4)
    >>> store = mine(folder.name, f"{folder.name}/a.zarr", settings, scheduler="sync")
    >>> summary = summarise(store)
    >>> summary["crops"], summary["done"], summary["failed"], summary["pending"]
    (2, 2, 0, 0)
    """
    callback = callback or ProgressCallback()
    store = store if isinstance(store, Store) else Store.open(store)
    plan = store.plan
    crops = store.at()
    callback.on_progress("Reading", 0, 3)
    status = crops.status  # first, since it is written last
    callback.on_progress("Reading", 1, 3)
    done, psnr, held_out_psnr = status == DONE, crops.psnr, crops.held_out_psnr
    callback.on_progress("Reading", 2, 3)
    counts = crops.statistics.counts
    callback.on_progress("Reading", 3, 3)
    failed = np.flatnonzero(status == FAILED)
    errors = zip(plan.image[failed], store.at(failed).error, strict=True)
    failures = Counter((plan.names[image], str(text)) for image, text in errors)
    problems = [(name, text) for name, text in zip(plan.names, plan.problems, strict=True) if text]
    skipped = [(name, text) for name, text in problems if not is_copy(text)]
    copy_of = {name: original_of(text) for name, text in problems if is_copy(text)}
    pending = int((status == PENDING).sum())
    return {
        "store": store.path,
        "images": store.folder,
        "parts": len(store.parts),
        "crops": len(status),
        "done": int(done.sum()),
        "failed": len(failed),
        "pending": pending,
        "recent": recent(store) if pending else None,
        "psnr": spread(psnr[done]),
        "held_out_psnr": spread(held_out_psnr[done & np.isfinite(held_out_psnr)]),
        "seconds": float(crops.seconds[done].sum()),
        "gaussians": dict(zip(COUNTS, np.maximum(counts, 0).sum(axis=0).tolist(), strict=True)),
        "failures": [
            {"image": name, "error": text, "crops": crops} for (name, text), crops in failures.items()
        ],
        "skipped": [{"image": name, "error": text} for name, text in skipped],
        "copies": list(copy_of),
        "copy_of": copy_of,
        "reasons": {
            "failed": _reasons((name, text, crops) for (name, text), crops in failures.items()),
            "skipped": _reasons((name, text, 1) for name, text in skipped),
        },
        "versions": [vars(writer) for writer in deciding(store.writers, plan.names)],
        "fingerprint": store.fingerprint,
        "settings": store.settings.to_json(),
    }


def recent(store: Store) -> dict[str, float] | None:
    """Return the current speed, {crops_per_second, idle}; `idle` is the seconds since the last chunk.

    The speed is that until now, so that it falls while nothing is written: whether a run goes on is unknown.
    None if fewer than two chunks were written in the last RECENT_SECONDS.
    """
    now = time.time()
    times, crops = [], []
    for part in store.parts:
        for index, when in part.finished().items():
            if when > now - RECENT_SECONDS:
                times.append(when)
                crops.append(part.length(index))
    if len(times) < 2 or max(times) == min(times):
        return None
    first = int(np.argmin(times))  # the time at which the first one was begun is unknown
    finished = sum(crops) - crops[first]
    return {"crops_per_second": finished / (now - min(times)), "idle": max(0.0, now - max(times))}


def reason(name: str, text: str) -> str:
    """Reduce an error message about the image `name` to its kind, without name, numbers and advice."""
    _, _, rest = text.rpartition(name)
    rest = re.sub(r" is \d+x\d+,", " is", rest.lstrip(": "))
    while (shorter := re.sub(r" ?\([^()]*\)", "", rest)) != rest:  # the innermost brackets first
        rest = shorter
    return re.split(r": |\.$", rest.strip())[0]


def spread(values: np.ndarray) -> dict[str, float] | None:
    """Return mean, minimum and percentiles; None for no values."""
    if not len(values):
        return None
    p5, p50, p95 = np.percentile(values, [5, 50, 95])
    return {
        "mean": float(values.mean()),
        "min": float(values.min()),
        "p5": float(p5),
        "p50": float(p50),
        "p95": float(p95),
    }


def _reasons(failures: Iterable[tuple[str, str, int]]) -> dict[str, int]:
    counts: Counter[str] = Counter()
    for name, text, number in failures:
        counts[reason(name, text)] += number
    return dict(counts.most_common())
