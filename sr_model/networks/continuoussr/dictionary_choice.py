"""Which kernels a network blends: the mined ones, or for ablations others that know less."""

from __future__ import annotations

from itertools import product

import numpy as np
import torch

from dgp_mining.prior.dictionary import Dictionary

from .blending import NARROWEST, Blending, to_blending
from .covariance_heads import PIXELS_AT_X4
from .settings import NetworkSettings

RELEASED = (
    (0.0, 0.41, 0.62, 0.98, 1.13, 1.29, 1.64, 1.85, 2.36),
    (-0.86, -0.36, -0.16, 0.19, 0.34, 0.49, 0.84, 1.04, 1.54),
    (0.0, 0.33, 0.53, 0.88, 1.03, 1.18, 1.53, 1.73, 2.23),
)
"""Values of l11, l21 and l22 in ContinuousSR's released code, in pixels at x4."""


def released_kernels() -> np.ndarray:  # [730, 3] float64
    """The released dictionary in grid spacings: all combinations of its values, and a row of zeros.

    As released, 154 of its kernels are singular, which `Dictionary` would refuse; a network takes them,
    because what it renders is a blend of all kernels.
    """
    return np.array([*product(*RELEASED), (0.0, 0.0, 0.0)]) / PIXELS_AT_X4


def chosen_kernels(settings: NetworkSettings, mined: Dictionary) -> Dictionary:
    """The dictionary to train on: `mined`, or what `settings.dictionary` puts in its place.

    Fewer mined kernels than there are stand as far from each other as they can: what a network reaches is
    their convex hull, and 64 such kernels of the reference prior span 99 % of that of all 730 at a tenth of
    the work. Uniform ones do not depend on a training's seed: arms that differ in it have the same
    dictionary. Raises ValueError where more mined kernels are asked for than there are.
    """
    size = settings.dictionary_size
    match settings.dictionary:
        case "mined" if size is None:
            return mined
        case "mined":
            return fewer(mined, size, settings.blending)
        case "released":
            cholesky = released_kernels()
        case "corners":
            ends = zip(mined.cholesky.min(axis=0), mined.cholesky.max(axis=0), strict=True)
            cholesky = np.array(list(product(*ends)))
        case "uniform":
            limits = np.array(settings.dictionary_range).reshape(3, 2) / PIXELS_AT_X4
            cholesky = np.random.default_rng(0).uniform(limits[:, 0], limits[:, 1], (size, 3))
    cholesky[:, [0, 2]] = cholesky[:, [0, 2]].clip(NARROWEST)
    kept = {key: mined.metadata[key] for key in ("images",) if key in mined.metadata}
    return Dictionary(cholesky, {**kept, "ablation": settings.dictionary})


def fewer(mined: Dictionary, size: int, blending: Blending) -> Dictionary:
    """The `size` kernels that stand farthest apart where they are blended; their origin stays known.

    Raises ValueError where there are not as many.
    """
    if size > len(mined):
        raise ValueError(
            f"dictionary_size is {size}, but the prior has {len(mined)} kernels: set "
            f"network.dictionary_size to {len(mined)} or less, or build a larger dictionary"
        )
    entries = to_blending(torch.tensor(mined.cholesky, dtype=torch.float64), blending).numpy()
    origin = {key: value for key, value in mined.metadata.items() if key != "coverage"}
    chosen = f"{size} of {len(mined)} kernels, the farthest apart"
    return Dictionary(mined.cholesky[farthest_points(entries, size)], {**origin, "chosen": chosen})


def farthest_points(points: np.ndarray, size: int) -> np.ndarray:  # [K, D] -> [size] indices, ascending
    """The point farthest from the mean, then always the one farthest from those chosen (Gonzalez 1985)."""
    chosen = [int(((points - points.mean(axis=0)) ** 2).sum(axis=1).argmax())]
    nearest = ((points - points[chosen[0]]) ** 2).sum(axis=1)
    while len(chosen) < size:
        chosen.append(int(nearest.argmax()))
        nearest = np.minimum(nearest, ((points - points[chosen[-1]]) ** 2).sum(axis=1))
    return np.sort(chosen)
