"""Building a dictionary, with its provenance, from a finished store.

Crops are read in the order of image name, row and column, so that a store that was extended or merged gives
the same dictionary, byte for byte, as one that was mined in one run. Apart from a few numbers per crop,
memory does not grow with the store.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ..fitting.statistics import prior_sample
from ..planning.fingerprints import crops_fingerprint
from ..progress import ProgressCallback
from ..store.crop_results import DONE, PENDING
from ..store.integrity import damaged
from ..store.store import Store
from ..store.versions import versions
from .condense import can_be_symmetric, condense
from .coverage import coverage
from .dictionary import Dictionary, DictionaryError
from .held_out import of_one_image, split
from .quality import kernel_quality
from .soundness import kernel_warnings, mining_warnings

MOST_GAUSSIANS = 1_000_000
"""Upper limit of the Gaussians to build from or to measure on; more are subsampled at random."""

BLOCK = 2048
"""Crops read at a time: 15 MB."""


def build_dictionary(
    store: str | Path = "dgp.zarr",
    size: int = 730,
    method: str = "kmeans",
    seed: int = 0,
    symmetric: bool | None = None,
    *,
    callback: ProgressCallback | None = None,
) -> Dictionary:
    """Condense the Gaussians mined in a store into a dictionary of `size` kernels.

    `method`, `seed` and `symmetric` are those of `condense`; progress goes to `callback.on_progress`. The
    metadata has the provenance, the mean PSNRs and the coverage of held-out crops. Failed crops are left out.
    The same crops and arguments give the same bytes. If the dictionary means little, the metadata has
    `warnings`, as {key: sentence} (soundness.py).

    Raises DictionaryError if crops are pending, or there are too few Gaussians; StoreError if the store is
    missing or damaged.

    >>> import tempfile
    >>> from PIL import Image
    >>> from dgp_mining import Settings, mine
    >>> folder = tempfile.mkdtemp()
    >>> Image.effect_noise((32, 32), 50).convert("RGB").save(f"{folder}/noise.png")
    >>> settings = Settings(crop=16, max_crops=2, iterations=4)
    >>> store = mine(folder, f"{folder}/a.zarr", settings, scheduler="sync")
    >>> dictionary = build_dictionary(store.path, size=8)
    >>> len(dictionary), dictionary.metadata["crops"]
    (8, 2)
    """
    opened = Store.open(store)
    status = opened.status
    if pending := int((status == PENDING).sum()):
        raise DictionaryError(
            f"{store} still has {pending} of {len(status)} crops to fit: finish it with "
            f"'dgp-mine fit --images {opened.folder or 'DIR'} --store {store}' and its other options, if any."
        )
    order = opened.order()
    done = order[status[order] == DONE]
    held_out, used = split(done, of_one_image(opened, done))
    gaussians, count = thinned(opened, used, seed, callback, len(done))
    cholesky = condense(gaussians, size, method, seed, symmetric)
    measured, measured_count = thinned(opened, held_out, seed)
    if not measured_count:  # no crop is held out, or those that are have only dead Gaussians
        held_out, measured, measured_count = held_out[:0], gaussians, count
    if callback:
        callback.on_progress("Reading", len(done), len(done))
    crops = opened.at()
    sha256 = crops.sha256
    known = np.isfinite(crops.results_of_all[done]).all() and np.isfinite(crops.content[done][:, 0]).all()
    if not (known and sha256[done].any(axis=1).all()):
        raise damaged(opened.path, "there are fitted crops without a result")
    fitting = sorted({writer.versions.get("fitting", "1") for writer in opened.writers})
    symmetric = can_be_symmetric(method) if symmetric is None else symmetric
    warnings = mining_warnings(crops.statistics.counts[done], crops.content[done])
    warnings.pop("few_gaussians", None)  # of a dictionary of the usual size
    warnings |= kernel_warnings(cholesky, count, method, symmetric)
    return Dictionary(
        cholesky,
        {
            "density": opened.settings.density,
            "recipe": opened.settings.recipe,
            "iterations": opened.settings.iterations,
            "method": method,
            "seed": seed,
            "symmetric": symmetric,
            "fingerprint": crops_fingerprint(opened.settings, opened.plan, done, sha256, fitting),
            "crops": len(done),
            "gaussians": count,
            "psnr": float(crops.psnr[done].mean()),
            "off_lattice_psnr": _mean_of_known(crops.held_out_psnr[done]),
            "coverage": {
                "held_out_crops": len(held_out),
                "gaussians": measured_count,
                **coverage(cholesky, measured),
            },
            "versions": versions(),
            **({"warnings": warnings} if warnings else {}),
        },
    )


def gaussians_of_both(
    store: str | Path, seed: int = 0, *, callback: ProgressCallback | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return the Gaussians [M, 3] of the crops that `build_dictionary` uses, and of those that it holds out.

    Both are Cholesky factors in grid spacings. If no crop is held out, as there are too few, or those have no
    Gaussians, both are the same.
    Raises StoreError as `build_dictionary` does, DictionaryError if there are no Gaussians.
    """
    opened = Store.open(store)
    order = opened.order()
    done = order[opened.status[order] == DONE]
    held_out, used = split(done, of_one_image(opened, done))
    made_of, count = thinned(opened, used, seed, callback, len(done))
    if not count:
        raise DictionaryError(f"{store} has no Gaussians to compare with: mine some crops first.")
    measured, measured_count = thinned(opened, held_out, seed)
    return made_of, measured if measured_count else made_of


def thinned(
    store: Store, crops: np.ndarray, seed: int, callback: ProgressCallback | None = None, total: int = 0
) -> tuple[np.ndarray, int]:
    """Return the interior Gaussians [M, 3] of the given crops, in order, and their number before thinning.

    At most MOST_GAUSSIANS are kept, each with the same probability.
    """
    rng = np.random.default_rng(seed)
    kept, lots, count = np.empty((0, 3)), np.empty(0), 0
    for first in range(0, len(crops), BLOCK):
        if callback:
            callback.on_progress("Reading", first, total)
        gaussians = prior_sample(store.samples(crops[first : first + BLOCK]))
        count += len(gaussians)
        kept, lots = np.concatenate([kept, gaussians]), np.concatenate([lots, rng.random(len(gaussians))])
        if len(lots) > MOST_GAUSSIANS:  # keep those with the smallest random numbers
            stay = np.sort(np.argpartition(lots, MOST_GAUSSIANS)[:MOST_GAUSSIANS])
            kept, lots = kept[stay], lots[stay]
    return kept, count


def describe(dictionary: Dictionary) -> dict[str, Any]:
    """Return size, smallest eigenvalue, ranges, quality, metadata, as `dgp-mine dictionary show` prints."""
    low, high = dictionary.cholesky.min(axis=0), dictionary.cholesky.max(axis=0)
    measured = {
        "size": len(dictionary),
        "min_eigenvalue": dictionary.min_eigenvalue,
        "ranges": {name: [float(low[i]), float(high[i])] for i, name in enumerate(("l11", "l21", "l22"))},
        "quality": kernel_quality(dictionary),
    }
    return {**measured, "coverage": None, **dictionary.metadata, **measured}


def _mean_of_known(psnr: np.ndarray) -> float | None:
    """Return the mean of the values that were measured; None if there are none."""
    known = psnr[np.isfinite(psnr)]
    return float(known.mean()) if len(known) else None
