"""The kernels that a network blends: the mined ones, or for ablations others that carry less information."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import torch

from dgp_mining.prior.continuoussr_table import PIXELS_PER_SPACING, continuoussr_kernels
from dgp_mining.prior.dictionary import Dictionary

from .blending import SMALLEST_DIAGONAL, Blending, Floats, to_blending
from .settings import ContinuousSRSettings


def with_prior(settings: ContinuousSRSettings, prior: Dictionary) -> tuple[ContinuousSRSettings, Dictionary]:
    """Apply a mined prior: return the settings of the network to build, and the kernels that it blends."""
    return settings, chosen_kernels(settings, prior)


def chosen_kernels(settings: ContinuousSRSettings, mined: Dictionary) -> Dictionary:
    """Return the dictionary to train on: `mined`, or the one that `settings.dictionary` puts in its place.

    A subset of the mined kernels consists of kernels as far from each other as possible: a network reaches
    their convex hull, and 64 such kernels of the reference prior span 99 % of the hull of all 730 at a tenth
    of the work. A dictionary that has no more than `settings.dictionary_size` is taken whole. Uniform kernels
    do not depend on a training's seed: trainings with different seeds have the same dictionary.
    """
    size = settings.dictionary_size
    match settings.dictionary:
        case "mined":
            if size is None or size >= len(mined):
                return mined
            return farthest_kernels(mined, size, settings.blending)
        case "released":
            cholesky = continuoussr_kernels()
        case "corners":
            ends = zip(mined.cholesky.min(axis=0), mined.cholesky.max(axis=0), strict=True)
            cholesky = np.array(list(product(*ends)))
        case "uniform":
            limits = np.array(settings.dictionary_range).reshape(3, 2) / PIXELS_PER_SPACING
            assert size is not None  # checked by the settings
            cholesky = np.random.default_rng(0).uniform(limits[:, 0], limits[:, 1], (size, 3))
    cholesky[:, [0, 2]] = cholesky[:, [0, 2]].clip(SMALLEST_DIAGONAL)
    metadata: dict[str, Any] = {"ablation": settings.dictionary}
    if "images" in mined.metadata:
        metadata["images"] = mined.metadata["images"]
    return Dictionary(cholesky, metadata)


def farthest_kernels(mined: Dictionary, size: int, blending: Blending) -> Dictionary:
    """Return the `size` kernels that lie farthest apart in the blending space, with the metadata of `mined`.

    Raises:
        ValueError: if `mined` has fewer kernels.
    """
    if size > len(mined):
        raise ValueError(f"size must be at most {len(mined)}, the number of kernels; got {size}")
    entries = to_blending(torch.tensor(mined.cholesky, dtype=torch.float64), blending).numpy()
    metadata = {**mined.metadata, "chosen": f"{size} of {len(mined)} kernels, the farthest apart"}
    metadata.pop("coverage", None)  # the recorded coverage is that of all kernels
    return Dictionary(mined.cholesky[farthest_points(entries, size)], metadata)


def farthest_points(points: Floats, size: int) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
    """Choose the point farthest from the mean, then repeatedly the one farthest from those (Gonzalez 1985).

    Args:
        points: [K, D].
        size: number of points to choose.

    Returns:
        [size] indices, ascending.
    """
    chosen = [int(((points - points.mean(axis=0)) ** 2).sum(axis=1).argmax())]
    distance = ((points - points[chosen[0]]) ** 2).sum(axis=1)
    while len(chosen) < size:
        chosen.append(int(distance.argmax()))
        distance = np.minimum(distance, ((points - points[chosen[-1]]) ** 2).sum(axis=1))
    return np.sort(chosen)
