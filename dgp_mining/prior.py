"""From a finished store to a dictionary that says where it comes from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from .condense import condense
from .coverage import coverage
from .dictionary import Dictionary, DictionaryError
from .statistics import prior_sample
from .store import DONE, PENDING, RESULT, Store, versions

HOLD_OUT = 10
"""Every tenth fitted crop is held out from the dictionary, to measure its coverage on."""

FEWEST_TO_HOLD_OUT = 20
"""With fewer fitted crops none is held out, and coverage is measured on the crops that were used."""


def build_dictionary(
    store: str | Path = "dgp.zarr", size: int = 730, method: str = "marginal", seed: int = 0
) -> Dictionary:
    """Condense the Gaussians mined in a store into `size` kernels, with coverage and provenance.

    The same store and arguments give the same bytes. Failed crops are left out. Raises DictionaryError where
    crops are pending, since their number would depend on the moment, or where the Gaussians are too few;
    StoreError where there is no store.
    """
    opened = Store.open(store)
    status = opened.status()
    if pending := int((status == PENDING).sum()):
        raise DictionaryError(
            f"{store} still has {pending} of {len(status)} crops to fit: finish it with "
            f"'dgp-mine fit --images {opened.folder} --store {store}' and its other options, if any."
        )
    done = np.flatnonzero(status == DONE)
    held_out, used = split(done)
    gaussians = prior_sample(opened.samples(used))
    cholesky = condense(gaussians, size, method, seed)
    psnr, off_lattice = (
        float(opened.results()[done, RESULT.index(name)].mean()) for name in ("psnr", "off_lattice_psnr")
    )
    return Dictionary(
        cholesky,
        {
            **{key: opened.settings[key] for key in ("density", "recipe", "iterations")},
            "method": method,
            "seed": seed,
            "fingerprint": opened.fingerprint,
            "images": opened.folder,
            "crops": len(done),
            "gaussians": len(gaussians),
            "psnr": psnr,
            "off_lattice_psnr": off_lattice,
            "coverage": _coverage(opened, cholesky, gaussians, held_out),
            "versions": versions(),
        },
    )


def split(done: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The fitted crops as (held out, used); none is held out where there are few."""
    if len(done) < FEWEST_TO_HOLD_OUT:
        return done[:0], done
    held_out = np.arange(len(done)) % HOLD_OUT == HOLD_OUT - 1
    return done[held_out], done[~held_out]


def describe(dictionary: Dictionary) -> dict[str, Any]:
    """What `dictionary show --json` prints: size, eigenvalues, ranges, and the metadata."""
    low, high = dictionary.cholesky.min(axis=0), dictionary.cholesky.max(axis=0)
    return {
        "size": len(dictionary),
        "min_eigenvalue": dictionary.min_eigenvalue,
        "ranges": {name: [float(low[i]), float(high[i])] for i, name in enumerate(("l11", "l21", "l22"))},
        "coverage": None,
        **dictionary.metadata,
    }


def _coverage(store: Store, cholesky: np.ndarray, used: np.ndarray, held_out: np.ndarray) -> dict[str, Any]:
    measured = prior_sample(store.samples(held_out)) if len(held_out) else used
    return {"held_out_crops": len(held_out), "gaussians": len(measured), **coverage(cholesky, measured)}
