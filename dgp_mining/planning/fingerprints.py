"""Digests of settings, of plans, and of the crops of a prior: equal digests mean equal results."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from ..images.reading import AS_STORED
from .plan import Plan
from .settings import StoreSettings

_LEAVES_CROPS_ALONE = ("max_crops", "keep_fields", "snapshots", "held_out_share")
"""Settings that do not influence the statistics of a crop."""

_FIRST = ("1",)
"""The numbers of the fitting code of stores from before it was recorded."""

_NEWER = {"target_psnr": None, **asdict(AS_STORED)}
"""Settings that older stores do not have, with the values that leave everything as it was."""


def settings_fingerprint(settings: StoreSettings) -> str:
    """Return the SHA-256 of the settings that determine the statistics of a crop.

    Stores with equal fingerprints can be merged.
    """
    return _sha256(_determining(settings)).hexdigest()


def plan_fingerprint(plan: Plan, layout: list[int]) -> str:
    """Return the name, 16 hexadecimal digits, of the part with this plan and layout (`Extent.numbers`)."""
    share = plan.settings.held_out_share
    later = [share] if share != 1.0 else []  # older stores have none
    digest = _sha256([_determining(plan.settings), layout, plan.names, plan.problems, *later])
    for array in (plan.sizes, plan.nbytes, plan.image, plan.position):
        digest.update(np.ascontiguousarray(array, "<i8"))
    return digest.hexdigest()[:16]


def crops_fingerprint(
    settings: StoreSettings,
    plan: Plan,
    crops: np.ndarray,
    sha256: np.ndarray,
    fitting: Sequence[str] = _FIRST,
) -> str:
    """Return the SHA-256 of everything that determines a prior.

    That is the settings, and the image name, position and file digest (`sha256`, [n, 32] uint8) of the given
    crops of `plan`, in their order, and the numbers of the `fitting` code that fitted them (see
    fitting/generation.py). The folder of images is not included.
    """
    used, image = np.unique(plan.image[crops], return_inverse=True)
    names, number = np.unique(np.array([plan.names[i] for i in used], str), return_inverse=True)
    later = [list(fitting)] if tuple(fitting) != _FIRST else []
    digest = _sha256([_determining(settings), names.tolist(), *later])
    digest.update(np.ascontiguousarray(np.column_stack([number[image], plan.position[crops]]), "<i8"))
    digest.update(np.ascontiguousarray(sha256[crops]))
    return digest.hexdigest()


def _determining(settings: StoreSettings) -> dict[str, Any]:
    known = {key: value for key, value in settings.to_json().items() if key not in _LEAVES_CROPS_ALONE}
    return {key: value for key, value in known.items() if key not in _NEWER or value != _NEWER[key]}


def _sha256(content: Any) -> Any:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode())
