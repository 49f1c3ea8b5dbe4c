"""Digests that tell equal work from other work: of settings, of a plan, of the crops behind a prior."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import numpy as np

from .plan import Plan
from .settings import StoreSettings

_LEAVES_CROPS_ALONE = ("max_crops", "keep_fields", "snapshots")
"""Settings that have no influence on the statistics of a crop."""


def settings_fingerprint(settings: StoreSettings) -> str:
    """SHA-256 over the settings that determine the statistics of a crop: stores that agree in it can be
    merged, and extended by one another's images."""
    return _sha256(_determining(settings)).hexdigest()


def plan_fingerprint(plan: Plan, layout: list[int]) -> str:
    """16 hexadecimal digits that name the part of a store with this plan and these numbers of its layout."""
    digest = _sha256([_determining(plan.settings), layout, plan.names, plan.problems])
    for array in (plan.sizes, plan.nbytes, plan.image, plan.position):
        digest.update(np.ascontiguousarray(array, "<i8"))
    return digest.hexdigest()[:16]


def crops_fingerprint(settings: StoreSettings, plan: Plan, crops: np.ndarray, sha256: np.ndarray) -> str:
    """SHA-256 over what determines a prior: settings, and name, position and image file of the given crops of
    `plan` in their order, the files by their digests [n, 32] uint8. Where images lie is no part of it."""
    used, image = np.unique(plan.image[crops], return_inverse=True)
    names, number = np.unique(np.array([plan.names[i] for i in used], str), return_inverse=True)
    digest = _sha256([_determining(settings), names.tolist()])
    digest.update(np.ascontiguousarray(np.column_stack([number[image], plan.position[crops]]), "<i8"))
    digest.update(np.ascontiguousarray(sha256[crops]))
    return digest.hexdigest()


def _determining(settings: StoreSettings) -> dict[str, Any]:
    known = {key: value for key, value in settings.to_json().items() if key not in _LEAVES_CROPS_ALONE}
    if known.get("target_psnr") is None:  # as in stores made before there was such a setting
        known.pop("target_psnr", None)
    return known


def _sha256(content: Any) -> Any:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode())
