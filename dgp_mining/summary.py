"""What a store holds so far, in figures: for `dgp-mine status` and for the end of a run."""

from __future__ import annotations

from typing import Any

import numpy as np

from .statistics import COUNTS
from .store import DONE, FAILED, PENDING, RESULT, Store


def summarise(store: Store) -> dict[str, Any]:
    """Crops, PSNR, failures and settings of a store, JSON-serialisable; also while it is being written.

    `psnr` and `off_lattice_psnr` are {mean, min, p5, p50, p95} in dB over the fitted crops, or None before
    the first; `seconds` is the fitting time of all workers together.
    """
    status, results, images = store.status(), store.results(), store.images()
    done = results[status == DONE]
    crop_image, position = store.crops()
    return {
        "store": str(store.path),
        "images": store.folder,
        "crops": len(status),
        "done": int((status == DONE).sum()),
        "failed": int((status == FAILED).sum()),
        "pending": int((status == PENDING).sum()),
        "psnr": spread(done[:, RESULT.index("psnr")]),
        "off_lattice_psnr": spread(done[:, RESULT.index("off_lattice_psnr")]),
        "seconds": float(done[:, RESULT.index("seconds")].sum()),
        "gaussians": dict(zip(COUNTS, store.counts().sum(axis=0).tolist(), strict=True)),
        "failures": [
            {"image": images.name[crop_image[i]], "position": position[i].tolist(), "error": text}
            for i, text in store.errors()
        ],
        "skipped": [
            {"image": name, "error": text}
            for name, text in zip(images.name, images.problem, strict=True)
            if text
        ],
        "fingerprint": store.fingerprint,
        "settings": store.settings,
    }


def spread(values: np.ndarray) -> dict[str, float] | None:
    """Mean, smallest value and percentiles; None of nothing."""
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
